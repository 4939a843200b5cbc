package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"gogpt/internal/kernel"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

// The command gradcheck.

// errChecksFailed is the error of a check that failed. The printed rows say what failed.
var errChecksFailed = errors.New("the check failed")

// progressInterval is the time between two lines of progress that no terminal shows.
const progressInterval = 5 * time.Second

// gradcheckCommand runs gogpt gradcheck.
func gradcheckCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("gradcheck", flag.ContinueOnError)
	cfg := defaultConfig()
	golden := fs.String("golden", "", "compare with a golden case, a safetensors `FILE`, instead")
	asJSON := fs.Bool("json", false, "print one JSON object")
	mode := fs.String("attn-backward", "all",
		"`MODE` to check beside exact: all, exact, straight-through or stop-gradient")
	commonFlags(fs, &cfg)
	modelFlags(fs, &cfg.Model)
	dataFlags(fs, &cfg)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	kernel.SetThreads(cfg.Threads)
	started := time.Now()
	if *golden != "" {
		return goldenCommand(c, *golden, *asJSON, started)
	}
	modes := []AttentionBackward{StraightThrough, StopGradient}
	if *mode != "all" {
		modes = modes[:1]
		if err := modes[0].Set(*mode); err != nil {
			return usagef("--attn-backward=%s: takes all, exact, straight-through or stop-gradient", *mode)
		}
	}
	m, b, err := checkSubject(&cfg)
	if err != nil {
		return err
	}
	show := c.Progress(progressInterval)
	rows := checkGradients(m, b, cfg.Seed, func(what string) { show("gradcheck: " + what) }, modes...)
	show("")
	return newGradResult(rows, time.Since(started)).print(c, *asJSON)
}

// goldenCommand compares losses, gradients and a training run with a golden case that PyTorch computed.
func goldenCommand(c *terminal.Console, path string, asJSON bool, started time.Time) error {
	g, err := loadGolden(path)
	if err != nil {
		return err
	}
	r, err := g.check()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.ElapsedSec = strictjson.Float(time.Since(started).Seconds())
	if asJSON {
		err = strictjson.Print(c.Out, r)
	} else {
		worst := r.Worst.What
		if !r.GreedyEqual {
			worst = "the greedy continuation; of the figures, " + worst
		}
		_, err = fmt.Fprintf(c.Out, "%s\n%s\n", r, verdictLine(r.OK, worst, r.Worst.RelErr, r.Worst.Limit, r.ElapsedSec))
	}
	if err == nil && !r.OK {
		err = fmt.Errorf("%s: %w", path, errChecksFailed)
	}
	return err
}

// checkTokens lists the lengths, in tokens, of the sequences of a gradient check.
var checkTokens = []int{5, 3}

// checkSubject returns a new model and a small batch of the first samples of its data.
func checkSubject(cfg *Config) (*LLM, *Batch, error) {
	s := &session{cfg: cfg}
	if _, err := s.prepare(); err != nil {
		return nil, nil, err
	}
	b := &Batch{}
	samples := s.phases[0].train.inOrder()
	for i, n := range checkTokens {
		e := samples[i%len(samples)]
		b.add(e.part(0, min(n, len(e.tokens)-1, cfg.Model.Context)))
	}
	return s.model, b, nil
}

// gradResult is what `gogpt gradcheck --json` prints.
type gradResult struct {
	Rows       []gradRow        `json:"rows"`
	Worst      gradRow          `json:"worst"` // its error is the largest in relation to its limit
	OK         bool             `json:"ok"`    // that of every row
	ElapsedSec strictjson.Float `json:"elapsed_sec"`
}

// newGradResult returns the result of a gradient check with these rows.
func newGradResult(rows []gradRow, elapsed time.Duration) *gradResult {
	worst := slices.MaxFunc(rows, func(a, b gradRow) int {
		return cmp.Compare(limitShare(a.RuleErr, a.Limit), limitShare(b.RuleErr, b.Limit))
	})
	return &gradResult{Rows: rows, Worst: worst, OK: worst.OK, ElapsedSec: strictjson.Float(elapsed.Seconds())}
}

// print prints the result of a gradient check. It returns errChecksFailed when a row failed.
func (r *gradResult) print(c *terminal.Console, asJSON bool) error {
	if asJSON {
		if err := strictjson.Print(c.Out, r); err != nil {
			return err
		}
	} else {
		printGradRows(c.Out, r.Rows)
		worst := fmt.Sprintf("%s, %s", r.Worst.Tensor, r.Worst.Mode)
		fmt.Fprintln(c.Out, verdictLine(r.OK, worst, r.Worst.RuleErr, r.Worst.Limit, r.ElapsedSec))
	}
	if !r.OK {
		return errChecksFailed
	}
	return nil
}

// printGradRows prints the rows of a gradient check as a table.
func printGradRows(out io.Writer, rows []gradRow) {
	fmt.Fprintf(out, "%-16s %-32s %10s %9s %9s %10s\n", "mode", "tensor", "rel err", "cosine", "norm", "rule err")
	for _, r := range rows {
		verdict := "ok"
		if !r.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(out, "%-16s %-32s %10.1e %9s %9s %10.1e  %s\n", r.Mode, r.Tensor, float64(r.RelErr),
			r.Cosine.OrDash("%.6f"), r.NormRatio.OrDash("%.4f"), float64(r.RuleErr), verdict)
	}
	fmt.Fprintf(out, "\nexact: rel err compares with central differences in float64 "+
		"(limit %.0e, for zero gradients %.0e absolute).\n"+
		"others: rel err, cosine and norm compare with the exact gradient, "+
		"rule err with differences of what the mode assumes.\n"+
		"-: the exact gradient is zero; rel err is the largest entry of the mode's gradient.\n\n", gradLimit, zeroLimit)
}

// verdictLine returns the last line of a check.
func verdictLine(ok bool, worst string, relErr, limit, seconds strictjson.Float) string {
	verdict := "PASS"
	if !ok {
		verdict = "FAIL"
	}
	elapsed := time.Duration(float64(seconds) * float64(time.Second)).Round(10 * time.Millisecond)
	return fmt.Sprintf("%s: the worst is %s: error %.1e, limit %.0e; %s", verdict, worst, relErr, limit, elapsed)
}
