package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Ablations: the stable configuration, one change at a time, several seeds each. A seed draws the initial weights, the
// order and the held-out part alike for all changes, so that differences are taken seed by seed:
//
//	d_s = best validation loss of the change − that of the stable configuration, with seed s
//
// A difference counts when |mean d| is larger than the spread of d, its sample standard deviation, and at least minDelta,
// by which an epoch counts as an improvement.

// ablation is one change.
type ablation struct {
	Name, What string
	flags      []string // of the train command
	lr         float64  // multiple of the learning rate; 0: as it is
}

const stableName = "stable"

// ablations lists the changes, the stable configuration first.
var ablations = []ablation{
	{Name: stableName, What: "the stable configuration"},
	{Name: "no-clip", What: "gradients are not clipped", flags: []string{"--clip=0"}},
	{Name: "clip-logits", What: "only the gradient by the logits is clipped, the classic mistake", flags: []string{"--clip-logits"}},
	{Name: "lr-x10", What: "learning rate × 10", lr: 10},
	{Name: "lr-x30", What: "learning rate × 30", lr: 30},
	{Name: "restarts-2", What: "two warm restarts of the cosine", flags: []string{"--restarts=2"}},
	{Name: "accum-4", What: "four micro-batches a step", flags: []string{"--accum=4"}},
	{Name: "smooth-lr-half", What: "label smoothing 0.1, learning rate × ½", flags: []string{"--label-smoothing=0.1"}, lr: 0.5},
	{Name: "smooth", What: "label smoothing 0.1", flags: []string{"--label-smoothing=0.1"}},
	{Name: "smooth-lr-x2", What: "label smoothing 0.1, learning rate × 2", flags: []string{"--label-smoothing=0.1"}, lr: 2},
	{Name: "freeze", What: "Q, K, V and O keep their initial weights", flags: []string{"--freeze-attn"}},
	{Name: "unfreeze-layered", What: "Q, K and V are released block by block", flags: []string{"--unfreeze=layered"}},
	{Name: "straight-through", What: "straight-through attention backward", flags: []string{"--attn-backward=straight-through"}},
	{Name: "stop-gradient", What: "stop-gradient attention backward", flags: []string{"--attn-backward=stop-gradient"}},
	{Name: "dropout", What: "dropout 0.1", flags: []string{"--dropout=0.1"}},
}

// changes are the flags that turn a configuration with this learning rate into the ablation.
func (a *ablation) changes(lr float64) []string {
	if a.lr == 0 {
		return a.flags
	}
	return append(slices.Clone(a.flags), "--lr="+strconv.FormatFloat(a.lr*lr, 'g', 6, 64))
}

// meanSpread is a mean over seeds and the sample standard deviation around it. Of no values both are NaN, of one the spread.
type meanSpread struct {
	Mean   jsonFloat `json:"mean"`
	Spread jsonFloat `json:"spread"`
}

func meanSpreadOf(values []float64) meanSpread {
	n, sum, squares := float64(len(values)), 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	for _, v := range values {
		squares += (v - sum/n) * (v - sum/n)
	}
	return meanSpread{jsonFloat(sum / n), jsonFloat(math.Sqrt(squares / (n - 1)))}
}

// text is the mean with its spread, where there is one.
func (m meanSpread) text(digits int) string {
	if !finite(float64(m.Mean)) {
		return "–"
	}
	text := strconv.FormatFloat(float64(m.Mean), 'f', digits, 64)
	if finite(float64(m.Spread)) {
		text += " ± " + strconv.FormatFloat(float64(m.Spread), 'f', digits, 64)
	}
	return text
}

// ablationSummary is the content of ablation.json.
type ablationSummary struct {
	Base    []string       `json:"base"` // flags of every run
	Seeds   []uint64       `json:"seeds"`
	Changes []changeResult `json:"changes"` // the stable configuration first
}

// changeResult is what the runs of one change came to. Diverged runs are counted and left out of every mean.
type changeResult struct {
	Name       string     `json:"name"`
	What       string     `json:"what"`
	Flags      []string   `json:"flags"`
	Runs       int        `json:"runs"`
	Diverged   int        `json:"diverged"`
	Healthy    int        `json:"healthy"` // runs with that verdict
	BestEpoch  meanSpread `json:"best_epoch"`
	BestVal    meanSpread `json:"best_val_loss"` // of the weights that are kept
	FinalTrain meanSpread `json:"final_train_loss"`
	FinalVal   meanSpread `json:"final_val_loss"`
	Difference meanSpread `json:"difference"` // of best_val_loss to the stable configuration, seed by seed
	Compared   int        `json:"compared"`   // seeds in the difference
	Verdict    string     `json:"verdict"`

	curves         []*runLog
	stableDiverged int // runs of the stable configuration
	better, worse  bool
}

// kept is the phase of a run that did not diverge, at least one epoch long; nil of one that did.
func kept(l *runLog) *phaseLog {
	if l.end == nil || l.end.Reason == endDiverged || len(l.phases) == 0 || len(l.phases[0].epochs) == 0 {
		return nil
	}
	return l.phases[0]
}

// concluded tells a run that diverged or has an epoch and came to an end of its own.
func concluded(l *runLog) bool {
	if l.end == nil {
		return false
	}
	switch l.end.Reason {
	case endDiverged:
		return true
	case endCompleted, endEarlyStop, endMaxSteps:
		return kept(l) != nil
	}
	return false
}

// newChangeResult sums up the runs of a change, beside those of the stable configuration with the same seeds.
func newChangeResult(a *ablation, flags []string, runs, stable []*runLog) changeResult {
	r := changeResult{Name: a.Name, What: a.What, Flags: flags, Runs: len(runs), curves: runs}
	var epochs, bests, trains, vals, differences []float64
	for i, l := range runs {
		p, base := kept(l), kept(stable[i])
		if base == nil {
			r.stableDiverged++
		}
		if p == nil {
			r.Diverged++
			continue
		}
		if judge(p.epochs).Verdict == "healthy" {
			r.Healthy++
		}
		best, last := p.best(), p.last()
		epochs, bests = append(epochs, float64(best.Epoch)), append(bests, best.monitored())
		trains, vals = append(trains, float64(last.AvgLoss)), append(vals, last.monitored())
		if base != nil {
			differences = append(differences, best.monitored()-base.best().monitored())
		}
	}
	r.BestEpoch, r.BestVal = meanSpreadOf(epochs), meanSpreadOf(bests)
	r.FinalTrain, r.FinalVal = meanSpreadOf(trains), meanSpreadOf(vals)
	r.Difference, r.Compared = meanSpreadOf(differences), len(differences)
	r.judge()
	return r
}

// judge puts the difference into words. A change that makes more seeds diverge is worse whatever the others came to.
func (r *changeResult) judge() {
	d, spread := float64(r.Difference.Mean), float64(r.Difference.Spread)
	switch {
	case r.Name == stableName:
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
