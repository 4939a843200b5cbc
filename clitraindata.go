package main

import (
	"flag"
	"fmt"

	"gogpt/internal/atomicfile"
	"gogpt/internal/survey"
)

// What a run starts from: its data, its tokenizer, and its weights. They are new, with a vocabulary of the data, or
// those of a saved model, which --init-from names or a person chooses. Everything else begins anew: moments, schedule,
// epochs, random numbers.

// inputs is everything that a run starts from.
type inputs struct {
	text, chat       *corpus           // of pretraining, of tuning
	valText, valChat *corpus           // the user's validation data; nil: none
	digests          map[string]string // SHA-256 by the name of the input
}

// loadInputs reads the data that the flags name, or the built-in data, and computes the digests.
func loadInputs(cfg *Config) (in inputs, err error) {
	if in.text, in.chat, err = loadTrainingCorpora(cfg); err != nil {
		return in, err
	}
	if in.valText, in.valChat, err = loadValidationCorpora(cfg); err != nil {
		return in, err
	}
	in.digests = map[string]string{"pretrain": in.text.digest(), "finetune": in.chat.digest()}
	if in.valText != nil {
		in.digests["val-data"] = in.valText.digest()
	}
	if in.valChat != nil {
		in.digests["chat-val-data"] = in.valChat.digest()
	}
	if cfg.InitFrom != "" {
		if in.digests["init-from"], err = fileDigest(cfg.InitFrom); err != nil {
			return in, atomicfile.PathError(cfg.InitFrom, err)
		}
	}
	return in, nil
}

// prepare loads and splits the data, sets the tokenizer and the model, and makes the datasets. It returns the digests
// of everything that the run starts from.
func (s *session) prepare() (digests map[string]string, err error) {
	cfg := s.cfg
	in, err := loadInputs(cfg)
	if err != nil {
		return nil, err
	}
	text, heldText, err := s.holdOut("pretrain", in.text, in.valText)
	if err != nil {
		return nil, err
	}
	chat, heldChat, err := s.holdOut("finetune", in.chat, in.valChat)
	if err != nil {
		return nil, err
	}
	if err := s.initModel(text, chat); err != nil {
		return nil, err
	}
	if err := s.addPhase("pretrain", cfg.Pretrain, pretrainOrder, text, heldText); err != nil {
		return nil, err
	}
	if err := s.addPhase("finetune", cfg.Finetune, finetuneOrder, chat, heldChat); err != nil {
		return nil, err
	}
	return in.digests, s.loadHeldout()
}

// holdOut returns the training part of a phase's data, and what the phase validates on: the user's validation data or,
// where that is nil, the share of --val-fraction. It adds a warning when training data contains the user's.
func (s *session) holdOut(phase string, data, validation *corpus) (train, held *corpus, err error) {
	if validation == nil {
		if train, held, err = splitCorpus(data, s.cfg.ValFraction, s.cfg.Seed); err != nil {
			err = fmt.Errorf("%s: %w", phase, err)
		}
		return train, held, err
	}
	samples := samplesOf(validation, survey.Place{})
	if n := len(survey.Overlap(samplesOf(data, survey.Place{}), samples)); n > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("%s: %d of its %d samples are in the training data too",
			s.cfg.validationFlag(phase), n, len(samples)))
	}
	return data, validation, nil
}

// validationFlag returns the flag, with its value, that chooses the validation data of a phase, or "".
func (c *Config) validationFlag(phase string) string {
	switch {
	case c.ValFraction > 0:
		return fmt.Sprintf("--val-fraction=%g", c.ValFraction)
	case phase == "pretrain" && c.ValData != "":
		return "--val-data=" + c.ValData
	case phase == "finetune" && c.ChatValData != "":
		return "--chat-val-data=" + c.ChatValData
	}
	return ""
}

// addPhase makes the datasets of a phase that has epochs.
func (s *session) addPhase(name string, plan PhaseConfig, stream uint64, train, held *corpus) error {
	if plan.Epochs == 0 {
		return nil
	}
	joined := name == "finetune"
	all := !joined || s.cfg.TrainOnAll
	d := newDataset(s.tokenizer, train, s.cfg.Model.Context, joined, all)
	d.seed, d.stream = s.cfg.Seed, stream
	if d.count(0) == 0 {
		return fmt.Errorf("%s: the data holds no sample of two tokens or more", name)
	}
	validation := newDataset(s.tokenizer, held, s.cfg.Model.Context, false, all).inOrder()
	if flag := s.cfg.validationFlag(name); flag != "" && len(validation) == 0 {
		return fmt.Errorf("%s: %s data: no held-out sample of two tokens or more", flag, name)
	}
	s.phases = append(s.phases, &phase{
		name: name, config: plan, train: d, held: validation, first: len(s.phases) == 0, stream: stream})
	if s.prompts != nil {
		s.prompts[name] = newSamplePrompt(s.tokenizer, d)
	}
	return nil
}

// loadHeldout reads the held-out questions of the repository's data, which no run trains on.
func (s *session) loadHeldout() (err error) {
	if s.cfg.PretrainData == "" && s.cfg.ChatData == "" {
		s.heldout, err = loadUserOrBuiltIn("", heldoutFile)
	}
	return err
}

// startFrom makes a run start from a saved model. The sizes and the kind of tokenizer become those of the file.
func (c *Config) startFrom(path string) error {
	m, t, err := loadModel(path)
	if err != nil {
		return err
	}
	if !t.hasChatTokens() {
		return fmt.Errorf("%s: the model has no tokens for the speakers of a conversation: its training cannot continue here",
			path)
	}
	c.InitFrom, c.Model, c.Tokenizer = path, m.ModelConfig, t.kind
	return nil
}

// applyInitFrom makes a run start from the file of --init-from, if that flag was given. fs holds the parsed flags of c.
// Another flag that contradicts the file is an error. --vocab-size is a limit, which the file's vocabulary must keep.
func (c *Config) applyInitFrom(fs *flag.FlagSet) error {
	if c.InitFrom == "" {
		return nil
	}
	limit, wanted := c.Model.Vocab, map[string]string{}
	fs.Visit(func(f *flag.Flag) { wanted[f.Name] = f.Value.String() })
	if err := c.startFrom(c.InitFrom); err != nil {
		return err
	}
	var r ranges
	fs.Visit(func(f *flag.Flag) {
		want, got := wanted[f.Name], f.Value.String()
		if f.Name == "vocab-size" {
			r.check(limit >= c.Model.Vocab, f.Name, want,
				fmt.Sprintf("at least %s, the vocabulary in --init-from=%s", got, c.InitFrom))
			return
		}
		r.check(want == got, f.Name, want, fmt.Sprintf("%s, as in --init-from=%s", got, c.InitFrom))
	})
	return r.bad
}

// initModel sets the tokenizer and the model: those of --init-from, or a vocabulary of the texts and new weights.
func (s *session) initModel(texts ...*corpus) (err error) {
	cfg := s.cfg
	if cfg.InitFrom != "" {
		s.model, s.tokenizer, err = loadModel(cfg.InitFrom)
	} else if s.tokenizer, err = buildTokenizer(cfg, texts...); err == nil {
		cfg.Model.Vocab = s.tokenizer.size()
		s.model = newLLM(cfg.Model, newRNG(cfg.Seed, initStream))
	}
	if err == nil {
		cfg.Model = s.model.ModelConfig
	}
	return err
}
