package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The command line: which command, which flags, and what an error means to the shell.

// The exit codes of the built program. A run that a signal ended exits with 128 + the signal's number.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// command is one word of the command line.
type command struct {
	name, purpose string
	run           func(c *console, args []string) error
}

// commands lists every command, train first: it is the one without a word.
func commands() []command {
	return []command{
		{"train", "train a model: pretraining, then instruction tuning (the default command)", trainCommand},
		{"chat", "talk with a saved model, or answer one prompt or a pipe", chatCommand},
		{"eval", "measure a saved model on a file or a folder", evalCommand},
		{"tokenize", "show the token ids and pieces of a text", tokenizeCommand},
		{"gradcheck", "check the backward passes against float64 differences, or against a golden case", gradcheckCommand},
		{"ablate", "train the stable configuration with one change at a time, and compare", ablateCommand},
		{"report", "draw one page of the curves of one or several runs", reportCommand},
		{"bench", "time a training step, or one matrix product, beside the processor's peak", benchCommand},
		{"version", "print the version and the kernel in use", versionCommand},
	}
}

// run carries out a command line and returns the exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	err := dispatch(&console{in: in, out: out, err: errOut}, args)
	if readerLeft(out, err) { // it has seen what it wanted
		return exitOK
	}
	return tell(errOut, err)
}

// tell writes an error on one line and returns its exit code.
func tell(errOut io.Writer, err error) int {
	var bad *flagError
	var usage *usageError
	var signal *interrupted
	code, hint := exitError, ""
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &signal):
		code = signal.code
	case errors.As(err, &usage), errors.As(err, &bad):
		code, hint = exitUsage, " (gogpt help lists commands, gogpt COMMAND -h its flags)"
	}
	fmt.Fprintf(errOut, "gogpt: %s%s\n", oneLine(err), hint)
	return code
}

func dispatch(c *console, args []string) error {
	if kernelError != nil {
		return usagef("%v", kernelError)
	}
	if len(args) > 0 && slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		return helpCommand(c)
	}
	all := commands()
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return all[0].run(c, args)
	}
	var names []string
	for _, cmd := range all {
		if cmd.name == args[0] {
			return cmd.run(c, args[1:])
		}
		names = append(names, cmd.name)
	}
	return usagef("unknown command %q%s", args[0], didYouMean(args[0], names, ""))
}

func helpCommand(c *console) error {
	fmt.Fprintln(c.out, "usage: gogpt [COMMAND] [flags]\n\ncommands:")
	for _, cmd := range commands() {
		fmt.Fprintf(c.out, "  %-10s %s\n", cmd.name, cmd.purpose)
	}
	fmt.Fprintln(c.out, "  help       print this\n\ngogpt COMMAND -h lists the flags of a command.")
	return nil
}
