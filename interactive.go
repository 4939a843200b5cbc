package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Training with someone to ask: which model to start from, an answer before and after, where to save, and then a
// conversation. The training is the same session that runs without questions.

const (
	checkpointFolder = "checkpoints" // where models are looked for and saved, unless --checkpoint-dir names another
	testPrompt       = "你好，请介绍一下太阳。"
	testTokens       = 48 // of an answer to it: an untrained model does not stop by itself
)

// pipeline is a session and the person who answers its questions.
type pipeline struct {
	*dialog
	*session
}

// walk goes from the first question to the end of the conversation.
func (p *pipeline) walk() error {
	mustTrain, err := p.chooseStart()
	if err != nil {
		return err
	}
	when := "as loaded"
	if mustTrain {
		when = "after training"
		p.started = func() error { return p.test("before training") }
		p.pretrained = func() error {
			return p.offerSave("the pretrained model", p.file(pretrainedModel), p.file(pretrainedModel))
		}
		if err := p.session.run(p.console); err != nil {
			return p.rescue(err)
		}
	}
	if mustTrain {
		if err := p.offerSave("the model", p.file(finalModel), p.file(finalModel)); err != nil {
			return err
		}
	}
	if err := p.test(when); err != nil {
		return err
	}
	return newREPL(p.dialog, newChat(p.model, p.tokenizer, p.settings()), false).run()
}

func (p *pipeline) settings() generationConfig {
	c := defaultGeneration()
	c.Seed = p.cfg.Seed
	return c
}

// file is the place of a model in the folder of this run.
func (p *pipeline) file(name string) string {
	folder := p.flags.checkpointDir
	if folder == "" {
		folder = checkpointFolder
	}
	return filepath.Join(folder, name)
}

// chooseStart offers the models that are there and loads the one that is chosen. mustTrain: training comes before the
// conversation.
func (p *pipeline) chooseStart() (mustTrain bool, err error) {
	var found []string
	for _, name := range []string{finalModel, pretrainedModel} {
		if info, err := os.Stat(p.file(name)); err == nil && info.Mode().IsRegular() {
			found = append(found, p.file(name))
		}
	}
	if len(found) == 0 {
		return true, nil
	}
	fmt.Fprintf(p.out, "saved models: %s\n", strings.Join(found, ", "))
	path, choice := found[0], ""
	err = p.choose("load one and talk, train anew, or continue its training? (load, train, continue)", "load", func(reply string) error {
		choice, err = pickWord(reply, "load", "train", "continue")
		return err
	})
	if err != nil || choice == "train" {
		return true, err
	}
	if len(found) > 1 {
		err = p.choose("which one? (final, pretrained)", "final", func(reply string) error {
			word, err := pickWord(reply, "final", "pretrained")
			if word == "pretrained" {
				path = found[1]
			}
			return err
		})
		if err != nil {
			return false, err
		}
	}
	if p.model, p.tokenizer, err = loadModel(path); err != nil {
		return false, err
	}
	p.cfg.Model = p.model.ModelConfig
	fmt.Fprintf(p.out, "loaded: %s, %d parameters\n", path, p.model.ParamCount())
	if choice == "load" {
		return false, nil
	}
	return true, p.choosePlan()
}

// pickWord returns the one of the words that a reply is or begins.
func pickWord(reply string, words ...string) (string, error) {
	for _, word := range words {
		if reply != "" && strings.HasPrefix(word, strings.ToLower(reply)) {
			return word, nil
		}
	}
	return "", fmt.Errorf("%q is none of: %s", reply, strings.Join(words, ", "))
}

// choosePlan asks for the epochs and the learning rate of the pretraining that goes on.
func (p *pipeline) choosePlan() error {
	if !p.tokenizer.speaks() {
		return errors.New("the model has no tokens for the speakers of a conversation: its training cannot continue here")
	}
	epochs, rate := strconv.Itoa(p.cfg.Pretrain.Epochs), strconv.FormatFloat(p.cfg.Pretrain.LR, 'g', -1, 64)
	err := p.choose("epochs of pretraining", epochs, func(reply string) error {
		n, err := strconv.Atoi(reply)
		return p.plan(err, func(plan *PhaseConfig) { plan.Epochs = n })
	})
	if err != nil {
		return err
	}
	return p.choose("learning rate", rate, func(reply string) error {
		lr, err := strconv.ParseFloat(reply, 64)
		return p.plan(err, func(plan *PhaseConfig) { plan.LR = lr })
	})
}

// plan changes the plan of pretraining, unless the reply was no number or the plan would not be valid.
func (p *pipeline) plan(parsed error, change func(*PhaseConfig)) error {
	next := *p.cfg
	if change(&next.Pretrain); parsed != nil {
		return errors.New("that is not a number")
	}
	if err := next.validate(); err != nil {
		return err
	}
	*p.cfg = next
	p.values = flagValues(p.cfg, p.flags)
	return nil
}

// test shows the answer to a fixed prompt.
func (p *pipeline) test(when string) error {
	c := p.settings()
	c.MaxTokens = testTokens
	fmt.Fprintf(p.out, "\n%s (%s)\n", testPrompt, when)
	return newREPL(p.dialog, newChat(p.model, p.tokenizer, c), false).reply(testPrompt)
}

// offerSave asks whether and where to save, unless the flags have said so. The folder is made where it is missing.
func (p *pipeline) offerSave(what, path, standard string) error {
	if p.flags.save != "" || p.flags.checkpointDir != "" {
		return nil
	}
	err := p.choose(fmt.Sprintf("save %s? (y, n or another file name)", what), standard, func(reply string) error {
		switch strings.ToLower(reply) {
		case "n", "no":
			return nil
		case "y", "yes":
			reply = path
		}
		if err := os.MkdirAll(filepath.Dir(reply), 0o755); err != nil {
			return err
		}
		return p.saveTo(p.console, reply)
	})
	if p.left || err == nil {
		return err
	}
	fmt.Fprintf(p.err, "not saved: %v\n", err)
	return nil
}

// rescue lets a person save what a training that Ctrl-C ended has learned, and returns why it ended.
func (p *pipeline) rescue(failed error) error {
	if stopped, ok := errors.AsType[*interrupted](failed); !ok || stopped.code != exitSIGINT || p.left || !p.person {
		return failed
	}
	if err := p.offerSave("the model as it is", p.file(p.stage()), "n"); err != nil {
		return err
	}
	return failed
}
