package main

import (
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/report"
)

// Ablations: the stable configuration and one change at a time, each trained with several seeds. internal/report
// compares the logs.

// leastDifference is the smallest difference of losses, in nats, that an ablation counts.
const leastDifference = 0.01

// ablation is one change of the configuration.
type ablation struct {
	Name, What string
	flags      []string // of the train command
	lrFactor   float64  // the learning rate is multiplied by it; 0: unchanged
}

// ablations lists the changes. The first is no change, the stable configuration.
var ablations = []ablation{
	{Name: report.StableName, What: "the stable configuration"},
	{Name: "no-clip", What: "gradients are not clipped", flags: []string{"--clip=0"}},
	{Name: "clip-logits", What: "only the gradient with respect to the logits is clipped, the classic mistake",
		flags: []string{"--clip-logits"}},
	{Name: "lr-x10", What: "learning rate × 10", lrFactor: 10},
	{Name: "lr-x30", What: "learning rate × 30", lrFactor: 30},
	{Name: "restarts-2", What: "two warm restarts of the cosine", flags: []string{"--restarts=2"}},
	{Name: "accum-4", What: "four micro-batches per step", flags: []string{"--accum=4"}},
	{Name: "smooth-lr-half", What: "label smoothing 0.1, learning rate × ½",
		flags: []string{"--label-smoothing=0.1"}, lrFactor: 0.5},
	{Name: "smooth", What: "label smoothing 0.1", flags: []string{"--label-smoothing=0.1"}},
	{Name: "smooth-lr-x2", What: "label smoothing 0.1, learning rate × 2",
		flags: []string{"--label-smoothing=0.1"}, lrFactor: 2},
	{Name: "freeze", What: "Q, K, V and O keep their initial weights", flags: []string{"--freeze-attn"}},
	{Name: "unfreeze-layered", What: "Q, K and V are released block by block", flags: []string{"--unfreeze=layered"}},
	{Name: "straight-through", What: "straight-through attention backward",
		flags: []string{"--attn-backward=straight-through"}},
	{Name: "stop-gradient", What: "stop-gradient attention backward", flags: []string{"--attn-backward=stop-gradient"}},
	{Name: "dropout", What: "dropout 0.1", flags: []string{"--dropout=0.1"}},
}

// chooseAblations returns the changes in a comma-separated list of names, or all of them for "". The stable
// configuration is always the first.
func chooseAblations(list string) ([]*ablation, error) {
	var names, known []string
	if list != "" {
		names = strings.Split(list, ",")
	}
	var chosen []*ablation
	for i := range ablations {
		a := &ablations[i]
		known = append(known, a.Name)
		if len(names) == 0 || a.Name == report.StableName || slices.Contains(names, a.Name) {
			chosen = append(chosen, a)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usagef("--only=%s: takes names of %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// flagsAt returns the flags that make the change to a configuration with the learning rate lr.
func (a *ablation) flagsAt(lr float64) []string {
	if a.lrFactor == 0 {
		return a.flags
	}
	return append(slices.Clone(a.flags), "--lr="+strconv.FormatFloat(a.lrFactor*lr, 'g', 6, 64))
}

// keepMoments changes what a plan's freezing means, as --keep-moments asks: a frozen parameter computes gradients and
// moments as if it learned, and gets its initial weights back after every step. So it begins to learn, when it is
// released, with moments that are not 0. In the log, lines of steps show it as frozen, lines of epochs do not.
func keepMoments(t *trainer) {
	var rules []func(*Param) bool // of the stages
	var start snapshot            // weights at the beginning of the phase
	prepare, log := t.beforePhase, t.afterStep
	t.beforePhase = func(s *stepper) {
		rules = nil
		for i := range t.plan {
			rules = append(rules, t.plan[i].frozen)
			t.plan[i].frozen = func(*Param) bool { return false }
		}
		start.save(t.model.Params())
		if prepare != nil {
			prepare(s)
		}
	}
	t.afterStep = func(step int, r stepResult) (err error) {
		for i, p := range t.model.Params() {
			if p.FrozenByPlan = rules[t.stage](p); p.FrozenByPlan {
				copy(p.W, start[i])
			}
		}
		if log != nil {
			err = log(step, r)
		}
		for _, p := range t.model.Params() {
			p.FrozenByPlan = false
		}
		return err
	}
}

// clipLogits replaces the clipping of a step by a classic mistake, which --clip-logits makes on purpose: it limits only
// the gradient with respect to the logits. The gradients of the parameters have no limit then.
func clipLogits(s *stepper) {
	limit := s.clip
	s.clip = 0
	s.weigh = func(weight float64) float64 { return clipFactor(weight*s.model.loss.gradNorm(), limit) }
}
