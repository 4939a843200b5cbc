package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// What every command shares: its streams, its errors, and how its flags are read.

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// readerLeft tells the error of writing to an output whose reader has left, as head does after its last line.
func readerLeft(out io.Writer, err error) bool {
	failed, ok := errors.AsType[*fs.PathError](err)
	f, file := out.(*os.File)
	return ok && file && failed.Path == f.Name() && errors.Is(failed, syscall.EPIPE)
}

// unheeded is an output that goes on without its reader.
type unheeded struct{ io.Writer }

func (u unheeded) Write(p []byte) (int, error) {
	n, err := u.Writer.Write(p)
	if readerLeft(u.Writer, err) {
		return len(p), nil
	}
	return n, err
}

// outliveReader lets c.out go on without its reader until undone: what runs meanwhile matters more than who watches.
func (c *console) outliveReader() (undo func()) {
	out := c.out
	if !isTerminal(out) {
		c.out = unheeded{out}
	}
	return func() { c.out = out }
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

// oneLine is the message of an error on one line: joined errors behind one another, line breaks and whatever else would
// steer a terminal as in a Go string.
func oneLine(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var messages []string
		for _, e := range joined.Unwrap() {
			messages = append(messages, oneLine(e))
		}
		return strings.Join(messages, "; ")
	}
	var line strings.Builder
	for _, r := range err.Error() {
		if strconv.IsPrint(r) {
			line.WriteRune(r)
		} else {
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return line.String()
}

// isTerminal tells a terminal from a file or a pipe.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// tty is where a line may be redrawn; nil: no terminal.
func (c *console) tty() io.Writer {
	if isTerminal(c.err) && os.Getenv("TERM") != "dumb" {
		return c.err
	}
	return nil
}

// liveLine returns what redraws one line on a terminal and is silent elsewhere.
func (c *console) liveLine() func(text string) {
	tty := c.tty()
	return func(text string) {
		if tty != nil {
			fmt.Fprintf(tty, "\r\x1b[K%s", text)
		}
	}
}

// printJSON writes one JSON value and a newline.
func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

func required(flag, value string) error {
	if value == "" {
		return usagef("--%s=FILE is needed", flag)
	}
	return nil
}

// The ways in which Go's flag package words its errors.
var (
	unknownFlag = regexp.MustCompile(`(?s)^flag provided but not defined: -(.*)$`)
	badValue    = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^:]+): (.*)$`)
	noValue     = regexp.MustCompile(`(?s)^flag needs an argument: -(.*)$`)
)

// parseFlags reads the flags of a command that takes nothing else.
func parseFlags(c *console, fs *flag.FlagSet, args []string) error {
	others, err := parseFlagsAndFiles(c, fs, args)
	if err == nil && len(others) > 0 {
		err = usagef("unexpected argument %q: flags are written --name=value", others[0])
	}
	return err
}

// parseFlagsAndFiles reads flags and, before, between and behind them, the names of files.
func parseFlagsAndFiles(c *console, fs *flag.FlagSet, args []string) (files []string, err error) {
	for err = parseLeadingFlags(c, fs, args); err == nil && fs.NArg() > 0; err = parseLeadingFlags(c, fs, args) {
		files, args = append(files, fs.Arg(0)), fs.Args()[1:]
	}
	return files, err
}

// parseLeadingFlags reads flags up to the first other argument. Help goes to c.out; errors name the flag, its value and
// what it takes.
func parseLeadingFlags(c *console, fs *flag.FlagSet, args []string) error {
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
