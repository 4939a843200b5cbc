package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"gogpt/internal/kernel"
	"gogpt/internal/report"
	"gogpt/internal/runlog"
	"gogpt/internal/terminal"
)

// The command line: commands, their errors and their exit codes.

// The exit codes of the program. A run that a signal ended exits with 128 + the number of the signal.
const (
	exitOK    = 0
	exitError = 1 // a run failed
	exitUsage = 2 // the command line is wrong
)

const version = "0.1.0"

// numerics rises whenever a version of the program computes other float32 bits on some kernel.
const numerics = 1

// kernelVariable is the environment variable that chooses the kernel; --kernel wins over it.
const kernelVariable = "GOGPT_KERNEL"

// command is a command of the program, e.g. gogpt train.
type command struct {
	name, purpose string
	run           func(c *terminal.Console, args []string) error
}

// commands returns every command. The first, train, is the default.
func commands() []command {
	return []command{
		{"train", "train a model: pretraining, then instruction tuning (the default command)", trainCommand},
		{"chat", "talk with a saved model, or answer one prompt or a pipe", chatCommand},
		{"eval", "measure a saved model on a file or a folder", evalCommand},
		{"data", "say what is in data: samples, lengths, cuts, duplicates, overlap", dataCommand},
		{"tokenize", "print the token ids and pieces of a text", tokenizeCommand},
		{"gradcheck", "compare the gradients with float64 differences, or with a golden case", gradcheckCommand},
		{"ablate", "train the stable configuration with one change at a time, and compare the results", ablateCommand},
		{"report", "write one page with the curves of one or several runs", reportCommand},
		{"bench", "time training steps, a matrix product or generation, beside the processor's peak", benchCommand},
		{"version", "print the version and the kernel in use", versionCommand},
	}
}

// run runs a command and returns the exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	err := dispatch(&terminal.Console{In: in, Out: out, Err: errOut}, args)
	if terminal.BrokenPipe(out, err) { // the reader, such as head, has closed its end: not a failure
		return exitOK
	}
	return reportError(errOut, err)
}

// reportError writes an error on one line and returns its exit code. Neither nil nor a request for help is an error.
func reportError(errOut io.Writer, err error) int {
	var value *flagError
	var usage *usageError
	var signal *terminal.Interrupted
	code, hint := exitError, ""
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &signal):
		code = signal.Code
	case errors.As(err, &usage), errors.As(err, &value):
		code, hint = exitUsage, " (gogpt help lists commands, gogpt COMMAND -h its flags)"
	}
	fmt.Fprintf(errOut, "gogpt: %s%s\n", terminal.OneLine(err), hint)
	return code
}

// dispatch selects the kernel that GOGPT_KERNEL names and runs the command that args begins with, train by default.
func dispatch(c *terminal.Console, args []string) error {
	if err := kernel.Select(cmp.Or(os.Getenv(kernelVariable), kernel.Auto)); err != nil {
		return usagef("%s=%v", kernelVariable, err)
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

// didYouMean returns a suggestion for a misspelled word, ", did you mean NAME?", or "" when no name is similar.
func didYouMean(word string, names []string, prefix string) string {
	best, distance := "", 1+max(2, len(word)/3)
	for _, name := range names {
		if d := editDistance(word, name); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s%s?", prefix, best)
}

// editDistance returns the Levenshtein distance of a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// helpCommand lists the commands.
func helpCommand(c *terminal.Console) error {
	fmt.Fprintln(c.Out, "usage: gogpt [COMMAND] [flags]\n\ncommands:")
	for _, cmd := range commands() {
		fmt.Fprintf(c.Out, "  %-10s %s\n", cmd.name, cmd.purpose)
	}
	fmt.Fprintln(c.Out, "  help       print this\n\ngogpt COMMAND -h lists the flags of a command.")
	return nil
}

// usageError is an error in the command line; the exit code is 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// required returns an error when a flag that names a file is missing or empty.
func required(flag, value string) error {
	if value == "" {
		return usagef("--%s=FILE is needed", flag)
	}
	return nil
}

// versionCommand runs gogpt version.
func versionCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("version", flag.ContinueOnError)
	fs.Var(kernelFlag{}, "kernel", "`KERNEL` to use: auto or one that this machine supports")
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Out, "gogpt %s, %s %s/%s, kernel %s\n",
		version, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Name())
	return err
}

// reportCommand runs gogpt report.
func reportCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	out := fs.String("o", "", "write the page to `FILE.html`")
	files, err := parseFlagsAndFiles(c, fs, args)
	if err != nil {
		return err
	}
	if *out == "" || len(files) == 0 {
		return usagef("report takes -o FILE.html and the names of one or several logs that --log-json wrote")
	}
	var runs []*runlog.Log
	for _, path := range files {
		l, err := runlog.ReadFile(path)
		if err != nil {
			return err
		}
		runs = append(runs, l)
	}
	return report.WriteRuns(*out, runs)
}
