package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// A dialog reads a line at a time from whoever uses the program, and notices Ctrl-C meanwhile. Editing a line is left to
// the terminal: its own line discipline erases characters, words and lines without a library.

// dialog is the one reader of a console's input. It reads only while a line is wanted.
type dialog struct {
	*console
	person bool // a terminal is at the other end, not a file or a pipe
	left   bool // a signal came where a line was wanted
	warned bool // of an input that cannot be read

	input   *bufio.Reader
	reading bool           // a goroutine is at work on the next line
	lines   chan typedLine // from it
}

// typedLine is one line without its end, or why there is none.
type typedLine struct {
	text string
	err  error
}

func newDialog(c *console) *dialog {
	return &dialog{console: c, person: isTerminal(c.in), input: bufio.NewReader(c.in), lines: make(chan typedLine, 1)}
}

// line returns the next line. Its error is io.EOF at the end of input, and *interrupted on a signal. The end of input is
// not for ever: a terminal's Ctrl-D ends one reply, not all; a file just ends again.
func (d *dialog) line() (string, error) {
	ctx, caught, release := catchSignals()
	if !d.reading {
		d.reading = true
		go d.read()
	}
	var got typedLine
	select {
	case got = <-d.lines:
		d.reading = false
	case <-ctx.Done():
	}
	release()
	if stopped := caught(); stopped != nil {
		d.left = true
		return "", stopped
	}
	return d.typed(got)
}

// read reads one line.
func (d *dialog) read() {
	text, err := d.input.ReadString('\n')
	d.lines <- typedLine{strings.TrimRight(text, "\r\n"), err}
}

// typed is what a line that was read means. At the end of input it may lack its newline, and an input that cannot be read,
// as that of a program under nohup or a folder, has ended, with a warning.
func (d *dialog) typed(got typedLine) (string, error) {
	if got.err != nil && got.err != io.EOF && !d.warned {
		d.warned = true
		fmt.Fprintf(d.err, "gogpt: standard input: %v; it counts as ended\n", got.err)
	}
	if got.err != nil && got.text == "" {
		return "", io.EOF
	}
	return got.text, nil
}

// exitSIGINT is the exit code of a run that Ctrl-C ends.
const exitSIGINT = 128 + int(syscall.SIGINT)

// interruptedBy is the error of a run that a signal ends.
func interruptedBy(s os.Signal) *interrupted {
	number, _ := s.(syscall.Signal)
	return &interrupted{s.String(), 128 + int(number)}
}

// catchSignals returns a context that the first SIGINT or SIGTERM cancels, and the error that tells which it was, nil
// without one. A second signal ends the program at once, as if nothing had been caught. After release no more is caught,
// and caught tells of every signal before it.
func catchSignals() (ctx context.Context, caught func() error, release func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals, settled := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer close(settled)
		if got, ok := <-signals; ok {
			signal.Stop(signals)
			cancel(interruptedBy(got))
		}
	}()
	return ctx, func() error { return context.Cause(ctx) }, func() { signal.Stop(signals); close(signals); <-settled }
}

// maxTries is how often a question is asked before its default is taken.
const maxTries = 3

// choose puts a question with a default until accept takes the reply. An empty line, the end of input and the third reply that
// accept refuses mean the default, which is passed to accept too, and whose refusal is returned.
func (d *dialog) choose(question, standard string, accept func(reply string) error) error {
	for range maxTries {
		fmt.Fprintf(d.out, "%s [%s] ", question, standard)
		reply, err := d.line()
		if err != nil {
			fmt.Fprintln(d.out)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		reply = strings.TrimSpace(reply)
		if reply == "" {
			return accept(standard)
		}
		if err := accept(reply); err == nil {
			return nil
		} else {
			fmt.Fprintln(d.out, err)
		}
	}
	fmt.Fprintf(d.out, "taking the default: %s\n", standard)
	return accept(standard)
}
