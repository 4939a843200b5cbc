package kernel

// kernel is one implementation of the numeric work, for one kind of processor. The portable one runs on all of them.
// The comment of each function is the loop that it computes.
type kernel struct {
	name string

	rows, cols int // the size of a tile: the part of c that stays in registers
	lanes      int // float32 numbers per instruction
	group      int // interleave accepts at most this many rows

	// tile: for i < m, j < n { s = 0; for t < k { s += a[i·aRow + t·aCol]·b[t·bRow + j] }; c[i·cRow + j] = s }, or += s
	// when accumulate is set. Where the processor can, each step multiplies and adds with one rounding.
	// 1 <= m <= rows, 1 <= n <= cols, k >= 1. tile reads all cols columns of b.
	tile func(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)

	// interleave: for t < k, i < rows { dst[t·width + i] = src[i·stride + t] }, one t after another. It may also write
	// up to dst[t·width + group - 1].
	interleave func(dst []float32, width int, src []float32, stride, rows, k int)

	// copyTile: for t < k, j < cols { dst[t·cols + j] = src[t·stride + j] }, k >= 1. nil: packTile uses copy.
	copyTile func(dst, src []float32, stride, k int)

	// row: tile for m = 1 and n = rowCols; it reads b in place. nil: tile computes single rows too.
	row     func(k int, a []float32, aCol int, b []float32, bRow int, c []float32, accumulate bool)
	rowCols int

	// rowTransposed: tile for m = 1, aCol = 1, n = lanes and k a multiple of lanes; it reads bᵀ in place:
	// b[j·bCol + t] instead of b[t·bRow + j]. nil where row is nil.
	rowTransposed func(k int, a []float32, b []float32, bCol int, c []float32, accumulate bool)

	peak func(rounds int) // for range rounds { peakChains independent multiply-adds of all lanes, in registers }

	vectors *vectorKernel
}

// vectorKernel holds one kernel's implementation of the functions of vector.go.
type vectorKernel struct {
	expSum             func(dst, x []float32, factor, shift float32) float64
	max                func(x []float32) float32
	sum                func(x []float32) float64
	sums               func(x []float32) (sum, squares float64)
	dot                func(x, y []float32) float64
	scale              func(x []float32, a float32)
	add                func(z, x, y []float32)
	softmaxBackwardRow func(ds, p []float32, mean, factor float32)
	gelu               func(y, x []float32)
	geluBackward       func(dx, x, dy []float32)
	normalizeRow       func(y, x []float32, mean, rstd float32, gain, bias []float32)
	normBackwardSums   func(dy, gain, x []float32) (sumG, sumGX float64)
	normBackwardRow    func(dx, dy, gain, x []float32, mean, a, b, c float32)
	normGainGrad       func(dgain, dy, x []float32, mean, rstd float32)
	adamUpdate         func(w, m, v, g []float32, s AdamStep)
}

var portableKernel = kernel{
	name: "portable", rows: 2, cols: 4, lanes: 1, group: 4,
	tile: tileGeneric, interleave: interleaveGeneric, peak: peakGeneric, vectors: &portableVectors,
}

var portableVectors = vectorKernel{
	expSumGeneric, maxGeneric, sumGeneric, sumsGeneric, dotGeneric, scaleGeneric, addGeneric,
	softmaxBackwardRowGeneric, geluGeneric, geluBackwardGeneric,
	normalizeRowGeneric, normBackwardSumsGeneric, normBackwardRowGeneric, normGainGradGeneric, adamUpdateGeneric,
}
