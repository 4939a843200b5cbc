// Package kernel computes matrix products and element-wise work on float32 slices, with several threads and with the
// vector instructions of the processor. It knows nothing of language models and could be lifted into another program.
//
// # The three files that a reader of the model needs
//
//	matrix.go    Matrix, a view of a slice, and the products
//	vector.go    the element-wise functions, each with its loop: softmax, GELU, LayerNorm, Adam
//	parallel.go  Parallel, which shares the indices 0..n among the threads
//
// # The files behind them
//
//	kernel.go             what a kernel is: one implementation of the numeric work; the portable kernel
//	select.go             the choice of a kernel, by name or the best one of this machine
//	pool.go               the threads behind Parallel
//	matmul.go             the product in blocks that fit in the caches, and tiles that fit in the registers
//	matmul_generic.go     the tile in portable Go
//	peak.go               the rate of multiply-adds, measured: the upper limit for a product
//	cpu_amd64.*           which instructions this processor has
//	kernel_*.go           the assembly kernels of a processor
//	tile_*.s              the tile of the product
//	row_*.s               the product of a single row
//	pack_*.s              copies of the operands in the order in which a tile reads them
//	transpose_*.h         the transposition that row and pack share
//	vector_amd64.*        the element-wise functions, written once for both widths of vectors
//	vector_sums_amd64.h   those of them that return a sum or a maximum
//	vector_avx*.s         the registers and instructions of each width
//	peak_*.s              the loop that peak.go measures
//
// # Portable twins
//
// A function in assembly has a twin in Go whose name ends in Generic: geluGeneric beside geluAVX2 and geluAVX512. The
// twin says what the assembly computes. It is compiled for every processor, so that Select("portable") works
// everywhere. (row and rowTransposed are special cases of tile, and copyTile copies: they need no twin.) The build
// tag purego leaves the assembly out. There are assembly kernels for amd64 (avx512, avx2) and for arm64 (neon, the
// product only); all other processors use the portable one.
//
// # Which bits are the same
//
// With one kernel, the same inputs give the same bits, for any number of threads. An element of a product a·b depends
// on a row of a and a column of b only, an element of a vector on its operands only, and a sum on its numbers only.
// Nothing depends on where an element lies or on what surrounds it. Two kernels may round differently: some multiply
// and add with one rounding, and they add up sums in different orders.
//
// # Tests
//
// The tests compare each kernel of the machine, the portable one included, with one oracle: the loop of the comment in
// float64, with a tolerance that follows from the number of roundings. They run over all small sizes. Random numbers
// around every operand show that nothing else is written.
package kernel
