//go:build !purego

package kernel

//go:noescape
func tileAVX512(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)

//go:noescape
func interleaveAVX512(dst []float32, width int, src []float32, stride, rows, k int)

//go:noescape
func copyTileAVX512(dst, src []float32, stride, k int)

//go:noescape
func rowAVX512(k int, a []float32, aCol int, b []float32, bRow int, c []float32, accumulate bool)

//go:noescape
func rowTransposedAVX512(k int, a []float32, b []float32, bCol int, c []float32, accumulate bool)

//go:noescape
func tileAVX2(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)

//go:noescape
func interleaveAVX2(dst []float32, width int, src []float32, stride, rows, k int)

//go:noescape
func copyTileAVX2(dst, src []float32, stride, k int)

func peakAVX512(rounds int)

func peakAVX2(rounds int)

var avx512Kernel = kernel{
	name: "avx512", rows: 14, cols: 32, lanes: 16, group: 16,
	tile: tileAVX512, interleave: interleaveAVX512, copyTile: copyTileAVX512,
	rowCols: 192, row: rowAVX512, rowTransposed: rowTransposedAVX512,
	peak: peakAVX512, vectors: &vectorsAVX512,
}

var avx2Kernel = kernel{
	name: "avx2", rows: 6, cols: 16, lanes: 8, group: 8,
	tile: tileAVX2, interleave: interleaveAVX2, copyTile: copyTileAVX2, peak: peakAVX2, vectors: &vectorsAVX2,
}

// machineKernels returns the assembly kernels that this processor can run, the best first.
func machineKernels() []*kernel {
	avx2, avx512 := cpuFeatures()
	var list []*kernel
	if avx512 {
		list = append(list, &avx512Kernel)
	}
	if avx2 {
		list = append(list, &avx2Kernel)
	}
	return list
}
