package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// The ablate command: every run is this program once more, on one thread, several side by side. A run whose log is
// finished and of the same configuration, data, build and kernel is not run again.

// ablationRun is one change with one seed.
type ablationRun struct {
	ablation *ablation
	seed     uint64
	args     []string          // of the train command
	config   map[string]string // as its log will tell it
	path     string            // of its log
	log      *runLog           // nil until it is finished
}

// ablationPlan is everything that an ablate command is to run.
type ablationPlan struct {
	out     string   // folder
	jobs    int      // side by side
	base    []string // flags of every run
	lr      float64  // that the base trains with
	seeds   []uint64
	changes []*ablation // the stable configuration first
	data    map[string]string
	program string                                         // the digest of this build
	execute func(ctx context.Context, args []string) error // runs the train command
}

func ablateCommand(c *console, args []string) error {
	plan, err := parseAblate(c, args)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(plan.out, 0o755); err != nil {
		return err
	}
	runs, err := plan.runs(c)
	if err != nil {
		return err
	}
	ctx, caught, release := catchSignals()
	defer release()
	if err := plan.run(ctx, c.out, runs); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return caught()
	}
	return plan.conclude(c.out, runs)
}

// parseAblate reads the command line. The flags of the configuration go to every run.
func parseAblate(c *console, args []string) (*ablationPlan, error) {
	cfg, plan := defaultConfig(), &ablationPlan{execute: executeSelf}
	cfg.ValFraction, cfg.Finetune.Epochs = 0.1, 0
	fs := flag.NewFlagSet("ablate", flag.ContinueOnError)
	configFlags(fs, &cfg)
	fs.Bool("quick", false, "30 epochs, patience 10; flags beside it win")
	count := fs.Int("seeds", 5, "seeds of each change, counted from --seed")
	only := fs.String("only", "", "run these changes alone, a `LIST` of names")
	fs.IntVar(&plan.jobs, "jobs", 0, "runs side by side, of one thread each (default as --threads)")
	fs.StringVar(&plan.out, "out", "", "write logs, ablation.json and ablation.html into `DIR`")
	if err := parseFlags(c, fs, args); err != nil {
		return nil, err
	}
	plan.jobs = cmp.Or(plan.jobs, cfg.Threads)
	if plan.out == "" || *count < 1 || plan.jobs < 1 || !(cfg.ValFraction > 0) {
		return nil, usagef("ablate takes --out=DIR, --seeds and --jobs of at least 1, and --val-fraction above 0")
	}
	if cfg.Pretrain.Epochs < 1 || cfg.Finetune.Epochs != 0 {
		return nil, usagef("ablate compares pretraining: it takes --pretrain-epochs of at least 1 and no --finetune-epochs")
	}
	own := []string{"seeds", "only", "jobs", "out", "seed", "threads", "finetune-epochs", "val-fraction"}
	fs.Visit(func(f *flag.Flag) {
		switch {
		case f.Name == "min-lr": // a function, which keeps no value
			plan.base = append(plan.base, fmt.Sprintf("--min-lr=%g", cfg.Pretrain.MinLR))
		case !slices.Contains(own, f.Name):
			plan.base = append(plan.base, "--"+f.Name+"="+f.Value.String())
		}
	})
	plan.base = append(plan.base, "--finetune-epochs=0", fmt.Sprintf("--val-fraction=%g", cfg.ValFraction), "--threads=1", "--no-interactive")
	plan.lr = cfg.Pretrain.LR
	for i := range *count {
		plan.seeds = append(plan.seeds, cfg.Seed+uint64(i))
	}
	text, chat, err := loadCorpora(&cfg)
	if err != nil {
		return nil, err
	}
	plan.data = map[string]string{"pretrain": text.digest(), "finetune": chat.digest()}
	if plan.program, err = programDigest(); err != nil {
		return nil, err
	}
	plan.changes, err = chooseAblations(*only)
	return plan, err
}

