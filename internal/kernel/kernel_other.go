//go:build purego || (!amd64 && !arm64)

package kernel

// machineKernels returns no assembly kernel.
func machineKernels() []*kernel { return nil }
