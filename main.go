package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a reader that leaves is an error of writing, not the end of the program
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
