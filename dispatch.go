package main

import (
	"fmt"
	"os"
	"strings"
)

// Which kernel does the work.

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
