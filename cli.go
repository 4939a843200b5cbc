package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
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

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// command is one word of the command line.
type command struct {
	name, purpose string
	run           func(c *console, args []string) error
}

// commands lists every command, train first: it is the one without a word.
func commands() []command {
	return []command{
		{"train", "train a model: pretraining, then instruction tuning (the default command)", trainCommand},
		{"eval", "measure a saved model on a file or a folder", evalCommand},
		{"tokenize", "show the token ids and pieces of a text", tokenizeCommand},
		{"gradcheck", "check the backward passes against float64 differences, or against a golden case", gradcheckCommand},
		{"bench", "time a training step, or one matrix product, beside the processor's peak", benchCommand},
		{"version", "print the version and the kernel in use", versionCommand},
	}
}

// usageError is a wrong command line; it exits with 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// interrupted is a run that a signal ended in good order.
type interrupted struct {
	signal string
	code   int
}

func (e *interrupted) Error() string { return "interrupted by " + e.signal }

// run carries out a command line and returns the exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	c := &console{in: in, out: out, err: errOut}
	err := dispatch(c, args)
	var bad *flagError
	var usage *usageError
	var signal *interrupted
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &signal):
		fmt.Fprintf(errOut, "gogpt: %v\n", err)
		return signal.code
	case errors.As(err, &usage), errors.As(err, &bad):
		fmt.Fprintf(errOut, "gogpt: %v (gogpt help lists commands, gogpt COMMAND -h its flags)\n", err)
		return exitUsage
	}
	fmt.Fprintf(errOut, "gogpt: %v\n", err)
	return exitError
}

func dispatch(c *console, args []string) error {
	if err := applyKernelChoice(os.Getenv("GOGPT_KERNEL")); err != nil {
		return err
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

// applyKernelChoice forces a kernel by its name in GOGPT_KERNEL; empty leaves the best one.
func applyKernelChoice(name string) error {
	if name == "" {
		return nil
	}
	if err := selectKernel(name); err != nil {
		return usagef("GOGPT_KERNEL=%s: %v", name, err)
	}
	return nil
}

func helpCommand(c *console) error {
	fmt.Fprintln(c.out, "usage: gogpt [COMMAND] [flags]\n\ncommands:")
	for _, cmd := range commands() {
		fmt.Fprintf(c.out, "  %-10s %s\n", cmd.name, cmd.purpose)
	}
	fmt.Fprintln(c.out, "  help       print this\n\ngogpt COMMAND -h lists the flags of a command.")
	return nil
}

// The ways in which Go's flag package words its errors.
var (
	unknownFlag = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	badValue    = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^:]+): (.*)$`)
	noValue     = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
)

// parseFlags reads the flags of a command. Help goes to c.out; errors name the flag, its value and what it takes.
func parseFlags(c *console, fs *flag.FlagSet, args []string) error {
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(c.out, "usage: gogpt %s [flags]\n", fs.Name())
		fs.SetOutput(c.out)
		fs.PrintDefaults()
		return err
	}
	if err != nil {
		return usagef("%s", explainFlag(fs, err.Error()))
	}
	if fs.NArg() > 0 {
		return usagef("unexpected argument %q: flags are written --name=value", fs.Arg(0))
	}
	return nil
}

// explainFlag rewords an error of the flag package.
func explainFlag(fs *flag.FlagSet, message string) string {
	if m := unknownFlag.FindStringSubmatch(message); m != nil {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return fmt.Sprintf("unknown flag --%s%s", m[1], didYouMean(m[1], names, "--"))
	}
	if m := noValue.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("--%s: needs a value, --%s=%s", m[1], m[1], takes(fs, m[1]))
	}
	if m := badValue.FindStringSubmatch(message); m != nil {
		if why, ok := strings.CutPrefix(m[3], "takes "); ok {
			return fmt.Sprintf("--%s=%s: takes %s", m[2], m[1], why)
		}
		return fmt.Sprintf("--%s=%s: takes %s", m[2], m[1], takes(fs, m[2]))
	}
	return message
}

// takes names the kind of value of a flag.
func takes(fs *flag.FlagSet, name string) string {
	f := fs.Lookup(name)
	if f == nil {
		return "VALUE"
	}
	kind, _ := flag.UnquoteUsage(f)
	switch kind {
	case "int", "uint":
		return "a whole number"
	case "float":
		return "a number"
	case "":
		return "true or false"
	}
	return kind
}

// didYouMean suggests the nearest of the names, if one is near.
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

// editDistance is the Levenshtein distance in bytes.
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

// isTerminal tells a terminal from a file or a pipe.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
