package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gogpt/internal/atomicfile"
	"gogpt/internal/jobs"
	"gogpt/internal/kernel"
	"gogpt/internal/report"
	"gogpt/internal/runlog"
	"gogpt/internal/terminal"
)

// The ablate command. It starts this program again for every run, on one thread each and several at a time. A run is
// skipped when its log has an end and was written with the same configuration, data, build and kernel.

// ablationRun is the training of one change with one seed.
type ablationRun struct {
	ablation *ablation
	seed     uint64
	args     []string          // of the train command
	config   map[string]string // every flag's value, as in the log
	path     string            // of the log
	log      *runlog.Log       // nil until the run has finished
}

// ablationPlan is what an ablate command runs.
type ablationPlan struct {
	out     string            // folder of the logs and results
	jobs    int               // runs at a time
	base    []string          // flags of every run
	lr      float64           // learning rate of the base
	seeds   []uint64          // of each change
	changes []*ablation       // the stable configuration first
	data    map[string]string // digests of what every run starts from
	program string            // digest of this build
	study   *studyPlan        // what the command runs instead; nil without --study

	reportOnly bool // of a study: train nothing

	execute func(ctx context.Context, args []string) error // runs the train command
}

// ablateCommand runs gogpt ablate.
func ablateCommand(c *terminal.Console, args []string) error {
	plan, err := parseAblate(c, args)
	if err != nil {
		return err
	}
	if plan.reportOnly {
		return plan.study.showOnly(c.Out)
	}
	if err := os.MkdirAll(plan.out, 0o755); err != nil {
		return err
	}
	if plan.study != nil {
		return plan.study.run(c)
	}
	runs, err := plan.newRuns(c)
	if err != nil {
		return err
	}
	ctx, caught, stop := terminal.CatchSignals()
	defer stop()
	if err := plan.trainAll(ctx, c.Out, runs); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return caught()
	}
	return plan.saveResults(c.Out, runs)
}

// ablateFlags lists the flags that baseFlags does not copy: those of the ablate command alone, and those that every run
// gets with a value of its own.
var ablateFlags = []string{
	"study", "report-only", "seeds", "only", "jobs", "out", "seed", "threads", "finetune-epochs", "val-fraction"}

// parseAblate parses the command line. Every run gets the flags of the configuration.
func parseAblate(c *terminal.Console, args []string) (*ablationPlan, error) {
	cfg, plan := defaultConfig(), &ablationPlan{execute: executeSelf}
	cfg.ValFraction, cfg.Finetune.Epochs = 0.1, 0
	fs := flag.NewFlagSet("ablate", flag.ContinueOnError)
	configFlags(fs, &cfg)
	fs.Bool("quick", false, "30 epochs, patience 10; other flags win over it")
	count := fs.Int("seeds", 5, "number of seeds of each change; --seed is the first")
	only := fs.String("only", "", "run only these changes, a `LIST` of names such as smooth,freeze")
	fs.IntVar(&plan.jobs, "jobs", 0, "runs at a time, on one thread each (default: --threads)")
	fs.StringVar(&plan.out, "out", "", "write the results into `DIR`")
	study := fs.String("study", "", "run the study of this `NAME`: "+strings.Join(studyNames(), ", "))
	fs.BoolVar(&plan.reportOnly, "report-only", false, "with --study: show the finished runs, train nothing")
	if err := parseFlags(c, fs, args); err != nil {
		return nil, err
	}
	plan.jobs = cmp.Or(plan.jobs, cfg.Threads)
	var r ranges
	r.count("threads", cfg.Threads, 1, maxThreads, "")
	r.count("jobs", plan.jobs, 1, maxThreads, "")
	if r.bad != nil {
		return nil, r.bad
	}
	if given(fs, "study") {
		var err error
		plan.study, err = newStudyPlan(fs, plan, &cfg, *study)
		return plan, err
	}
	if plan.reportOnly {
		return nil, usagef("--report-only: takes --study=NAME beside it")
	}
	if cfg.ValData != "" && !given(fs, "val-fraction") {
		cfg.ValFraction = 0
	}
	if err := plan.validate(&cfg, *count); err != nil {
		return nil, err
	}
	plan.base, plan.lr = baseFlags(fs, &cfg), cfg.Pretrain.LR
	for i := range *count {
		plan.seeds = append(plan.seeds, cfg.Seed+uint64(i))
	}
	in, err := loadInputs(&cfg)
	if err != nil {
		return nil, err
	}
	plan.data = in.digests
	if plan.program, err = programDigest(); err != nil {
		return nil, err
	}
	plan.changes, err = chooseAblations(*only)
	return plan, err
}

// validate returns the error of the first flag that does not suit a comparison of pretraining.
func (p *ablationPlan) validate(cfg *Config, seeds int) error {
	if p.out == "" {
		return usagef("--out=DIR is needed")
	}
	var r ranges
	r.check(seeds >= 1, "seeds", seeds, "a whole number of at least 1")
	r.check(cfg.ValFraction > 0 || cfg.ValData != "", "val-fraction", cfg.ValFraction,
		"a number above 0, or --val-data=FILE: ablate compares validation losses")
	r.check(cfg.Pretrain.Epochs >= 1, "pretrain-epochs", cfg.Pretrain.Epochs,
		"a whole number of at least 1: ablate compares pretraining")
	r.check(cfg.Finetune.Epochs == 0, "finetune-epochs", cfg.Finetune.Epochs, "0: ablate compares pretraining")
	return r.bad
}

