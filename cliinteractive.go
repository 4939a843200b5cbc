package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gogpt/internal/kernel"
	"gogpt/internal/terminal"
)

// Interactive training: the program asks which model to start from, shows an answer before and after training, asks
// where to save, and then starts a conversation. The training itself is the session that also runs without questions.

const (
	checkpointFolder = "checkpoints" // folder of the saved models, unless --checkpoint-dir names another
	testPrompt       = "你好，请介绍一下太阳。"
	testTokens       = 48 // longest answer to it: an untrained model does not stop by itself
)

// interactiveRun is a session, and the dialog with the person who answers its questions.
type interactiveRun struct {
	dialog  *terminal.Dialog
	session *session
}

// run asks which model to start from, trains it if that was chosen, and then runs the conversation.
func (p *interactiveRun) run() error {
	s := p.session
	mustTrain, err := p.chooseStart()
	if err != nil {
		return err
	}
	when := "as loaded"
	if mustTrain {
		when = "after training"
		s.started = func() error { return p.answerTestPrompt("before training") }
		s.pretrained = func() error {
			if !s.unfinished { // the question after training is about the same model
				return nil
			}
			return p.offerSave("the pretrained model", p.path(pretrainedModel), p.path(pretrainedModel))
		}
		if err := s.run(p.dialog.Console); err != nil {
			return p.offerInterruptedSave(err)
		}
		if err := p.offerSave("the model", p.path(finalModel), p.path(finalModel)); err != nil {
			return err
		}
	}
	if err := p.answerTestPrompt(when); err != nil {
		return err
	}
	return p.newREPL(p.generation()).run()
}

// generation returns the settings of answers: the defaults with the seed of the run.
func (p *interactiveRun) generation() generationConfig {
	c := defaultGeneration()
	c.Seed = p.session.cfg.Seed
	return c
}

// newREPL returns a new conversation with the model of the session.
func (p *interactiveRun) newREPL(c generationConfig) *repl {
	return newREPL(p.dialog, newChat(p.session.model, p.session.tokenizer, c), false)
}

// path returns the path of the saved model with this file name.
func (p *interactiveRun) path(name string) string {
	return filepath.Join(cmp.Or(p.session.flags.checkpointDir, checkpointFolder), name)
}

// chooseStart offers the saved models, unless --init-from names one. It loads the chosen one, or makes it the start of
// the training. It reports whether training comes before the conversation.
func (p *interactiveRun) chooseStart() (mustTrain bool, err error) {
	s, out := p.session, p.dialog.Console.Out
	if s.cfg.InitFrom != "" {
		return true, nil
	}
	var found []string
	for _, name := range []string{finalModel, pretrainedModel} {
		if info, err := os.Stat(p.path(name)); err == nil && info.Mode().IsRegular() {
			found = append(found, p.path(name))
		}
	}
	if len(found) == 0 {
		return true, nil
	}
	fmt.Fprintf(out, "saved models: %s\n", strings.Join(found, ", "))
	choice, err := p.chooseWord("load one and talk, train anew, or continue its training?", "load", "train", "continue")
	if err != nil || choice == "train" {
		return true, err
	}
	path := found[0]
	if len(found) > 1 {
		which, err := p.chooseWord("which one?", "final", "pretrained")
		if err != nil {
			return false, err
		}
		if which == "pretrained" {
			path = found[1]
		}
	}
	if choice == "continue" {
		err = s.cfg.startFrom(path)
	} else if s.model, s.tokenizer, err = loadModel(path); err == nil {
		s.cfg.Model = s.model.ModelConfig
	}
	if err != nil {
		return false, err
	}
	fmt.Fprintf(out, "loaded: %s, %.0f parameters\n", path, s.cfg.Model.weights())
	if choice == "load" {
		return false, nil
	}
	return true, p.choosePlan()
}

// chooseWord asks for one of some words and returns the one that the reply is or begins. The first word is the default.
func (p *interactiveRun) chooseWord(question string, words ...string) (chosen string, err error) {
	question = fmt.Sprintf("%s (%s)", question, strings.Join(words, ", "))
	err = p.dialog.Choose(question, words[0], func(reply string) error {
		for _, word := range words {
			if reply != "" && strings.HasPrefix(word, strings.ToLower(reply)) {
				chosen = word
				return nil
			}
		}
		return fmt.Errorf("%q is none of: %s", reply, strings.Join(words, ", "))
	})
	return chosen, err
}

