package main

import (
	"fmt"
	"os"
	"strings"
)

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

	peak func(rounds int) // for range rounds { peakChains independent multiply-adds of all lanes, in registers }

	vectors *vectorKernel
}

var portableKernel = kernel{
	name: "portable", rows: 2, cols: 4, lanes: 1, group: 4,
	tile: tileGeneric, interleave: interleaveGeneric, peak: peakGeneric, vectors: &portableVectors,
}

var (
	kernels = append(machineKernels(), &portableKernel) // those that run here, the best first
	kern    = kernels[0]
)

// kernelError is what a wrong GOGPT_KERNEL means; whoever reads the command line reports it.
var kernelError = selectKernel(os.Getenv("GOGPT_KERNEL"))

// kernelName returns the name of the kernel in use: "avx512", "avx2", "neon" or "portable".
func kernelName() string { return kern.name }

// selectKernel chooses a kernel by its name, and the best one of this machine for "".
func selectKernel(name string) error {
	if name == "" {
		kern = kernels[0]
		return nil
	}
	var names []string
	for _, k := range kernels {
		if k.name == name {
			kern = k
			return nil
		}
		names = append(names, k.name)
	}
	return fmt.Errorf("GOGPT_KERNEL=%s: not a kernel of this machine (%s)", name, strings.Join(names, ", "))
}
