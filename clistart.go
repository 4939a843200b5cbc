package main

import (
	"flag"
	"fmt"

	"gogpt/internal/atomicfile"
)

// What a run starts from: a new model with a vocabulary of its data, or the weights and the tokenizer of a saved model,
// which --init-from names or a person chooses. Everything else begins anew: moments, schedule, epochs, random numbers.

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

// inputDigests returns the SHA-256 of everything that a run starts from: the data by phase, validation data unless it
// is nil, and the file of --init-from.
func inputDigests(cfg *Config, text, chat, valText, valChat *corpus) (map[string]string, error) {
	digests := map[string]string{"pretrain": text.digest(), "finetune": chat.digest()}
	if valText != nil {
		digests["val-data"] = valText.digest()
	}
	if valChat != nil {
		digests["chat-val-data"] = valChat.digest()
	}
	if cfg.InitFrom != "" {
		digest, err := fileDigest(cfg.InitFrom)
		if err != nil {
			return nil, atomicfile.PathError(cfg.InitFrom, err)
		}
		digests["init-from"] = digest
	}
	return digests, nil
}
