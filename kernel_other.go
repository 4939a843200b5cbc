//go:build purego || (!amd64 && !arm64)

package main

// machineKernels returns no kernel: the portable one does the work.
func machineKernels() []*kernel { return nil }
