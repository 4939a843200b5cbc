package kernel

import (
	"fmt"
	"slices"
	"strings"
)

// The choice of the kernel that does the work.

var (
	kernels = append(machineKernels(), &portableKernel) // the kernels that this machine can run, the best first
	kern    = kernels[0]                                // the one in use
)

// Auto is the name under which Select chooses the best kernel of the machine.
const Auto = "auto"

// Name returns the name of the kernel in use: "avx512", "avx2", "neon" or "portable".
func Name() string { return kern.name }

// Names returns the names that Select accepts: "auto", then the kernels of this machine, the best first.
func Names() []string {
	names := []string{Auto}
	for _, k := range kernels {
		names = append(names, k.name)
	}
	return names
}

// Select chooses a kernel by its name, or the best one of this machine for "auto". It must not run at the same time as
// any other function of this package.
func Select(name string) error {
	if name == Auto {
		kern = kernels[0]
		return nil
	}
	i := slices.IndexFunc(kernels, func(k *kernel) bool { return k.name == name })
	if i < 0 {
		return fmt.Errorf("%s: not a kernel of this machine (%s)", name, strings.Join(Names(), ", "))
	}
	kern = kernels[i]
	return nil
}
