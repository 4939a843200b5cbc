package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode"
)

// What a conversation gives back: answers on a terminal, in the lines of a pipe or as JSON, and notes beside them.

// repl is a conversation with a person or a pipe.
type repl struct {
	*dialog
	*chat
	asJSON  bool // standard output holds a JSON value an answer and nothing else
	oneLine bool // an answer is one line, whatever is in it
}

func newREPL(d *dialog, c *chat, asJSON bool) *repl { return &repl{dialog: d, chat: c, asJSON: asJSON} }

// aside is where everything goes that is no answer: prompts and the output of commands.
func (r *repl) aside() io.Writer {
	if r.asJSON {
		return r.err
	}
	return r.out
}

// note tells something beside the answers.
func (r *repl) note(text string) { fmt.Fprintf(r.err, "(%s)\n", text) }

// answerOnce answers one question. A signal meanwhile is an error.
func (r *repl) answerOnce(question string) error {
	ctx, caught, release := catchSignals()
	err := r.print(ctx, question)
	release()
	return cmp.Or(err, caught())
}

// reply answers a question. A person's Ctrl-C stops the answer; other signals end the conversation too.
func (r *repl) reply(question string) error {
	err := r.answerOnce(question)
	if stopped, ok := errors.AsType[*interrupted](err); ok && r.person && stopped.code == exitSIGINT {
		return nil
	}
	return err
}

// print shows the answer to a question.
func (r *repl) print(ctx context.Context, question string) error {
	var notes []string
	show := r.show
	if r.asJSON {
		show = func([]byte) {}
	}
	a, err := r.ask(ctx, question, show, func(text string) { notes = append(notes, text) })
	if err != nil {
		return err
	}
	if r.asJSON {
		err = printJSON(r.out, r.result(a))
	} else {
		_, err = fmt.Fprintln(r.out)
	}
	switch a.reason {
	case stopInterrupted:
		notes = append(notes, "stopped")
	case stopMaxTokens:
		notes = append(notes, fmt.Sprintf("cut at max-tokens=%d", r.MaxTokens))
	}
	for _, text := range notes {
		r.note(text)
	}
	return err
}

// show writes a part of an answer. What would steer a terminal, as the bytes of an untrained model do, is not sent to
// one; where an answer is one line, line breaks inside it become spaces.
func (r *repl) show(text []byte) {
	terminal := isTerminal(r.out)
	r.out.Write(bytes.Map(func(c rune) rune {
		switch {
		case r.oneLine && (c == '\n' || c == '\r'):
			return ' '
		case c == '\n', c == '\t':
			return c
		case terminal && unicode.IsControl(c):
			return unicode.ReplacementChar
		}
		return c
	}, text))
}

// blank answers a line that asks nothing: a pipe gets its line all the same.
func (r *repl) blank() error {
	switch {
	case r.person:
		return nil
	case r.asJSON:
		return printJSON(r.out, r.result(&answer{}))
	}
	_, err := fmt.Fprintln(r.out)
	return err
}
