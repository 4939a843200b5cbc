//go:build !purego

package kernel

import "math"

// The vector kernels compute exp(x) = 2^n·exp(r), where x = n·ln2 + r with |r| <= ln2/2. exp(r) is its Taylor
// polynomial of degree 7, whose remainder is below 2^-27. 2^n is multiplied in two factors, so that a result below
// the normal range is rounded to a subnormal number and does not become 0.
const (
	expLowest  = -105 // exp(-105) rounds to 0
	expHighest = 89   // exp(89) overflows to +Inf
	log2e      = math.Log2E
	ln2High    = 0.693359375 // 9 bits of ln 2: n·ln2High is exact
	ln2Low     = math.Ln2 - ln2High

	expC2, expC3, expC4 = 1.0 / 2, 1.0 / 6, 1.0 / 24
	expC5, expC6, expC7 = 1.0 / 120, 1.0 / 720, 1.0 / 5040
)

// vectorConstants holds each constant of the vector kernels as a whole vector, in the order of vector_amd64.h.
//
//lint:ignore U1000 the assembly reads it
var vectorConstants = func() (rows [19][16]float32) {
	for i, c := range [len(rows)]float32{
		expLowest, expHighest, log2e, ln2High, ln2Low, expC7, expC6, expC5, expC4, expC3, expC2, 1, math.Float32frombits(127),
		-2 * geluScale, -2 * geluScale * geluCubic, // -2u = x·(… + …·x²)
		2 * geluScale, 6 * geluScale * geluCubic, // 2u' = … + …·x²
		-geluLimit, geluLimit,
	} {
		for j := range rows[i] {
			rows[i][j] = c
		}
	}
	return rows
}()

// laneMasks holds eight full lanes and eight empty ones: a mask of the first n lanes starts n lanes before the middle.
//
//lint:ignore U1000 the assembly reads it
var laneMasks = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

// negativeInf is -Inf, the maximum of no numbers.
//
//lint:ignore U1000 the assembly reads it
var negativeInf = float32(math.Inf(-1))

//go:noescape
func expSumAVX512(dst, x []float32, factor, shift float32) float64

//go:noescape
func maxAVX512(x []float32) float32

//go:noescape
func sumAVX512(x []float32) float64

//go:noescape
func sumsAVX512(x []float32) (sum, squares float64)

//go:noescape
func dotAVX512(x, y []float32) float64

//go:noescape
func scaleAVX512(x []float32, a float32)

//go:noescape
func addAVX512(z, x, y []float32)

//go:noescape
func softmaxBackwardRowAVX512(ds, p []float32, mean, factor float32)

//go:noescape
func geluAVX512(y, x []float32)

//go:noescape
func geluBackwardAVX512(dx, x, dy []float32)

//go:noescape
func normalizeRowAVX512(y, x []float32, mean, rstd float32, gain, bias []float32)

//go:noescape
func normBackwardSumsAVX512(dy, gain, x []float32) (sumG, sumGX float64)

//go:noescape
func normBackwardRowAVX512(dx, dy, gain, x []float32, mean, a, b, c float32)

//go:noescape
func normGainGradAVX512(dgain, dy, x []float32, mean, rstd float32)

//go:noescape
func adamUpdateAVX512(w, m, v, g []float32, s AdamStep)

//go:noescape
func expSumAVX2(dst, x []float32, factor, shift float32) float64

//go:noescape
func maxAVX2(x []float32) float32

//go:noescape
func sumAVX2(x []float32) float64

//go:noescape
func sumsAVX2(x []float32) (sum, squares float64)

//go:noescape
func dotAVX2(x, y []float32) float64

//go:noescape
func scaleAVX2(x []float32, a float32)

//go:noescape
func addAVX2(z, x, y []float32)

//go:noescape
func softmaxBackwardRowAVX2(ds, p []float32, mean, factor float32)

//go:noescape
func geluAVX2(y, x []float32)

//go:noescape
func geluBackwardAVX2(dx, x, dy []float32)

//go:noescape
func normalizeRowAVX2(y, x []float32, mean, rstd float32, gain, bias []float32)

//go:noescape
func normBackwardSumsAVX2(dy, gain, x []float32) (sumG, sumGX float64)

//go:noescape
func normBackwardRowAVX2(dx, dy, gain, x []float32, mean, a, b, c float32)

//go:noescape
func normGainGradAVX2(dgain, dy, x []float32, mean, rstd float32)

//go:noescape
func adamUpdateAVX2(w, m, v, g []float32, s AdamStep)

// longMaxAVX512 computes short slices in Go: maxAVX512 needs at least one whole vector.
func longMaxAVX512(x []float32) float32 {
	if len(x) < 16 {
		return maxGeneric(x)
	}
	return maxAVX512(x)
}

// longMaxAVX2 computes short slices in Go: maxAVX2 needs at least one whole vector.
func longMaxAVX2(x []float32) float32 {
	if len(x) < 8 {
		return maxGeneric(x)
	}
	return maxAVX2(x)
}

var vectorsAVX512 = vectorKernel{
	expSumAVX512, longMaxAVX512, sumAVX512, sumsAVX512, dotAVX512, scaleAVX512, addAVX512,
	softmaxBackwardRowAVX512, geluAVX512, geluBackwardAVX512,
	normalizeRowAVX512, normBackwardSumsAVX512, normBackwardRowAVX512, normGainGradAVX512, adamUpdateAVX512,
}

var vectorsAVX2 = vectorKernel{
	expSumAVX2, longMaxAVX2, sumAVX2, sumsAVX2, dotAVX2, scaleAVX2, addAVX2,
	softmaxBackwardRowAVX2, geluAVX2, geluBackwardAVX2,
	normalizeRowAVX2, normBackwardSumsAVX2, normBackwardRowAVX2, normGainGradAVX2, adamUpdateAVX2,
}
