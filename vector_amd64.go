//go:build !purego

package main

import "math"

// The vector kernels compute exp(x) by x = n·ln2 + r with |r| <= ln2/2, exp(r) by its Taylor polynomial of degree 7, whose remainder
// is below 2^-27, and 2^n in two factors, so that a result below the normal range is rounded, not lost.
const (
	expLowest  = -105 // exp of it rounds to 0
	expHighest = 89   // exp of it overflows to +Inf
	log2e      = math.Log2E
	ln2High    = 0.693359375 // 9 bits of ln 2: n·ln2High is exact
	ln2Low     = math.Ln2 - ln2High

	expC2, expC3, expC4 = 1.0 / 2, 1.0 / 6, 1.0 / 24
	expC5, expC6, expC7 = 1.0 / 120, 1.0 / 720, 1.0 / 5040
)

// vectorConstants holds each constant of the vector kernels as a whole vector, in the order that vector_amd64.h names.
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

// laneMasks holds eight full lanes and eight empty ones: a mask of n lanes begins n lanes before the middle.
var laneMasks = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

var negativeInf = float32(math.Inf(-1))

//go:noescape
func expSumAVX512(dst, x []float32, factor, shift float32) float64

//go:noescape
func maxOfAVX512(x []float32) float32

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
func geluForwardAVX512(y, x []float32)

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
func adamUpdateAVX512(w, m, v, g []float32, s adamStep)

//go:noescape
func expSumAVX2(dst, x []float32, factor, shift float32) float64

//go:noescape
func maxOfAVX2(x []float32) float32

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
func geluForwardAVX2(y, x []float32)

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
func adamUpdateAVX2(w, m, v, g []float32, s adamStep)

// A vector is the least that the maximum takes.
func longMaxOfAVX512(x []float32) float32 {
	if len(x) < 16 {
		return maxOfGeneric(x)
	}
	return maxOfAVX512(x)
}

func longMaxOfAVX2(x []float32) float32 {
	if len(x) < 8 {
		return maxOfGeneric(x)
	}
	return maxOfAVX2(x)
}

var vectorsAVX512 = vectorKernel{
	expSumAVX512, longMaxOfAVX512, sumAVX512, sumsAVX512, dotAVX512, scaleAVX512, addAVX512, softmaxBackwardRowAVX512,
	geluForwardAVX512, geluBackwardAVX512,
	normalizeRowAVX512, normBackwardSumsAVX512, normBackwardRowAVX512, normGainGradAVX512, adamUpdateAVX512,
}

var vectorsAVX2 = vectorKernel{
	expSumAVX2, longMaxOfAVX2, sumAVX2, sumsAVX2, dotAVX2, scaleAVX2, addAVX2, softmaxBackwardRowAVX2,
	geluForwardAVX2, geluBackwardAVX2,
	normalizeRowAVX2, normBackwardSumsAVX2, normBackwardRowAVX2, normGainGradAVX2, adamUpdateAVX2,
}
