package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// The conversation on a terminal or through a pipe. A line is a question, or a command when it begins with a slash. At a
// terminal the turns form one conversation; the lines of a pipe are questions of their own, with one line of answer each.

// repl is a conversation with a person or a pipe.
type repl struct {
	*dialog
	*chat
	asJSON bool
}

func newREPL(d *dialog, c *chat, asJSON bool) *repl { return &repl{dialog: d, chat: c, asJSON: asJSON} }

// errLeave ends the conversation.
var errLeave = errors.New("leave")

// replCommand is one command of the conversation.
type replCommand struct {
	name, argument, purpose string
	run                     func(r *repl, argument string) error
}

func replCommands() []replCommand {
	return []replCommand{
		{"/help", "", "this list", (*repl).help},
		{"/clear", "", "begin a new conversation", (*repl).clear},
		{"/save", "FILE", "save the conversation as training pairs; a FILE.safetensors gets the model", (*repl).save},
		{"/set", "NAME=VALUE", "change a setting, e.g. temperature=0.7; without one: show all", (*repl).set},
		{"/beam", "N", "look for the likeliest answer with N hypotheses; 1: off", (*repl).beam},
		{"/stats", "", "the model, the context and the last answer in figures", (*repl).stats},
		{"/why", "", "the last answer's tokens, their probability and the runners-up", (*repl).why},
		{"/exit", "", "leave, as the end of input does", (*repl).exit},
	}
}

// run reads and answers until the end of input, /exit or a signal outside an answer.
func (r *repl) run() error {
	if r.person {
		fmt.Fprintln(r.err, "Ask something. /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.")
	}
	for {
		if r.person {
			fmt.Fprint(r.out, "> ")
		}
		line, err := r.line()
		if err != nil && r.person {
			fmt.Fprintln(r.out)
		}
		if err == nil {
			err = r.obey(line)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errLeave):
			return nil
		case err != nil:
			return err
		}
	}
}

// obey carries out one line. A command's failure is told, not returned.
func (r *repl) obey(line string) error {
	line = strings.TrimSpace(line)
	if line == "" {
		if !r.person && !r.asJSON {
			fmt.Fprintln(r.out)
		}
		return nil
	}
	if !strings.HasPrefix(line, "/") {
		if !r.person {
			r.forget()
		}
		return r.reply(line)
	}
	name, argument, _ := strings.Cut(line, " ")
	var names []string
	for _, cmd := range replCommands() {
		if cmd.name == name {
			err := cmd.run(r, strings.TrimSpace(argument))
			if err != nil && !errors.Is(err, errLeave) {
				r.note(err.Error())
				return nil
			}
			return err
		}
		names = append(names, cmd.name)
	}
	r.note(fmt.Sprintf("unknown command %q%s; /help lists them", name, didYouMean(name, names, "")))
	return nil
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
// one; where lines come from a pipe, line breaks inside an answer become spaces.
func (r *repl) show(text []byte) {
	terminal := isTerminal(r.out)
	r.out.Write(bytes.Map(func(c rune) rune {
		switch {
		case c == '\n' && r.person, c == '\t':
			return c
		case c == '\n':
			return ' '
		case terminal && unicode.IsControl(c):
			return unicode.ReplacementChar
		}
		return c
	}, text))
}

func (r *repl) help(string) error {
	for _, cmd := range replCommands() {
		fmt.Fprintf(r.out, "  %-18s %s\n", strings.TrimSpace(cmd.name+" "+cmd.argument), cmd.purpose)
	}
	fmt.Fprintln(r.out, "Anything else is a question. Lines are edited as the terminal does it; rlwrap gogpt chat … adds a history.")
	return nil
}

func (r *repl) clear(string) error {
	r.forget()
	r.note("a new conversation")
	return nil
}

func (r *repl) exit(string) error { return errLeave }

// save writes the turns in the form that --chat-data reads, or the model.
func (r *repl) save(path string) error {
	if path == "" {
		return errors.New("/save needs a file name: /save FILE")
	}
	if strings.HasSuffix(path, ".safetensors") {
		if err := saveModel(path, r.model, r.tokenizer); err != nil {
			return err
		}
	} else if err := r.saveTurns(path); err != nil {
		return err
	}
	r.note("saved: " + path)
	return nil
}

func (r *repl) saveTurns(path string) error {
	pairs := []pair{}
	for _, t := range r.turns {
		pairs = append(pairs, t.pair)
	}
	return saveFile(path, func(w io.Writer) error { return printJSON(w, pairs) })
}

// set changes one setting by the name of its flag, or shows all.
func (r *repl) set(argument string) error {
	next := r.generationConfig
	next.Stops = append([]string(nil), next.Stops...)
	fs := flag.NewFlagSet("/set", flag.ContinueOnError)
	generationFlags(fs, &next)
	if argument == "" {
		fs.VisitAll(func(f *flag.Flag) { fmt.Fprintf(r.out, "  %s=%s\n", f.Name, f.Value) })
		return nil
	}
	name, value, ok := strings.Cut(argument, "=")
	if !ok {
		return errors.New("/set takes NAME=VALUE, e.g. /set temperature=0.7")
	}
	name = strings.TrimLeft(strings.TrimSpace(name), "-")
	if fs.Lookup(name) == nil {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return fmt.Errorf("no setting %q%s", name, didYouMean(name, names, ""))
	}
	if err := fs.Set(name, strings.TrimSpace(value)); err != nil {
		return fmt.Errorf("%s=%s: takes %s", name, value, takes(fs, name))
	}
	if err := next.validate(); err != nil {
		return err
	}
	r.configure(next)
	return nil
}

func (r *repl) beam(argument string) error {
	if argument == "" {
		return errors.New("/beam takes a number of hypotheses, e.g. /beam 3")
	}
	return r.set("beam=" + argument)
}

func (r *repl) stats(string) error {
	fmt.Fprintf(r.out, "model: %d parameters, %d layers, vocabulary %d, kernel %s, %s\n", r.model.ParamCount(), r.model.Layers,
		r.model.Vocab, kernelName(), counted(threads(), "thread"))
	fmt.Fprintf(r.out, "conversation: %s, of which the model sees %d\n", counted(len(r.turns), "turn"), len(r.turns)-r.first)
	if a := r.last; a != nil {
		fmt.Fprintf(r.out, "last answer: %s, %.0f a second, ended by %s, %d of %s of the context in use\n", counted(len(a.tokens), "token"),
			a.tokensPerSec(), a.reason, a.seen, counted(r.model.Context, "token"))
	}
	return nil
}

// why shows every token of the last answer with its probability and the likeliest others.
func (r *repl) why(string) error {
	if r.last == nil {
		return errors.New("there is no answer yet")
	}
	for _, t := range r.last.tokens {
		fmt.Fprintf(r.out, "  %6.2f %%  %-14s", 100*math.Exp(t.logProb), strconv.Quote(r.tokenizer.piece(t.token)))
		for _, other := range t.top {
			if other.token >= 0 && other.token != t.token {
				fmt.Fprintf(r.out, "  %s %.2f %%", strconv.Quote(r.tokenizer.piece(other.token)), 100*math.Exp(other.logProb))
			}
		}
		fmt.Fprintln(r.out)
	}
	for _, b := range r.result(r.last).Beams {
		fmt.Fprintf(r.out, "  beam: score %.3f, log-probability %.3f  %q\n", float64(b.Score), float64(b.LogProb), b.Text)
	}
	fmt.Fprintf(r.out, "  ended by %s\n", r.last.reason)
	return nil
}
