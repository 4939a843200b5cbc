package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A training session: data, tokenizer, model, the phases one after another, and what is saved of them.

const version = "0.1.0"

// The files of --checkpoint-dir.
const (
	pretrainedModel = "model_pretrained.safetensors"
	finalModel      = "model_final.safetensors"
)

// session is one run of the train command.
type session struct {
	cfg    *Config
	flags  *runFlags
	values map[string]string // of every flag, for the log

	tokenizer *tokenizer
	model     *LLM
	monitor   *monitor
	phases    []*phase
	heldout   []example // of the repository's data; empty for other data

	unfinished bool // training is in a phase that another should follow

	// what a person is asked along the way; nil: nothing
	started    func() error // the model stands, training is about to begin
	pretrained func() error // pretraining has ended
}

// outputs lists every file that the run is going to write; that of TensorBoard gets a longer name.
func (s *session) outputs() []string {
	var paths []string
	for _, path := range []string{s.flags.save, s.flags.logJSON, s.flags.report} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	if dir := s.flags.checkpointDir; dir != "" {
		paths = append(paths, filepath.Join(dir, pretrainedModel), filepath.Join(dir, finalModel))
	}
	if dir := s.flags.tensorboard; dir != "" {
		paths = append(paths, filepath.Join(dir, eventFile))
	}
	return paths
}

// run trains, from data to saved model.
func (s *session) run(c *console) error {
	defer c.outliveReader()()
	digests, err := s.prepare()
	if err != nil {
		return err
	}
	s.monitor = newMonitor(c.out, c.tty(), nil, os.Getenv("NO_COLOR") == "")
	release, err := openLogs(s.flags, s.monitor)
	defer release()
	if err != nil {
		return err
	}
	if s.flags.logJSON != "" || s.flags.report != "" {
		for _, p := range s.phases {
			p.prompt = newSamplePrompt(s.tokenizer, p.train)
		}
	}
	fmt.Fprintf(c.out, "GoGPT %s: %d parameters, vocabulary %d (%s), kernel %s, %d threads\n",
		version, s.model.ParamCount(), s.tokenizer.size(), s.tokenizer.kind, kernelName(), threads())
	if err := s.monitor.write(runRecord{Event: "run", Config: s.values, Seed: s.cfg.Seed, Data: digests,
		Parameters: s.model.ParamCount(), Vocab: s.tokenizer.size(), Kernel: kernelName(), Version: version}); err != nil {
		return err
	}
	if s.started != nil {
		if err := s.started(); err != nil {
			return errors.Join(err, s.monitor.end(endOf(err)))
		}
	}
	return s.train(c)
}

// prepare loads and splits the data, builds the tokenizer of the training part and the model, unless the session has
// them already, and the datasets.
func (s *session) prepare() (digests map[string]string, err error) {
	cfg := s.cfg
	text, chat, err := loadCorpora(cfg)
	if err != nil {
		return nil, err
	}
	digests = map[string]string{"pretrain": text.digest(), "finetune": chat.digest()}
	text, heldText, err := splitCorpus(text, cfg.ValFraction, cfg.Seed)
	if err != nil {
		return nil, err
	}
	chat, heldChat, err := splitCorpus(chat, cfg.ValFraction, cfg.Seed)
	if err != nil {
		return nil, err
	}
	if s.model == nil {
		if s.tokenizer, err = buildTokenizer(cfg, text, chat); err != nil {
			return nil, err
		}
		cfg.Model.Vocab = s.tokenizer.size()
		s.model = newLLM(cfg.Model, newRNG(cfg.Seed, initStream))
	}
	cfg.Model = s.model.ModelConfig
	if err := s.addPhase("pretrain", cfg.Pretrain, pretrainOrder, text, heldText); err != nil {
		return nil, err
	}
	if err := s.addPhase("finetune", cfg.Finetune, finetuneOrder, chat, heldChat); err != nil {
		return nil, err
	}
	return digests, s.loadHeldout()
}