// chooseAblations finds the named changes, all of them for an empty list. The stable configuration is always among them.
func chooseAblations(list string) ([]*ablation, error) {
	var names, known []string
	if list != "" {
		names = strings.Split(list, ",")
	}
	var chosen []*ablation
	for i := range ablations {
		a := &ablations[i]
		known = append(known, a.Name)
		if len(names) == 0 || a.Name == stableName || slices.Contains(names, a.Name) {
			chosen = append(chosen, a)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usagef("--only=%s: takes names among %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// runs lists every run, checked as the train command will check it. They are in the order of changes, then seeds.
func (p *ablationPlan) runs(c *console) ([]*ablationRun, error) {
	var runs []*ablationRun
	for _, a := range p.changes {
		for _, seed := range p.seeds {
			r := &ablationRun{ablation: a, seed: seed, path: filepath.Join(p.out, fmt.Sprintf("%s-%d.jsonl", a.Name, seed))}
			r.args = append(append(slices.Clone(p.base), a.changes(p.lr)...), fmt.Sprintf("--seed=%d", seed), "--log-json="+r.path)
			var err error
			if _, _, r.config, err = parseTrain(c, r.args); err != nil {
				return nil, fmt.Errorf("%s: %w", a.Name, err)
			}
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// run trains what is not finished yet and tells each end on out. After an error or a cancelled context nothing new
// begins, and what is running is asked to end.
func (p *ablationPlan) run(ctx context.Context, out io.Writer, runs []*ablationRun) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work := make(chan *ablationRun)
	var workers sync.WaitGroup
	var lock sync.Mutex // of what follows
	finished, failed := 0, error(nil)
	for range p.jobs {
		workers.Go(func() {
			for r := range work {
				err := p.train(ctx, r)
				lock.Lock()
				switch {
				case err == nil:
					finished++
					fmt.Fprintf(out, "%3d of %d  %s\n", finished, len(runs), r)
				case ctx.Err() == nil:
					failed = err
					stop()
				}
				lock.Unlock()
			}
		})
	}
	for _, r := range runs {
		if ctx.Err() == nil {
			work <- r
		}
	}
	close(work)
	workers.Wait()
	return failed
}

// train runs the train command unless its log is finished, and reads the log.
func (p *ablationPlan) train(ctx context.Context, r *ablationRun) error {
	if p.finished(r) {
		return nil
	}
	err := p.execute(ctx, r.args) // a run that diverged is an error to the shell and a result here
	if !p.finished(r) {
		return fmt.Errorf("ablate: %s, seed %d did not finish: %w", r.ablation.Name, r.seed, cmp.Or(err, errUnfinished))
	}
	return nil
}

var errUnfinished = errors.New("its log tells no end, or another configuration or program")

// finished reads the log of a run and tells whether it is that of this very run, to an end that training came to.
func (p *ablationPlan) finished(r *ablationRun) bool {
	l, err := readRunLog(r.path)
	if err != nil || !concluded(l) || l.run.Program != p.program || l.run.Kernel != kernelName() || !maps.Equal(l.run.Data, p.data) {
		return false
	}
	delete(l.run.Config, "log-json") // the folder may have moved
	delete(r.config, "log-json")
	if !maps.Equal(l.run.Config, r.config) {
		return false
	}
	r.log = l
	return true
}

func (r *ablationRun) String() string {
	p := kept(r.log)
	if p == nil {
		return fmt.Sprintf("%-16s  seed %d  diverged", r.ablation.Name, r.seed)
	}
	best := p.best()
	return fmt.Sprintf("%-16s  seed %d  validation loss %.4f at epoch %d", r.ablation.Name, r.seed, best.monitored(), best.Epoch)
}

// executeSelf runs this program. Its error is the last line that it wrote to its stderr.
func executeSelf(ctx context.Context, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"train"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return errors.New(cmp.Or(lines[len(lines)-1], err.Error()))
	}
	return nil
}

// conclude compares the runs, prints the verdicts, and writes ablation.json and ablation.html.
func (p *ablationPlan) conclude(out io.Writer, runs []*ablationRun) error {
	summary := p.summarize(runs)
	fmt.Fprintf(out, "\n%-16s %15s %15s %11s %8s  %s\n", "change", "best val loss", "last train loss", "best epoch", "diverged", "verdict")
	for _, c := range summary.Changes {
		fmt.Fprintf(out, "%-16s %15s %15s %11s %8d  %s\n", c.Name, c.BestVal.text(4), c.FinalTrain.text(4), c.BestEpoch.text(1), c.Diverged, c.Verdict)
	}
	err := saveFile(filepath.Join(p.out, "ablation.json"), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(summary)
	})
	return cmp.Or(err, writePage(filepath.Join(p.out, "ablation.html"), "ablation", newAblationPage(summary)))
}

// summarize sums up the changes; runs are in the order of runs.
func (p *ablationPlan) summarize(runs []*ablationRun) *ablationSummary {
	summary := &ablationSummary{Base: p.base, Seeds: p.seeds}
	var stable []*runLog
	for i, a := range p.changes {
		var logs []*runLog
		for _, r := range runs[i*len(p.seeds) : (i+1)*len(p.seeds)] {
			logs = append(logs, r.log)
		}
		if i == 0 {
			stable = logs
		}
		summary.Changes = append(summary.Changes, newChangeResult(a, a.changes(p.lr), logs, stable))
	}
	return summary
}
