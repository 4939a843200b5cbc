package report

import (
	"fmt"
	"math"

	"gogpt/internal/runlog"
	"gogpt/internal/stats"
)

// Ablations: changes of a stable configuration, one at a time, each trained with several seeds. A seed sets the initial
// weights, the order of the samples and the validation split alike for every change, so that differences are taken per
// seed:
//
//	d_s = best validation loss of the change − that of the stable configuration, both with seed s
//
// A difference counts when |mean d| is larger than the spread of d, its sample standard deviation, and at least
// minDelta.

// StableName is the name of the configuration that the others are compared with.
const StableName = "stable"

// Ablation is the content of ablation.json.
type Ablation struct {
	Base    []string     `json:"base"` // the flags of every run
	Seeds   []uint64     `json:"seeds"`
	Changes []Comparison `json:"changes"` // the stable configuration first
}

// Change is one change of the stable configuration.
type Change struct {
	Name  string   `json:"name"`
	What  string   `json:"what"`  // one line that explains it
	Flags []string `json:"flags"` // that make the change
}

// Comparison is the result of the runs of one change. Means are over the runs that did not diverge, losses in nats per
// token.
type Comparison struct {
	Change
	Runs       int              `json:"runs"`
	Diverged   int              `json:"diverged"`
	Healthy    int              `json:"healthy"` // runs with the verdict "healthy"
	BestEpoch  stats.MeanSpread `json:"best_epoch"`
	BestVal    stats.MeanSpread `json:"best_val_loss"` // of the best epoch, whose weights are kept
	FinalTrain stats.MeanSpread `json:"final_train_loss"`
	FinalVal   stats.MeanSpread `json:"final_val_loss"`
	Difference stats.MeanSpread `json:"difference"` // d_s over the seeds
	Compared   int              `json:"compared"`   // seeds in the difference
	Verdict    string           `json:"verdict"`

	logs           []*runlog.Log
	stableDiverged int // runs of the stable configuration that diverged
	better, worse  bool
}

// Kept returns the first phase of a run that ended, did not diverge and has an epoch; of any other run it returns nil.
func Kept(l *runlog.Log) *runlog.Phase {
	if l.End == nil || l.End.Reason == runlog.Diverged || len(l.Phases) == 0 || len(l.Phases[0].Epochs) == 0 {
		return nil
	}
	return l.Phases[0]
}

// Concluded reports whether a run ended by itself, neither interrupted nor failed: it diverged, or has at least one
// epoch.
func Concluded(l *runlog.Log) bool {
	if l.End == nil {
		return false
	}
	switch l.End.Reason {
	case runlog.Diverged:
		return true
	case runlog.Completed, runlog.EarlyStop, runlog.MaxSteps:
		return Kept(l) != nil
	}
	return false
}

// Compare compares the runs of a change with those of the stable configuration: runs[i] and stable[i] have the same
// seed. A difference below minDelta, in nats, does not count.
func Compare(c Change, runs, stable []*runlog.Log, minDelta float64) Comparison {
	r := Comparison{Change: c, Runs: len(runs), logs: runs}
	var epochs, bests, trains, vals, differences []float64
	for i, l := range runs {
		p, base := Kept(l), Kept(stable[i])
		if base == nil {
			r.stableDiverged++
		}
		if p == nil {
			r.Diverged++
			continue
		}
		if runlog.Judge(p.Epochs).Verdict == runlog.Healthy {
			r.Healthy++
		}
		best, last := p.Best(), p.Last()
		epochs, bests = append(epochs, float64(best.Epoch)), append(bests, best.Monitored())
		trains, vals = append(trains, float64(last.AvgLoss)), append(vals, last.Monitored())
		if base != nil {
			differences = append(differences, best.Monitored()-base.Best().Monitored())
		}
	}
	r.BestEpoch, r.BestVal = stats.NewMeanSpread(epochs), stats.NewMeanSpread(bests)
	r.FinalTrain, r.FinalVal = stats.NewMeanSpread(trains), stats.NewMeanSpread(vals)
	r.Difference, r.Compared = stats.NewMeanSpread(differences), len(differences)
	r.judge(minDelta)
	return r
}

// judge sets the verdict. A change is worse when more of its seeds diverge, even if its difference is negative.
func (r *Comparison) judge(minDelta float64) {
	d, spread := float64(r.Difference.Mean), float64(r.Difference.Spread)
	switch {
	case r.Name == StableName:
		r.Verdict = "what the others are compared with"
	case r.Diverged > r.stableDiverged:
		r.Verdict, r.worse = fmt.Sprintf("diverges on %d of %d seeds", r.Diverged, r.Runs), true
		return
	case r.stableDiverged == r.Runs:
		r.Verdict = "no verdict: the stable configuration diverges on every seed"
	case r.Compared < 2:
		r.Verdict = "no verdict: a spread takes two seeds or more"
	case math.Abs(d) <= spread:
		r.Verdict = "no difference: smaller than the spread between seeds"
	case math.Abs(d) < minDelta:
		r.Verdict = fmt.Sprintf("no difference: below %g nats", minDelta)
	case d < 0:
		r.Verdict, r.better = fmt.Sprintf("better by %.3f nats", -d), true
	default:
		r.Verdict, r.worse = fmt.Sprintf("worse by %.3f nats", d), true
	}
	if r.Diverged > 0 {
		r.Verdict += fmt.Sprintf(" (%d of %d seeds diverged)", r.Diverged, r.Runs)
	}
}