// loadCorpora reads what each phase learns from. The built-in half is left out where the user brought data for the other
// phase and skips this one: its characters would only crowd the vocabulary.
func loadCorpora(cfg *Config) (text, chat *corpus, err error) {
	text, chat = &corpus{}, &corpus{}
	if cfg.PretrainData != "" || cfg.ChatData == "" || cfg.Pretrain.Epochs > 0 {
		if text, err = loadData(cfg.PretrainData, pretrainingFile); err != nil {
			return nil, nil, err
		}
	}
	if cfg.ChatData != "" || cfg.PretrainData == "" || cfg.Finetune.Epochs > 0 {
		if chat, err = loadData(cfg.ChatData, chatFile); err != nil {
			return nil, nil, err
		}
		if len(chat.Pairs) == 0 || len(chat.Rows)+len(chat.Streams) > 0 {
			return nil, nil, fmt.Errorf("%s: tuning takes {\"user\",\"assistant\"} pairs and nothing else", cfg.ChatData)
		}
	}
	return text, chat, nil
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
	if s.cfg.ValFraction > 0 && len(validation) == 0 {
		return fmt.Errorf("--val-fraction=%g holds no sample of two tokens or more out of the data of %s", s.cfg.ValFraction, name)
	}
	s.phases = append(s.phases, &phase{name: name, config: plan, train: d, first: len(s.phases) == 0, held: validation})
	return nil
}

// loadHeldout reads the questions that no run on the repository's data trains on.
func (s *session) loadHeldout() error {
	if s.cfg.PretrainData != "" || s.cfg.ChatData != "" {
		return nil
	}
	held, err := loadData("", heldoutFile)
	if err != nil {
		return err
	}
	s.heldout = newDataset(s.tokenizer, held, s.cfg.Model.Context, false, false).inOrder()
	return nil
}

// buildTokenizer learns the vocabulary from everything that is trained on.
func buildTokenizer(cfg *Config, corpora ...*corpus) (*tokenizer, error) {
	var texts []string
	for _, c := range corpora {
		texts = append(texts, c.Rows...)
		texts = append(texts, c.Streams...)
		for _, p := range c.Pairs {
			texts = append(texts, p.User, p.Assistant)
		}
	}
	if cfg.Tokenizer == kindChar {
		return trainChar(texts, cfg.Model.Vocab)
	}
	return trainBPE(texts, cfg.Model.Vocab)
}

// train runs the phases, saves what was asked for, and then reports the end. A first SIGINT or SIGTERM ends it in good order.
func (s *session) train(c *console) error {
	ctx, caught, release := catchSignals()
	defer release()
	t := newTrainer(s.cfg, s.model, s.monitor)
	reason := endCompleted
	var failed error
	for i, p := range s.phases {
		s.unfinished = i+1 < len(s.phases)
		reason, failed = t.run(ctx, p)
		if failed != nil || reason == endInterrupted {
			break
		}
		if p.name == "pretrain" && s.flags.checkpointDir != "" {
			failed = s.saveTo(c, filepath.Join(s.flags.checkpointDir, pretrainedModel))
		}
		if p.name == "pretrain" && s.pretrained != nil {
			failed = errors.Join(failed, s.pretrained())
		}
		if failed != nil {
			break
		}
	}
	if failed == nil && reason == endInterrupted {
		failed = caught()
	}
	saved := s.saveAll(c)
	end := endRecord{Reason: reason}
	if err := cmp.Or(failed, saved); err != nil {
		end = endOf(err)
	}
	if len(s.heldout) > 0 {
		loss := t.eval.loss(s.heldout)
		held := jsonFloat(loss.mean())
		end.Heldout = &held
	}
	return errors.Join(failed, saved, s.monitor.end(end))
}

// endOf is the record of a run that failed.
func endOf(failed error) endRecord {
	var diverged *divergence
	var left *interrupted
	switch {
	case errors.As(failed, &left):
		return endRecord{Reason: endInterrupted}
	case errors.As(failed, &diverged):
		return endRecord{Reason: endDiverged, Error: failed.Error()}
	}
	return endRecord{Reason: endFailed, Error: failed.Error()}
}

// saveAll writes the model wherever saving was asked for.
func (s *session) saveAll(c *console) error {
	var err error
	if s.flags.save != "" {
		err = s.saveTo(c, s.flags.save)
	}
	if s.flags.checkpointDir != "" {
		err = errors.Join(err, s.saveTo(c, filepath.Join(s.flags.checkpointDir, s.stage())))
	}
	return err
}

// stage names the file of what has been trained so far.
func (s *session) stage() string {
	if s.unfinished {
		return pretrainedModel
	}
	return finalModel
}

func (s *session) saveTo(c *console, path string) error {
	if err := saveModel(path, s.model, s.tokenizer); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "saved: %s\n", path)
	return nil
}
