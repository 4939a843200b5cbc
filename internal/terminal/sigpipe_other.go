//go:build !unix

package terminal

// IgnoreSIGPIPE does nothing: a write to a closed pipe returns an error here.
func IgnoreSIGPIPE() {}
