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
func expSumAVX512(dst, x []float32, shift float32) float64

//go:noescape
func maxOfAVX512(x []float32) float32

//go:noescape
func sumAVX512(x []float32) float64

//go:noescape
func dotAVX512(x, y []float32) float64

//go:noescape
func scaleAVX512(x []float32, a float32)

//go:noescape
func axpyAVX512(y []float32, a float32, x []float32)

//go:noescape
func addAVX512(y, x []float32)

//go:noescape
func geluForwardAVX512(y, x []float32)

//go:noescape
func geluBackwardAVX512(dx, x, dy []float32)

//go:noescape
func normalizeRowAVX512(y, x []float32, mean, rstd float32, gain, bias []float32)

//go:noescape
func adamUpdateAVX512(w, m, v, g []float32, s adamStep)

//go:noescape
func expSumAVX2(dst, x []float32, shift float32) float64

//go:noescape
func maxOfAVX2(x []float32) float32

//go:noescape
func sumAVX2(x []float32) float64

//go:noescape
func dotAVX2(x, y []float32) float64

//go:noescape
func scaleAVX2(x []float32, a float32)

//go:noescape
func axpyAVX2(y []float32, a float32, x []float32)

//go:noescape
func addAVX2(y, x []float32)

//go:noescape
func geluForwardAVX2(y, x []float32)

//go:noescape
func geluBackwardAVX2(dx, x, dy []float32)

//go:noescape
func normalizeRowAVX2(y, x []float32, mean, rstd float32, gain, bias []float32)

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
	expSumAVX512, longMaxOfAVX512, sumAVX512, dotAVX512, scaleAVX512, axpyAVX512, addAVX512,
	geluForwardAVX512, geluBackwardAVX512, normalizeRowAVX512, adamUpdateAVX512,
}

var vectorsAVX2 = vectorKernel{
	expSumAVX2, longMaxOfAVX2, sumAVX2, dotAVX2, scaleAVX2, axpyAVX2, addAVX2,
	geluForwardAVX2, geluBackwardAVX2, normalizeRowAVX2, adamUpdateAVX2,
}
