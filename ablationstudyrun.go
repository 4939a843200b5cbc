package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gogpt/internal/atomicfile"
	"gogpt/internal/jobs"
	"gogpt/internal/report"
	"gogpt/internal/runlog"
	"gogpt/internal/study"
	"gogpt/internal/terminal"
)

// The ablate command with --study. Every finished run becomes a line of OUT/NAME.jsonl, and a run that has a line is
// not trained again, on any machine. Two processes may use the same OUT: they train some runs twice, but a run gets one
// line, unless both finish it at the same moment. The next command refuses a file with a second line of a run.

// studyPlan is what an ablate command with --study runs.
type studyPlan struct {
	file  study.File
	runs  []*study.Run
	jobs  int      // runs at a time
	flags []string // of every run: --kernel and --pretrain-data, if they were given

	lock    sync.Mutex // of the file
	execute func(ctx context.Context, args []string) error
}

// studyFlags are the flags that suit a study: it sets the others itself.
var studyFlags = []string{"study", "report-only", "out", "jobs", "threads", "kernel", "pretrain-data"}

// studyNames lists the names of the studies.
func studyNames() (names []string) {
	for _, s := range studies {
		names = append(names, s.Name)
	}
	return names
}

// newStudyPlan returns the plan of the study of this name, from the command line of ablate.
func newStudyPlan(fs *flag.FlagSet, a *ablationPlan, cfg *Config, name string) (*studyPlan, error) {
	at := slices.IndexFunc(studies, func(s *study.Study) bool { return s.Name == name })
	if at < 0 {
		return nil, usagef("--study=%s: takes one of %s", name, strings.Join(studyNames(), ", "))
	}
	s := studies[at]
	p := &studyPlan{jobs: a.jobs, runs: s.Runs(), execute: executeSelf,
		file: study.File{Path: filepath.Join(a.out, name+".jsonl"), Study: s}}
	var err error
	fs.Visit(func(f *flag.Flag) {
		switch {
		case !slices.Contains(studyFlags, f.Name):
			err = cmp.Or(err, usagef("--%s: takes no --study beside it, which sets the flags of its runs", f.Name))
		case f.Name == "kernel", f.Name == "pretrain-data":
			p.flags = append(p.flags, "--"+f.Name+"="+f.Value.String())
		}
	})
	switch {
	case err != nil:
		return nil, err
	case a.out == "":
		return nil, usagef("--out=DIR is needed")
	case a.reportOnly:
		return p, nil // the first line says which data and numerics
	case s.Text && cfg.PretrainData == "":
		return nil, usagef("--study=%s: takes --pretrain-data=FILE beside it, the text to train on", name)
	case !s.Text && cfg.PretrainData != "":
		return nil, usagef("--pretrain-data=%s: takes no --study=%s beside it, which trains on built-in data",
			cfg.PretrainData, name)
	}
	p.file.Numerics = numerics
	in, err := loadInputs(cfg)
	p.file.Data = in.digests
	return p, err
}

// args returns the command line of a run, which writes its log to a file.
func (p *studyPlan) args(r *study.Run, log string) []string {
	return slices.Concat(p.file.Study.Flags(r.Cell), p.flags,
		[]string{"--threads=1", "--no-interactive", fmt.Sprintf("--seed=%d", r.Seed), "--log-json=" + log})
}

// run trains the runs that have no line yet, and shows the results.
func (p *studyPlan) run(c *terminal.Console) error {
	if err := p.loadFinished(c.Out); err != nil {
		return err
	}
	if err := p.train(c); err != nil {
		return err
	}
	return p.show(c.Out)
}

// showOnly shows the results of the runs that have a line, and trains nothing.
func (p *studyPlan) showOnly(out io.Writer) error {
	if _, err := os.Stat(p.file.Path); err != nil {
		return atomicfile.PathError(p.file.Path, err)
	}
	if err := p.loadFinished(out); err != nil {
		return err
	}
	return p.show(out)
}

// loadFinished loads the results of the runs that have a line.
func (p *studyPlan) loadFinished(out io.Writer) error {
	results, err := p.file.Load()
	if err != nil {
		return err
	}
	for _, r := range p.runs {
		r.Result = results[r.Name()]
	}
	fmt.Fprintf(out, "%s: %d of %d runs are in %s\n", p.file.Study.Name, len(results), len(p.runs), p.file.Path)
	return nil
}

// show prints the summary and saves it beside the file, as JSON and as a page.
func (p *studyPlan) show(out io.Writer) error {
	summary := p.file.Study.Summarize(p.runs, leastDifference)
	beside := strings.TrimSuffix(p.file.Path, ".jsonl")
	return cmp.Or(summary.Print(out), saveJSON(beside+".json", summary), report.WriteStudy(beside+".html", summary))
}

// train checks the flags of every run as the train command does, and trains those that have no line yet.
func (p *studyPlan) train(c *terminal.Console) error {
	for _, r := range p.runs {
		if _, _, _, err := parseTrain(c, p.args(r, "log")); err != nil {
			return fmt.Errorf("study %s, %s: %w", p.file.Study.Name, r.Cell, err)
		}
	}
	logs, err := os.MkdirTemp("", "gogpt-study-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(logs)
	ctx, caught, stop := terminal.CatchSignals()
	defer stop()
	if err := p.trainAll(ctx, c.Out, logs); err != nil {
		return err
	}
	return caught()
}

// trainAll trains every run that has no line yet, with its log in a folder.
func (p *studyPlan) trainAll(ctx context.Context, out io.Writer, logs string) error {
	left := slices.DeleteFunc(slices.Clone(p.runs), func(r *study.Run) bool { return r.Result != nil })
	queue := jobs.Queue{Workers: p.jobs, Out: out, Finished: len(p.runs) - len(left)}
	return jobs.Do(ctx, queue, left, func(ctx context.Context, r *study.Run) error { return p.trainOne(ctx, r, logs) })
}

// trainOne trains a run, unless another process has meanwhile, and appends its line. A run that was interrupted or
// failed leaves none.
func (p *studyPlan) trainOne(ctx context.Context, r *study.Run, logs string) (err error) {
	if r.Result, err = p.recorded(r); err != nil || r.Result != nil {
		return err
	}
	log := filepath.Join(logs, r.Name()+".jsonl")
	defer os.Remove(log)
	failed := p.execute(ctx, p.args(r, log)) // also an error when the run diverged, which is a result here
	l, err := runlog.ReadFile(log)
	if err != nil || !report.Concluded(l) {
		return fmt.Errorf("study %s: %s did not finish: %w", p.file.Study.Name, r.Name(), cmp.Or(failed, err, errNoEnd))
	}
	if !maps.Equal(l.Run.Data, p.file.Data) {
		return fmt.Errorf("study %s: %s: the data changed while the study ran", p.file.Study.Name, r.Name())
	}
	return p.record(r, r.Measure(l))
}

// errNoEnd is the reason for a run that ended without an error but is not finished.
var errNoEnd = errors.New("it was interrupted, or its log has no end")

// recorded returns the line that a run has in the file, or nil.
func (p *studyPlan) recorded(r *study.Run) (*study.Result, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	results, err := p.file.Load()
	return results[r.Name()], err
}

// record appends the line of a run, unless another process has meanwhile.
func (p *studyPlan) record(r *study.Run, result *study.Result) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	results, err := p.file.Load()
	if err != nil {
		return err
	}
	if r.Result = results[r.Name()]; r.Result != nil {
		return nil
	}
	r.Result = result
	return p.file.Append(result)
}
