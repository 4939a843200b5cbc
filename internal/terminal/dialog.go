package terminal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Dialog reads lines from the input of a console and asks questions. It reads only when a line is needed, and a signal
// interrupts the wait. The terminal itself edits a line before it sends it.
type Dialog struct {
	Console          *Console
	Person           bool // the input is a terminal, not a file or a pipe
	InterruptedInput bool // a signal has interrupted a wait for a line

	input   *bufio.Reader
	reading bool          // a goroutine is reading the next line
	results chan readLine // of that goroutine
	warned  bool          // the warning about an unreadable input has been printed
}

// readLine is the result of reading a line: its text without the line break, and the error after it.
type readLine struct {
	text string
	err  error
}

// NewDialog returns a dialog that reads and writes the streams of a console.
func NewDialog(c *Console) *Dialog {
	return &Dialog{Console: c, Person: IsTerminal(c.In), input: bufio.NewReader(c.In), results: make(chan readLine, 1)}
}

// Line returns the next line without its line break. Its error is io.EOF at the end of the input, or *Interrupted after
// a signal. A terminal can go on after io.EOF: its Ctrl-D ends one line, not the input.
func (d *Dialog) Line() (string, error) {
	ctx, caught, stop := CatchSignals()
	if !d.reading {
		d.reading = true
		go d.read()
	}
	var got readLine
	select {
	case got = <-d.results:
		d.reading = false
	case <-ctx.Done():
	}
	stop()
	if interrupted := caught(); interrupted != nil {
		d.InterruptedInput = true
		return "", interrupted
	}
	return d.checked(got)
}

// read reads one line and sends it to d.results.
func (d *Dialog) read() {
	text, err := d.input.ReadString('\n')
	d.results <- readLine{strings.TrimRight(text, "\r\n"), err}
}

// checked returns the text of a line, or io.EOF. The last line of an input may lack its line break. An input that
// cannot be read, for example under nohup, counts as ended; the first time, a warning gives the reason.
func (d *Dialog) checked(got readLine) (string, error) {
	if got.err != nil && got.err != io.EOF && !d.warned {
		d.warned = true
		fmt.Fprintf(d.Console.Err, "warning: cannot read standard input: %v; continuing as at its end\n", got.err)
	}
	if got.err != nil && got.text == "" {
		return "", io.EOF
	}
	return got.text, nil
}

// maxTries is how often Choose asks before it uses the default.
const maxTries = 3

// Choose asks a question that has a default reply, until accept returns nil for the reply. An empty line and the end of
// the input mean the default; so does a third reply that accept refuses. The default must be accepted too: if it is
// not, Choose returns the error of accept.
func (d *Dialog) Choose(question, defaultReply string, accept func(reply string) error) error {
	out := d.Console.Out
	for range maxTries {
		fmt.Fprintf(out, "%s [%s] ", question, defaultReply)
		reply, err := d.Line()
		if err != nil {
			fmt.Fprintln(out)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		reply = strings.TrimSpace(reply)
		if reply == "" {
			return accept(defaultReply)
		}
		if err := accept(reply); err == nil {
			return nil
		} else {
			fmt.Fprintln(out, err)
		}
	}
	fmt.Fprintf(out, "using the default: %s\n", defaultReply)
	return accept(defaultReply)
}