// baseFlags returns the flags of every run.
func baseFlags(fs *flag.FlagSet, cfg *Config) (flags []string) {
	fs.Visit(func(f *flag.Flag) {
		switch {
		case f.Name == "min-lr": // a function without a value to print
			flags = append(flags, fmt.Sprintf("--min-lr=%g", cfg.Pretrain.MinLR))
		case !slices.Contains(ablateFlags, f.Name):
			flags = append(flags, "--"+f.Name+"="+f.Value.String())
		}
	})
	return append(flags, "--finetune-epochs=0", fmt.Sprintf("--val-fraction=%g", cfg.ValFraction),
		"--threads=1", "--no-interactive")
}

// newRuns returns every run, by changes and then by seeds, after checking its flags as the train command does.
func (p *ablationPlan) newRuns(c *terminal.Console) ([]*ablationRun, error) {
	var runs []*ablationRun
	for _, a := range p.changes {
		for _, seed := range p.seeds {
			path := filepath.Join(p.out, fmt.Sprintf("%s-%d.jsonl", a.Name, seed))
			r := &ablationRun{ablation: a, seed: seed, path: path}
			r.args = slices.Concat(p.base, a.flagsAt(p.lr), []string{fmt.Sprintf("--seed=%d", seed), "--log-json=" + path})
			var err error
			if _, _, r.config, err = parseTrain(c, r.args); err != nil {
				return nil, fmt.Errorf("%s: %w", a.Name, err)
			}
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// trainAll trains every run that has not finished.
func (p *ablationPlan) trainAll(ctx context.Context, out io.Writer, runs []*ablationRun) error {
	left := slices.DeleteFunc(slices.Clone(runs), p.loadFinished)
	queue := jobs.Queue{Workers: p.jobs, Out: out, Finished: len(runs) - len(left)}
	if queue.Finished > 0 {
		fmt.Fprintf(out, "%3d of %d  have finished before\n", queue.Finished, len(runs))
	}
	return jobs.Do(ctx, queue, left, p.trainOne)
}

// trainOne trains a run and loads its log.
func (p *ablationPlan) trainOne(ctx context.Context, r *ablationRun) error {
	err := p.execute(ctx, r.args) // also an error when the run diverged, which is a result here
	if !p.loadFinished(r) {
		return fmt.Errorf("ablate: %s, seed %d did not finish: %w", r.ablation.Name, r.seed, cmp.Or(err, errUnfinished))
	}
	return nil
}

// errUnfinished is the reason for a run that ended without an error but is not finished.
var errUnfinished = errors.New("its log has no end, or another configuration, data, program or kernel")

// loadFinished loads the log of a run into r.log. It reports false, and loads nothing, unless the log has an end and is
// of the same configuration, data, build and kernel.
func (p *ablationPlan) loadFinished(r *ablationRun) bool {
	l, err := runlog.ReadFile(r.path)
	if err != nil || !report.Concluded(l) {
		return false
	}
	if l.Run.Program != p.program || l.Run.Kernel != kernel.Name() || !maps.Equal(l.Run.Data, p.data) {
		return false
	}
	delete(l.Run.Config, "log-json") // the folder may have been moved
	delete(r.config, "log-json")
	if !maps.Equal(l.Run.Config, r.config) {
		return false
	}
	r.log = l
	return true
}

// String returns the line of a finished run.
func (r *ablationRun) String() string {
	p := report.Kept(r.log)
	if p == nil {
		return fmt.Sprintf("%-16s  seed %d  diverged", r.ablation.Name, r.seed)
	}
	best := p.Best()
	return fmt.Sprintf("%-16s  seed %d  validation loss %.4f at epoch %d",
		r.ablation.Name, r.seed, best.Monitored(), best.Epoch)
}

// executeSelf runs the train command in another process.
func executeSelf(ctx context.Context, args []string) error {
	return jobs.Self(ctx, append([]string{"train"}, args...)...)
}

// saveResults compares the runs, prints a table and saves ablation.json and ablation.html.
func (p *ablationPlan) saveResults(out io.Writer, runs []*ablationRun) error {
	summary := p.summarize(runs)
	fmt.Fprintf(out, "\n%-16s %15s %15s %11s %8s  %s\n",
		"change", "best val loss", "last train loss", "best epoch", "diverged", "verdict")
	for _, c := range summary.Changes {
		fmt.Fprintf(out, "%-16s %15s %15s %11s %8d  %s\n",
			c.Name, c.BestVal.Text(4), c.FinalTrain.Text(4), c.BestEpoch.Text(1), c.Diverged, c.Verdict)
	}
	err := saveJSON(filepath.Join(p.out, "ablation.json"), summary)
	return cmp.Or(err, report.WriteAblation(filepath.Join(p.out, "ablation.html"), summary))
}

// saveJSON saves a value as indented JSON.
func saveJSON(path string, value any) error {
	return atomicfile.Save(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	})
}

// summarize compares each change with the stable configuration; runs are in the order of newRuns.
func (p *ablationPlan) summarize(runs []*ablationRun) *report.Ablation {
	summary := &report.Ablation{Base: p.base, Seeds: p.seeds}
	var stable []*runlog.Log
	for i, a := range p.changes {
		var logs []*runlog.Log
		for _, r := range runs[i*len(p.seeds) : (i+1)*len(p.seeds)] {
			logs = append(logs, r.log)
		}
		if i == 0 {
			stable = logs
		}
		change := report.Change{Name: a.Name, What: a.What, Flags: a.flagsAt(p.lr)}
		summary.Changes = append(summary.Changes, report.Compare(change, logs, stable, leastDifference))
	}
	return summary
}
