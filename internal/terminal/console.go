// Package terminal connects a command-line program to the person, file or pipe that uses it: its three streams
// (Console), lines and questions (Dialog), and signals (CatchSignals).
package terminal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Console holds the standard streams of a command.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
}

// IsTerminal reports whether a stream is a terminal, not a file, a pipe or os.DevNull.
func IsTerminal(stream any) bool {
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

// TTY returns Err if it is a terminal that can redraw a line, else nil.
func (c *Console) TTY() io.Writer {
	if IsTerminal(c.Err) && os.Getenv("TERM") != "dumb" {
		return c.Err
	}
	return nil
}

// Progress returns a function that shows what a command is doing. On a TTY a text replaces the text before it, and an
// empty one erases it. Without a TTY a text is a line of c.Err, unless the last line is less than an interval ago.
func (c *Console) Progress(interval time.Duration) func(text string) {
	if tty := c.TTY(); tty != nil {
		return func(text string) {
			fmt.Fprintf(tty, "\r\x1b[K%s", text) // back to column 0, erase the line
		}
	}
	var shown time.Time
	return func(text string) {
		if text != "" && time.Since(shown) >= interval {
			shown = time.Now()
			fmt.Fprintln(c.Err, text)
		}
	}
}

// BrokenPipe reports whether a write to out failed with err because the reader of out has closed it, as head does after
// its last line.
func BrokenPipe(out io.Writer, err error) bool {
	failed, ok := errors.AsType[*fs.PathError](err)
	f, file := out.(*os.File)
	return ok && file && failed.Path == f.Name() && errors.Is(failed, syscall.EPIPE)
}

// pipeIgnorer is a writer that discards writes after the reader of out has closed it.
type pipeIgnorer struct{ out io.Writer }

func (p pipeIgnorer) Write(b []byte) (int, error) {
	n, err := p.out.Write(b)
	if BrokenPipe(p.out, err) {
		return len(b), nil
	}
	return n, err
}

// IgnoreBrokenPipe makes c.Out discard writes after its reader has closed it, so that a long run goes on without a
// reader. undo restores the former c.Out.
func (c *Console) IgnoreBrokenPipe() (undo func()) {
	out := c.Out
	if !IsTerminal(out) {
		c.Out = pipeIgnorer{out}
	}
	return func() { c.Out = out }
}

// OneLine returns the message of an error on one line: joined errors are separated by "; ", and characters that are not
// printable, such as line breaks, are escaped as in a Go string.
func OneLine(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var messages []string
		for _, e := range joined.Unwrap() {
			messages = append(messages, OneLine(e))
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
