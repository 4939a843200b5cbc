package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gogpt/internal/atomicfile"
	"gogpt/internal/kernel"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
	"gogpt/internal/tfevents"
)

// trainCommand runs gogpt train: data, tokenizer and model, the phases one after another, the files for the results.
func trainCommand(c *terminal.Console, args []string) error {
	cfg, flags, values, err := parseTrain(c, args)
	if err != nil {
		return err
	}
	kernel.SetThreads(cfg.Threads)
	s := &session{cfg: cfg, flags: flags, values: values}
	for _, dir := range []string{flags.checkpointDir, flags.tensorboard} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, path := range s.outputs() {
		if err := atomicfile.Probe(path); err != nil {
			return err
		}
	}
	if flags.noInteractive {
		return s.run(c)
	}
	p := &interactiveRun{dialog: terminal.NewDialog(c), session: s}
	return p.run()
}

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
	heldout   []example                // of the repository's data; empty for other data
	prompts   map[string]*samplePrompt // by phase, of the samples in the log; nil without a log

	unfinished bool // another phase follows the current phase

	// hooks of the interactive run; nil without one
	started    func() error // before the first phase
	pretrained func() error // after pretraining
}

// outputs returns the files that the run will write. Of TensorBoard's file it returns the beginning of the name.
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
		paths = append(paths, filepath.Join(dir, tfevents.FilePrefix))
	}
	return paths
}

// run trains, from data to saved model.
func (s *session) run(c *terminal.Console) error {
	defer c.IgnoreBrokenPipe()()
	if s.flags.logJSON != "" || s.flags.report != "" {
		s.prompts = map[string]*samplePrompt{}
	}
	digests, err := s.prepare()
	if err != nil {
		return err
	}
	s.monitor = newMonitor(c.Out, c.TTY(), nil, os.Getenv("NO_COLOR") == "")
	closeLogs, err := openLogs(s.flags, s.monitor)
	defer closeLogs()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "GoGPT %s: %d parameters, vocabulary %d (%s), kernel %s, %d threads\n",
		version, s.model.ParamCount(), s.tokenizer.size(), s.tokenizer.kind, kernel.Name(), kernel.Threads())
	if err := s.monitor.write(runlog.Run{Event: "run", Config: s.values, Seed: s.cfg.Seed, Data: digests,
		Parameters: s.model.ParamCount(), Vocab: s.tokenizer.size(), Kernel: kernel.Name(), Version: version}); err != nil {
		return err
	}
	if s.started != nil {
		if err := s.started(); err != nil {
			return errors.Join(err, s.monitor.end(endOf(err)))
		}
	}
	return s.train(c)
}

// prepare loads and splits the data and makes the datasets. Unless the session has loaded a model, it also builds the
// tokenizer, from the training part of the data, and a new model.
func (s *session) prepare() (digests map[string]string, err error) {
	cfg := s.cfg
	text, chat, err := loadTrainingCorpora(cfg)
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
		return fmt.Errorf("--val-fraction=%g: %s data: no held-out sample of two tokens or more", s.cfg.ValFraction, name)
	}
	s.phases = append(s.phases, &phase{
		name: name, config: plan, train: d, held: validation, first: len(s.phases) == 0, stream: stream})
	if s.prompts != nil {
		s.prompts[name] = newSamplePrompt(s.tokenizer, d)
	}
	return nil
}

// loadHeldout reads the held-out questions of the repository's data, which no run trains on.
func (s *session) loadHeldout() error {
	if s.cfg.PretrainData != "" || s.cfg.ChatData != "" {
		return nil
	}
	held, err := loadUserOrBuiltIn("", heldoutFile)
	if err != nil {
		return err
	}
	s.heldout = newDataset(s.tokenizer, held, s.cfg.Model.Context, false, false).inOrder()
	return nil
}

// train runs the phases, saves the model to the files that the flags name, and ends the log. The first SIGINT or
// SIGTERM ends training after the current step.
func (s *session) train(c *terminal.Console) error {
	ctx, caught, stop := terminal.CatchSignals()
	defer stop()
	t := newTrainer(s.cfg, s.model, s.monitor)
	if s.cfg.ClipLogits {
		t.beforePhase = clipLogits
	}
	if every := s.cfg.LogAttnGradient; every > 0 {
		compareAttentionEvery(every, t, s.monitor.write)
	}
	if len(s.prompts) > 0 {
		logSamples(t, s.prompts, s.monitor.write)
	}
	reason := runlog.Completed
	var failed error
	for i, p := range s.phases {
		s.unfinished = i+1 < len(s.phases)
		reason, failed = t.run(ctx, p)
		if failed != nil || reason == runlog.Interrupted {
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
	if failed == nil && reason == runlog.Interrupted {
		failed = caught()
	}
	saved := s.saveAll(c)
	end := runlog.End{Reason: reason}
	if err := cmp.Or(failed, saved); err != nil {
		end = endOf(err)
	}
	if len(s.heldout) > 0 {
		loss := t.eval.loss(s.heldout)
		held := strictjson.Float(loss.mean())
		end.Heldout = &held
	}
	return errors.Join(failed, saved, s.monitor.end(end))
}

// saveAll saves the model to the files that the flags name.
func (s *session) saveAll(c *terminal.Console) error {
	var err error
	if s.flags.save != "" {
		err = s.saveTo(c, s.flags.save)
	}
	if s.flags.checkpointDir != "" {
		err = errors.Join(err, s.saveTo(c, filepath.Join(s.flags.checkpointDir, s.stage())))
	}
	return err
}

// stage returns the name of the file for the model as trained so far.
func (s *session) stage() string {
	if s.unfinished {
		return pretrainedModel
	}
	return finalModel
}

// saveTo saves the model to one file and prints its name.
func (s *session) saveTo(c *terminal.Console, path string) error {
	if err := saveModel(path, s.model, s.tokenizer); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "saved: %s\n", path)
	return nil
}

// openLogs makes the log, TensorBoard's events and the report observers of a monitor, where the flags name files for
// them. closeLogs closes the files. It is not nil after an error either.
func openLogs(flags *runFlags, m *monitor) (closeLogs func(), err error) {
	var files []io.Closer
	closeLogs = func() {
		for _, f := range files {
			f.Close()
		}
	}
	if flags.logJSON != "" {
		f, err := os.Create(flags.logJSON)
		if err != nil {
			return closeLogs, err
		}
		files, m.observers = append(files, f), append(m.observers, jsonLog{f})
	}
	if flags.tensorboard != "" {
		events, err := tfevents.Create(flags.tensorboard, "gogpt", m.started)
		if err != nil {
			return closeLogs, err
		}
		started := float64(m.started.UnixNano()) / 1e9
		files, m.observers = append(files, events), append(m.observers, &eventLog{events: events, started: started})
	}
	if flags.report != "" {
		m.observers = append(m.observers, newReportLog(flags.report))
	}
	return closeLogs, nil
}
