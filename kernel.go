package main

// kernel is one implementation of the numeric work, for one kind of processor. The portable one is always there.
type kernel struct {
	name string

	rows, cols int // the tile of c that stays in registers
	lanes      int // float32 numbers of one instruction
	group      int // the most rows that interleave takes

	// tile: for i < m, j < n { s = 0; for t < k { s += a[i·aRow + t·aCol]·b[t·bRow + j] }; c[i·cRow + j] = s }, or += s
	// when accumulate; one rounding a step, where the processor can. 1 <= m <= rows, 1 <= n <= cols, k >= 1. All cols columns of b
	// are read.
	tile func(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)

	// interleave: for i < rows, t < k { dst[t·width + i] = src[i·stride + t] }, in the order of t. It may also write up to
	// dst[t·width + group - 1].
	interleave func(dst []float32, width int, src []float32, stride, rows, k int)

	// copyTile: for t < k, j < cols { dst[t·cols + j] = src[t·stride + j] }, k >= 1. nil: done by copy.
	copyTile func(dst, src []float32, stride, k int)

	// row: tile for m = 1 and n = rowCols, with b read where it lies. nil: done by tile.
	row     func(k int, a []float32, aCol int, b []float32, bRow int, c []float32, accumulate bool)
	rowCols int

	// columns: tile for m = 1, aCol = 1, n = lanes and k a multiple of lanes, with bᵀ read where it lies: b[j·bCol + t] in place
	// of b[t·bRow + j]. nil, where row is: done by tile.
	columns func(k int, a []float32, b []float32, bCol int, c []float32, accumulate bool)

	peak func(rounds int) // for range rounds { peakChains independent multiply-adds of all lanes, in registers }

	vectors *vectorKernel
}

// peakChains is the number of independent chains of multiply-adds in every kernel's peak loop.
const peakChains = 12

// vectorKernel holds one kernel's implementation of the functions of vector.go.
type vectorKernel struct {
	expSum             func(dst, x []float32, factor, shift float32) float64
	maxOf              func(x []float32) float32
	sum                func(x []float32) float64
	sums               func(x []float32) (sum, squares float64)
	dot                func(x, y []float32) float64
	scale              func(x []float32, a float32)
	add                func(z, x, y []float32)
	softmaxBackwardRow func(ds, p []float32, mean, factor float32)
	geluForward        func(y, x []float32)
	geluBackward       func(dx, x, dy []float32)
	normalizeRow       func(y, x []float32, mean, rstd float32, gain, bias []float32)
	normBackwardSums   func(dy, gain, x []float32) (sumG, sumGX float64)
	normBackwardRow    func(dx, dy, gain, x []float32, mean, a, b, c float32)
	normGainGrad       func(dgain, dy, x []float32, mean, rstd float32)
	adamUpdate         func(w, m, v, g []float32, s adamStep)
}

// adamStep holds what every weight of an optimizer step shares (arXiv:1412.6980, decay as arXiv:1711.05101).
type adamStep struct {
	lr, beta1, beta2, eps    float32
	decay                    float32 // decoupled weight decay
	correction1, correction2 float32 // 1-beta1^t, 1-beta2^t
	gradScale                float32 // factor on the gradient, e.g. of clipping; g itself is not written
}
