package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"gogpt/internal/atomicfile"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

// The read-eval-print loop of a conversation. A line is a question, or a command if it begins with a slash. At a
// terminal the turns form one conversation, and three commands need no slash. From a file or a pipe every line is a
// question of its own and gets one line of answer.

// repl is a conversation with a person or a pipe.
type repl struct {
	dialog  *terminal.Dialog
	console *terminal.Console // of the dialog
	chat    *chat
	asJSON  bool // standard output holds one JSON value per answer and nothing else
	oneLine bool // line breaks in an answer are printed as spaces
}

// newREPL returns a conversation over the console of a dialog.
func newREPL(d *terminal.Dialog, c *chat, asJSON bool) *repl {
	return &repl{dialog: d, console: d.Console, chat: c, asJSON: asJSON}
}

// errExit is the error of /exit, which ends the conversation.
var errExit = errors.New("exit")

// run reads and answers lines until the end of the input, /exit or a signal outside an answer.
func (r *repl) run() error {
	r.oneLine = !r.dialog.Person
	if r.dialog.Person {
		fmt.Fprintln(r.console.Err, "Ask something. /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.")
	}
	for {
		if r.dialog.Person {
			fmt.Fprint(r.sideOutput(), "> ")
		}
		line, err := r.dialog.Line()
		if err != nil && r.dialog.Person {
			fmt.Fprintln(r.sideOutput())
		}
		if err == nil {
			err = r.execute(strings.TrimSpace(line))
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errExit):
			return nil
		case err != nil:
			return err
		}
	}
}

// execute runs one line: a command, a question or nothing.
func (r *repl) execute(line string) error {
	switch {
	case line == "":
		return r.printEmpty()
	case strings.HasPrefix(line, "/"):
		return r.command(line)
	case !r.dialog.Person:
		r.chat.clear()
	case slices.Contains(plainCommands, strings.ToLower(line)):
		command := "/" + strings.ToLower(line)
		r.note(line + ": as " + command)
		return r.command(command)
	}
	return r.reply(line)
}

// plainCommands need no slash at a terminal, when nothing else is on the line and in any case of letters: they are the
// commands of RustGPT.
var plainCommands = []string{"exit", "clear", "save"}

// sideOutput returns the stream for prompts and the output of commands.
func (r *repl) sideOutput() io.Writer {
	if r.asJSON {
		return r.console.Err
	}
	return r.console.Out
}

// note prints a remark on standard error.
func (r *repl) note(text string) { fmt.Fprintf(r.console.Err, "(%s)\n", text) }

// reply answers a question. Ctrl-C by a person stops only the answer; every other signal is an error.
func (r *repl) reply(question string) error {
	err := r.answerOnce(question)
	stopped, ok := errors.AsType[*terminal.Interrupted](err)
	if ok && r.dialog.Person && stopped.Code == terminal.ExitSIGINT {
		return nil
	}
	return err
}

// answerOnce answers a question. A signal stops the answer and is an error.
func (r *repl) answerOnce(question string) error {
	ctx, caught, stop := terminal.CatchSignals()
	err := r.print(ctx, question)
	stop()
	return cmp.Or(err, caught())
}

// print prints the answer to a question, and then the notes about it.
func (r *repl) print(ctx context.Context, question string) error {
	var notes []string
	show := r.show
	if r.asJSON {
		show = func([]byte) {}
	}
	a, err := r.chat.ask(ctx, question, show, func(text string) { notes = append(notes, text) })
	if err != nil {
		return err
	}
	if r.asJSON {
		err = strictjson.Print(r.console.Out, r.chat.generator.result(a))
	} else {
		_, err = fmt.Fprintln(r.console.Out)
	}
	switch a.reason {
	case stopInterrupted:
		notes = append(notes, "stopped")
	case stopMaxTokens:
		notes = append(notes, fmt.Sprintf("cut at max-tokens=%d", r.chat.generator.config.MaxTokens))
	}
	for _, text := range notes {
		r.note(text)
	}
	return err
}

// show prints a part of an answer. An untrained model produces any bytes: control characters, which could move the
// cursor or change colours, are replaced before they reach a terminal.
func (r *repl) show(text []byte) {
	toTerminal := terminal.IsTerminal(r.console.Out)
	r.console.Out.Write(bytes.Map(func(c rune) rune {
		switch {
		case r.oneLine && (c == '\n' || c == '\r'):
			return ' '
		case c == '\n', c == '\t':
			return c
		case toTerminal && unicode.IsControl(c):
			return unicode.ReplacementChar
		}
		return c
	}, text))
}