// choosePlan asks for the epochs and the learning rate with which pretraining continues.
func (p *interactiveRun) choosePlan() error {
	plan := p.session.cfg.Pretrain
	epochs, lr := strconv.Itoa(plan.Epochs), strconv.FormatFloat(plan.LR, 'g', -1, 64)
	err := p.dialog.Choose("epochs of pretraining", epochs, func(reply string) error {
		n, err := strconv.Atoi(reply)
		return p.changePlan(reply, err, func(plan *PhaseConfig) { plan.Epochs = n })
	})
	if err != nil {
		return err
	}
	return p.dialog.Choose("learning rate", lr, func(reply string) error {
		lr, err := strconv.ParseFloat(reply, 64)
		return p.changePlan(reply, err, func(plan *PhaseConfig) { plan.LR = lr })
	})
}

// changePlan changes the plan of pretraining, unless the reply could not be parsed or the new plan is not valid.
func (p *interactiveRun) changePlan(reply string, parseErr error, change func(*PhaseConfig)) error {
	if parseErr != nil {
		return fmt.Errorf("%q is not a number", reply)
	}
	s := p.session
	next := *s.cfg
	change(&next.Pretrain)
	if err := next.validate(); err != nil {
		return err
	}
	*s.cfg = next
	s.values = flagValues(s.cfg, s.flags)
	return nil
}

// answerTestPrompt shows the model's answer to a fixed prompt.
func (p *interactiveRun) answerTestPrompt(when string) error {
	c := p.generation()
	c.MaxTokens = testTokens
	fmt.Fprintf(p.dialog.Console.Out, "\n%s (%s)\n", testPrompt, when)
	return p.newREPL(c).reply(testPrompt)
}

// offerSave asks whether and where to save the model, unless a flag has decided that. path is the file for the reply y.
// It prints the error of a failed save and does not return it.
func (p *interactiveRun) offerSave(what, path, defaultReply string) error {
	s, console := p.session, p.dialog.Console
	if s.flags.save != "" || s.flags.checkpointDir != "" {
		return nil
	}
	question := fmt.Sprintf("save %s? (y, n or another file name)", what)
	err := p.dialog.Choose(question, defaultReply, func(reply string) error {
		switch strings.ToLower(reply) {
		case "n", "no":
			return nil
		case "y", "yes":
			reply = path
		}
		if err := os.MkdirAll(filepath.Dir(reply), 0o755); err != nil {
			return err
		}
		return s.saveTo(console, reply)
	})
	if p.dialog.InterruptedInput || err == nil {
		return err
	}
	fmt.Fprintf(console.Err, "not saved: %v\n", err)
	return nil
}

// offerInterruptedSave offers a person whose Ctrl-C has stopped the training, not a question, to save the model. It
// returns the error of the training.
func (p *interactiveRun) offerInterruptedSave(failed error) error {
	stopped, ok := errors.AsType[*terminal.Interrupted](failed)
	if !ok || stopped.Code != terminal.ExitSIGINT || p.dialog.InterruptedInput || !p.dialog.Person {
		return failed
	}
	if err := p.offerSave("the model as it is", p.path(p.session.stage()), "n"); err != nil {
		return err
	}
	return failed
}

// chatCommand runs gogpt chat: a conversation with a saved model, or the answer to one prompt.
func chatCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	gen, cfg := defaultGeneration(), defaultConfig()
	model := fs.String("model", "", "saved model, a safetensors `FILE`")
	prompt := fs.String("prompt", "", "print the answer to this `TEXT` and exit")
	asJSON := fs.Bool("json", false, "print one JSON object per answer")
	machineFlags(fs, &cfg)
	generationFlags(fs, &gen)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := cmp.Or(required("model", *model), gen.validate(), cfg.validate()); err != nil {
		return err
	}
	once := given(fs, "prompt")
	if once && strings.TrimSpace(*prompt) == "" {
		return usagef("--prompt=%s: takes a text that is not blank", *prompt)
	}
	kernel.SetThreads(cfg.Threads)
	m, t, err := loadModel(*model)
	if err != nil {
		return err
	}
	r := newREPL(terminal.NewDialog(c), newChat(m, t, gen), *asJSON)
	if once {
		return r.answerOnce(*prompt)
	}
	return r.run()
}
