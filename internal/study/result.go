package study

import (
	"math"
	"strconv"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// Result is the line of a finished run: what was run, and its figures with six significant digits. A figure that is not
// finite, or that has no steps to measure, is null. Losses and norms are of the last phase of the run. Figures of steps
// come from windows, the lines of the log with means of a number of steps. Losses are in nats per token, without label
// smoothing; gradient norms are before clipping.
type Result struct {
	Study string            `json:"study"`
	Cell  map[string]string `json:"cell"` // level by factor
	Seed  uint64            `json:"seed"`
	Flags []string          `json:"flags"` // without threads, kernel and names of files
	Data  map[string]string `json:"data"`  // SHA-256 of the data by phase
	Vocab int               `json:"vocab"`

	Kernel   string `json:"kernel"`
	Numerics int    `json:"numerics"` // rises whenever a version computes other bits
	Version  string `json:"version"`

	Reason   string            `json:"reason"`   // why the run ended, as in its log
	Diverged bool              `json:"diverged"` // ended with a loss that is not finite or above ln(vocab) + 1
	Train    strictjson.Float  `json:"train_loss"`
	Val      *strictjson.Float `json:"val_loss,omitempty"`     // nil without a validation split
	Heldout  *strictjson.Float `json:"heldout_loss,omitempty"` // nil if the run measured none
	Steps    int               `json:"steps"`                  // optimizer steps

	// ExactMatch is the share of held-out questions answered word for word, 0…1; nil if the run measured none.
	ExactMatch *strictjson.Float `json:"heldout_exact_match,omitempty"`

	LargestRise  strictjson.Float `json:"largest_rise"`  // of a window's loss above the lowest before it; 0: none
	NormFirst    strictjson.Float `json:"norm_first"`    // mean of the first tenth of the windows, at least one
	NormLast     strictjson.Float `json:"norm_last"`     // of the last tenth
	NormPeak     strictjson.Float `json:"norm_peak"`     // largest of any step
	ClippedShare strictjson.Float `json:"clipped_share"` // of the steps in windows, from 0 to 1

	Releases []Release `json:"releases"` // of frozen tensors, in order
}

// Release is what happened when frozen tensors were released: the figures of the last window that ends at or before the
// release, and of the first that begins after it.
type Release struct {
	Step       int              `json:"step"` // the last step before the release
	LossBefore strictjson.Float `json:"loss_before"`
	LossAfter  strictjson.Float `json:"loss_after"`
	NormBefore strictjson.Float `json:"norm_before"`
	NormAfter  strictjson.Float `json:"norm_after"`
	NormPeak   strictjson.Float `json:"norm_peak"` // largest of a step in the window after
}

// explodedAbove is how far above ln(vocab), the loss of guessing, a run counts as diverged, in nats.
const explodedAbove = 1

// Value returns an outcome. Of a run that diverged it is that of guessing, a loss of ln(vocab) and no right answer, so
// that the run can be compared. It is NaN if the run did not measure the outcome.
func (r *Result) Value(o Outcome) float64 {
	switch {
	case r.Diverged && o == ExactMatch:
		return 0
	case r.Diverged:
		return math.Log(float64(r.Vocab))
	}
	measured := map[Outcome]*strictjson.Float{TrainLoss: &r.Train, ValLoss: r.Val, HeldoutLoss: r.Heldout,
		ExactMatch: r.ExactMatch}[o]
	if measured == nil {
		return math.NaN()
	}
	return float64(*measured)
}

// Measure returns the result of the run with this log, which has an end.
func (r *Run) Measure(l *runlog.Log) *Result {
	m := &Result{Study: r.study.Name, Cell: r.study.levels(r.Cell), Seed: r.Seed, Flags: r.study.Flags(r.Cell),
		Data: l.Run.Data, Vocab: l.Run.Vocab, Kernel: l.Run.Kernel, Numerics: l.Run.Numerics, Version: l.Run.Version,
		Reason: l.End.Reason, Train: strictjson.Float(math.NaN()), Heldout: rounded(l.End.Heldout),
		ExactMatch: rounded(l.End.ExactMatch), Releases: []Release{}}
	p := &runlog.Phase{}
	if n := len(l.Phases); n > 0 {
		p = l.Phases[n-1]
	}
	if e := p.Last(); e != nil {
		m.Train, m.Val, m.Steps = round(e.AvgLoss), rounded(e.ValLoss), e.Step
	}
	m.Diverged = m.Reason == runlog.Diverged || m.exploded(m.Train) || m.Val != nil && m.exploded(*m.Val)
	m.measureSteps(p)
	for _, s := range p.Steps {
		if s.ReleasedAfter > 0 {
			m.Releases = append(m.Releases, newRelease(s.ReleasedAfter, p.Steps))
		}
	}
	return m
}

// exploded reports whether a loss is not finite or above ln(vocab) + explodedAbove.
func (r *Result) exploded(loss strictjson.Float) bool {
	return !(float64(loss) <= math.Log(float64(r.Vocab))+explodedAbove)
}

// measureSteps sets the figures of the steps of a phase.
func (r *Result) measureSteps(p *runlog.Phase) {
	windows := p.Steps
	lowest, rise, peak, clipped := math.Inf(1), 0.0, math.Inf(-1), 0.0
	for _, w := range windows {
		lowest = min(lowest, float64(w.AvgLoss))
		rise = max(rise, float64(w.AvgLoss)-lowest)
		peak = max(peak, float64(w.MaxGradNorm))
		clipped += float64(w.ClippedShare)
		r.Steps = max(r.Steps, w.Step)
	}
	for _, e := range p.Epochs { // steps after the last window count too
		if e.MaxGradNorm != nil {
			peak = max(peak, float64(*e.MaxGradNorm))
		}
	}
	if len(windows) == 0 {
		rise = math.NaN()
	}
	tenth := min(len(windows), max(1, len(windows)/10))
	r.LargestRise, r.NormPeak = round(strictjson.Float(rise)), round(strictjson.Float(peak))
	r.NormFirst, r.NormLast = meanNorm(windows[:tenth]), meanNorm(windows[len(windows)-tenth:])
	r.ClippedShare = round(strictjson.Float(clipped / float64(len(windows))))
}

// meanNorm returns the mean gradient norm of windows of the same length.
func meanNorm(windows []runlog.Steps) strictjson.Float {
	sum := 0.0
	for _, w := range windows {
		sum += float64(w.AvgGradNorm)
	}
	return round(strictjson.Float(sum / float64(len(windows))))
}

// newRelease returns the figures around the release after a step.
func newRelease(step int, windows []runlog.Steps) Release {
	nan := strictjson.Float(math.NaN())
	r := Release{step, nan, nan, nan, nan, nan}
	for _, w := range windows {
		switch {
		case w.Step <= step:
			r.LossBefore, r.NormBefore = round(w.AvgLoss), round(w.AvgGradNorm)
		case w.Step-w.Steps >= step:
			r.LossAfter, r.NormAfter, r.NormPeak = round(w.AvgLoss), round(w.AvgGradNorm), round(w.MaxGradNorm)
			return r
		}
	}
	return r
}

// round returns x with six significant digits.
func round(x strictjson.Float) strictjson.Float {
	y, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', 6, 64), 64)
	return strictjson.Float(y)
}

// rounded returns *x with six significant digits, or nil.
func rounded(x *strictjson.Float) *strictjson.Float {
	if x == nil {
		return nil
	}
	y := round(*x)
	return &y
}
