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
	group      int // the most rows that interleave takes

	// tile: for i < m, j < n { s = 0; for t < k { s = fma(a[i·aRow + t·aCol], b[t·bRow + j], s) }; c[i·cRow + j] = s }, or += s
	// when accumulate. 1 <= m <= rows, 1 <= n <= cols, k >= 1. b is readable, though unused, up to column cols.
	tile func(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)

	// interleave: for i < rows, t < k { dst[t·width + i] = src[i·stride + t] }, in the order of t. It may also write up to
	// dst[t·width + group - 1].
	interleave func(dst []float32, width int, src []float32, stride, rows, k int)

	vectors *vectorKernel
}

var portableKernel = kernel{
	name: "portable", rows: 2, cols: 4, group: 4,
	tile: tileGeneric, interleave: interleaveGeneric, vectors: &portableVectors,
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
