package main

import (
	"os"

	"gogpt/internal/terminal"
)

func main() {
	terminal.IgnoreSIGPIPE()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
