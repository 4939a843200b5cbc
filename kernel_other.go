//go:build purego || !amd64

package main

func machineKernels() []*kernel { return nil }