// printEmpty prints an empty answer to a pipe, so that the n-th answer belongs to the n-th line that is not a command.
func (r *repl) printEmpty() error {
	switch {
	case r.dialog.Person:
		return nil
	case r.asJSON:
		return strictjson.Print(r.console.Out, r.chat.generator.result(&answer{}))
	}
	_, err := fmt.Fprintln(r.console.Out)
	return err
}

// replCommand is a command of the conversation.
type replCommand struct {
	name, argument, purpose string
	run                     func(r *repl, argument string) error
}

// replCommands returns every command of the conversation.
func replCommands() []replCommand {
	return []replCommand{
		{"/help", "", "list the commands", (*repl).help},
		{"/clear", "", "start a new conversation", (*repl).clear},
		{"/save", "FILE", "save the conversation as training data (FILE.json) or the model (FILE.safetensors)", (*repl).save},
		{"/set", "NAME=VALUE", "change a setting, e.g. temperature=0.7; without NAME=VALUE: show all settings", (*repl).set},
		{"/beam", "N", "search for the likeliest answer with N hypotheses; 1: off", (*repl).beam},
		{"/stats", "", "show figures of the model, the context and the last answer", (*repl).stats},
		{"/why", "", "show the last answer's tokens with their probabilities and the likeliest alternatives", (*repl).why},
		{"/exit", "", "leave, like the end of the input (Ctrl-D)", (*repl).exit},
	}
}

// command runs a command. It prints the error of a command and returns only errExit.
func (r *repl) command(line string) error {
	name, argument, _ := strings.Cut(line, " ")
	var names []string
	for _, cmd := range replCommands() {
		if cmd.name == name {
			err := cmd.run(r, strings.TrimSpace(argument))
			if err != nil && !errors.Is(err, errExit) {
				r.note(err.Error())
				return nil
			}
			return err
		}
		names = append(names, cmd.name)
	}
	r.note(fmt.Sprintf("unknown command %q%s; /help lists the commands", name, didYouMean(name, names, "")))
	return r.printEmpty()
}

func (r *repl) help(string) error {
	for _, cmd := range replCommands() {
		fmt.Fprintf(r.sideOutput(), "  %-18s %s\n", strings.TrimSpace(cmd.name+" "+cmd.argument), cmd.purpose)
	}
	if r.dialog.Person {
		fmt.Fprintf(r.sideOutput(), "Alone on a line, these need no slash: %s.\n", strings.Join(plainCommands, ", "))
	}
	fmt.Fprintln(r.sideOutput(), "Anything else is a question. To edit lines with a history, start: rlwrap gogpt chat …")
	return nil
}

func (r *repl) clear(string) error {
	r.chat.clear()
	r.note("a new conversation")
	return nil
}

func (r *repl) exit(string) error { return errExit }

// save saves the conversation, in the form that --chat-data reads, or the model.
func (r *repl) save(path string) error {
	var err error
	switch filepath.Ext(path) {
	case ".json":
		err = r.saveTurns(path)
	case ".safetensors":
		err = saveModel(path, r.chat.generator.model, r.chat.generator.tokenizer)
	default:
		return errors.New("/save takes FILE.json for the conversation or FILE.safetensors for the model")
	}
	if err == nil {
		r.note("saved: " + path)
	}
	return err
}

// saveTurns saves the questions that have an answer, as training data.
func (r *repl) saveTurns(path string) error {
	pairs := r.chat.answered()
	if len(pairs) == 0 {
		return errors.New("there is no answer to save yet")
	}
	if blank := len(r.chat.turns) - len(pairs); blank > 0 {
		r.note(counted(blank, "blank answer") + " left out")
	}
	return atomicfile.Save(path, func(w io.Writer) error { return strictjson.Print(w, pairs) })
}

// set changes one setting, or shows all.
func (r *repl) set(argument string) error {
	if argument == "" {
		config := r.chat.generator.config
		settingFlags(&config).VisitAll(func(f *flag.Flag) { fmt.Fprintf(r.sideOutput(), "  %s=%s\n", f.Name, f.Value) })
		return nil
	}
	name, value, ok := strings.Cut(argument, "=")
	if !ok {
		return errors.New("/set takes NAME=VALUE, e.g. /set temperature=0.7")
	}
	return r.chat.set(strings.TrimLeft(strings.TrimSpace(name), "-"), strings.TrimSpace(value))
}

func (r *repl) beam(argument string) error {
	if argument == "" {
		return errors.New("/beam takes a number of hypotheses, e.g. /beam 3")
	}
	return r.chat.set("beam", argument)
}

func (r *repl) stats(string) error {
	r.chat.printStats(r.sideOutput())
	return nil
}

func (r *repl) why(string) error { return r.chat.printWhy(r.sideOutput()) }
