//go:build unix

package terminal

import (
	"os/signal"
	"syscall"
)

// IgnoreSIGPIPE makes a write to a closed pipe return an error instead of ending the program.
func IgnoreSIGPIPE() { signal.Ignore(syscall.SIGPIPE) }
