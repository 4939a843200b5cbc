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
	heldout   *corpus                  // questions of the repository's data; nil for other data
	prompts   map[string]*samplePrompt // by phase, of the samples in the log; nil without a log

	warnings   []string // of the data, to print before training
	unfinished bool     // another phase follows the current phase

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
	for _, warning := range s.warnings {
		fmt.Fprintf(c.Err, "gogpt: warning: %s\n", warning)
	}
	s.monitor = newMonitor(c.Out, c.TTY(), nil, os.Getenv("NO_COLOR") == "")
	closeLogs, err := openLogs(s.flags, s.monitor)
	defer closeLogs()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "GoGPT %s: %d parameters, vocabulary %d (%s), kernel %s, %d threads\n",
		version, s.model.ParamCount(), s.tokenizer.size(), s.tokenizer.kind, kernel.Name(), kernel.Threads())
	if from := s.cfg.InitFrom; from != "" {
		fmt.Fprintf(c.Out, "initial weights and tokenizer: %s\n", from)
	}
	if err := s.monitor.write(runlog.Run{Event: "run", Config: s.values, Seed: s.cfg.Seed, Data: digests,
		Parameters: s.model.ParamCount(), Vocab: s.tokenizer.size(), Kernel: kernel.Name(),
		Version: version, Numerics: numerics}); err != nil {
		return err
	}
	if s.started != nil {
		if err := s.started(); err != nil {
			return errors.Join(err, s.monitor.end(endOf(err)))
		}
	}
	return s.train(c)
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
	if every := s.cfg.LogSteps; every > 0 {
		logSteps(every, t, s.monitor.write)
	}
	if s.cfg.KeepMoments {
		keepMoments(t)
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
	measured := s.measureHeldout(t, &end)
	if err := cmp.Or(failed, saved, measured); err != nil {
		failure := endOf(err)
		end.Reason, end.Error = failure.Reason, failure.Error
	}
	return errors.Join(failed, saved, measured, s.monitor.end(end))
}

// measureHeldout adds the loss on the held-out questions to the last record. If the run got as far as tuning, it adds
// the share of the questions that the model answers word for word.
func (s *session) measureHeldout(t *trainer, end *runlog.End) error {
	if s.heldout == nil {
		return nil
	}
	loss := t.eval.loss(newDataset(s.tokenizer, s.heldout, s.cfg.Model.Context, false, false).inOrder())
	mean := strictjson.Float(loss.mean())
	end.Heldout = &mean
	if t.phase == nil || t.phase.name != "finetune" {
		return nil
	}
	share, err := exactMatch(s.model, s.tokenizer, s.heldout.conversations())
	if err != nil {
		return fmt.Errorf("held-out questions: %w", err)
	}
	exact := strictjson.Float(share)
	end.ExactMatch, s.monitor.questions = &exact, len(s.heldout.Pairs)
	return nil
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
