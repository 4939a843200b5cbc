package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// The lines of a conversation. A line is a question, or a command when it begins with a slash. At a terminal the turns
// form one conversation; the lines of a pipe are questions of their own, with one line of answer each.

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
		{"/save", "FILE", "FILE.json gets the conversation as training pairs, FILE.safetensors the model", (*repl).save},
		{"/set", "NAME=VALUE", "change a setting, e.g. temperature=0.7; without one: show all", (*repl).set},
		{"/beam", "N", "look for the likeliest answer with N hypotheses; 1: off", (*repl).beam},
		{"/stats", "", "the model, the context and the last answer in figures", (*repl).stats},
		{"/why", "", "the last answer's tokens, their probability and the runners-up", (*repl).why},
		{"/exit", "", "leave, as the end of input does", (*repl).exit},
	}
}

// run reads and answers until the end of input, /exit or a signal outside an answer.
func (r *repl) run() error {
	r.oneLine = !r.person
	if r.person {
		fmt.Fprintln(r.err, "Ask something. /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.")
	}
	for {
		if r.person {
			fmt.Fprint(r.aside(), "> ")
		}
		line, err := r.line()
		if err != nil && r.person {
			fmt.Fprintln(r.aside())
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

// obey carries out one line.
func (r *repl) obey(line string) error {
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return r.blank()
	case strings.HasPrefix(line, "/"):
		return r.command(line)
	case !r.person:
		r.forget()
	}
	return r.reply(line)
}

// command carries out a command. Its failure is told, not returned.
func (r *repl) command(line string) error {
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
	return r.blank()
}

func (r *repl) help(string) error {
	for _, cmd := range replCommands() {
		fmt.Fprintf(r.aside(), "  %-18s %s\n", strings.TrimSpace(cmd.name+" "+cmd.argument), cmd.purpose)
	}
	fmt.Fprintln(r.aside(), "Anything else is a question. Lines are edited as the terminal does it; rlwrap gogpt chat … adds a history.")
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
	var err error
	switch filepath.Ext(path) {
	case ".json":
		err = r.saveTurns(path)
	case ".safetensors":
		err = saveModel(path, r.model, r.tokenizer)
	default:
		return errors.New("/save takes FILE.json for the conversation or FILE.safetensors for the model")
	}
	if err == nil {
		r.note("saved: " + path)
	}
	return err
}

// saveTurns leaves out turns with a blank answer, which no training takes.
func (r *repl) saveTurns(path string) error {
	var pairs []pair
	for _, t := range r.turns {
		if strings.TrimSpace(t.Assistant) != "" {
			pairs = append(pairs, t.pair)
		}
	}
	if len(pairs) == 0 {
		return errors.New("there is no answer to save yet")
	}
	if blank := len(r.turns) - len(pairs); blank > 0 {
		r.note(counted(blank, "blank answer") + " left out")
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
		fs.VisitAll(func(f *flag.Flag) { fmt.Fprintf(r.aside(), "  %s=%s\n", f.Name, f.Value) })
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
	out := r.aside()
	fmt.Fprintf(out, "model: %d parameters, %d layers, vocabulary %d, kernel %s, %s\n", r.model.ParamCount(), r.model.Layers,
		r.model.Vocab, kernelName(), counted(threads(), "thread"))
	fmt.Fprintf(out, "conversation: %s, of which the model sees %d\n", counted(len(r.turns), "turn"), len(r.turns)-r.first)
	if a := r.last; a != nil {
		fmt.Fprintf(out, "last answer: %s, %.0f a second, ended by %s, %d of %s of the context in use\n", counted(len(a.tokens), "token"),
			a.tokensPerSec(), a.reason, a.seen, counted(r.model.Context, "token"))
	}
	return nil
}

// why shows every token of the last answer with its probability and the likeliest others.
func (r *repl) why(string) error {
	if r.last == nil {
		return errors.New("there is no answer yet")
	}
	out := r.aside()
	for _, t := range r.last.tokens {
		fmt.Fprintf(out, "  %6.2f %%  %-14s", 100*math.Exp(t.logProb), strconv.Quote(r.tokenizer.piece(t.token)))
		for _, other := range t.top {
			if other.token >= 0 && other.token != t.token {
				fmt.Fprintf(out, "  %s %.2f %%", strconv.Quote(r.tokenizer.piece(other.token)), 100*math.Exp(other.logProb))
			}
		}
		fmt.Fprintln(out)
	}
	for _, b := range r.result(r.last).Beams {
		fmt.Fprintf(out, "  beam: score %.3f, log-probability %.3f  %q\n", float64(b.Score), float64(b.LogProb), b.Text)
	}
	fmt.Fprintf(out, "  ended by %s\n", r.last.reason)
	return nil
}
