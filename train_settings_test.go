package main

import (
	"context"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every setting of the optimizer's step, against an epoch of training by the book.

// plainEpoch trains m by a plan of one epoch and returns the gradient norm and the learning rate of every step.
// Gradients come sample by sample from the model; all that is done with them is written out here in float64.
func plainEpoch(m *LLM, c *Config, samples []example) (norms, rates []float64) {
	type moments struct{ m, v float64 }
	state := map[*float32]*moments{}
	steps := slices.Collect(slices.Chunk(samples, c.Batch*c.Pretrain.Accum[0]))
	if c.MaxSteps > 0 {
		steps = steps[:min(c.MaxSteps, len(steps))]
	}
	m.SetDropout(0, 0)
	for step, part := range steps {
		norm := plainGradients(m, part, c.Smoothing)
		rate := plainRate(c, step, len(steps))
		norms, rates = append(norms, norm), append(rates, rate)
		clip := 1.0
		if c.Clip > 0 {
			clip = min(1, c.Clip/norm)
		}
		for _, p := range m.Params() {
			for i := range p.W {
				w := &p.W[i]
				if state[w] == nil {
					state[w] = &moments{}
				}
				s, g := state[w], clip*float64(p.Grad[i])
				s.m, s.v = 0.9*s.m+0.1*g, c.Beta2*s.v+(1-c.Beta2)*g*g
				mean := s.m / (1 - math.Pow(0.9, float64(step+1)))
				root := math.Sqrt(s.v / (1 - math.Pow(c.Beta2, float64(step+1))))
				move := mean / (root + 1e-8)
				if len(p.Shape) == 2 {
					move += c.WeightDecay * float64(*w)
				}
				*w -= float32(rate * move)
			}
		}
	}
	return norms, rates
}

// plainGradients leaves the gradient of the mean loss over all targets of the samples in m and returns its norm.
func plainGradients(m *LLM, samples []example, smoothing float64) float64 {
	targets := 0
	for _, s := range samples {
		for i := 1; i < len(s.tokens); i++ {
			if s.counts == nil || s.counts[i] {
				targets++
			}
		}
	}
	clearGrads(m.Params())
	var squares float64
	for _, s := range samples {
		m.Loss(new(Batch).pack([]example{s}), smoothing)
		m.Backward(1 / float64(targets))
	}
	for _, p := range m.Params() {
		for _, g := range p.Grad {
			squares += float64(g) * float64(g)
		}
	}
	return math.Sqrt(squares)
}

// plainRate is the learning rate of a step, from 0, of a phase of so many steps.
func plainRate(c *Config, step, steps int) float64 {
	peak, low := c.Pretrain.LR, c.Pretrain.MinLR
	if low < 0 {
		low = peak / 100
	}
	if step < c.Warmup {
		return peak * float64(step+1) / float64(c.Warmup)
	}
	cycle := float64(steps-c.Warmup) / float64(c.Pretrain.Restarts+1)
	_, position := math.Modf(float64(step-c.Warmup) / cycle)
	return low + (peak-low)/2*(1+math.Cos(math.Pi*position))
}

// distance is ‖a − b‖ / ‖b − start‖ over all weights but the keys' biases, whose gradient is rounding and nothing else.
func distance(params []*Param, start, a, b snapshot) float64 {
	var off, moved []float64
	for i, p := range params {
		of := func(s snapshot) []float64 {
			w, _, _ := withoutKeyBias(p.Name, s[i], s[i])
			return w
		}
		from, got, want := of(start), of(a), of(b)
		for j := range from {
			off, moved = append(off, got[j]-want[j]), append(moved, want[j]-from[j])
		}
	}
	return math.Sqrt(inner(off, off) / inner(moved, moved))
}

// answersOnly lets only the end of every sample count, a share that differs from sample to sample.
func answersOnly(_ *Config, p *phase) {
	for i := range p.train.rows {
		e := &p.train.rows[i]
		e.counts = make([]bool, len(e.tokens))
		for at := len(e.tokens) - 1 - i%3; at < len(e.tokens); at++ {
			e.counts[at] = true
		}
	}
}

// settingsRows change one setting each.
var settingsRows = map[string]func(*Config, *phase){
	"batch":           func(c *Config, _ *phase) { c.Batch = 3 },
	"accum":           func(c *Config, _ *phase) { c.Pretrain.Accum = []int{4} },
	"lr":              func(c *Config, _ *phase) { c.Pretrain.LR = 2e-3 },
	"min-lr":          func(c *Config, _ *phase) { c.Pretrain.MinLR = 5e-4 },
	"warmup-steps":    func(c *Config, _ *phase) { c.Warmup = 4 },
	"restarts":        func(c *Config, _ *phase) { c.Pretrain.Restarts = 1 },
	"max-steps":       func(c *Config, _ *phase) { c.MaxSteps = 6 },
	"beta2":           func(c *Config, _ *phase) { c.Beta2 = 0.5 },
	"weight-decay":    func(c *Config, _ *phase) { c.WeightDecay = 2 },
	"clip":            func(c *Config, _ *phase) { c.Clip = 2.5 },
	"label-smoothing": func(c *Config, _ *phase) { c.Smoothing = 0.3 },
	"answers only":    answersOnly,
	"answers in batches": func(c *Config, p *phase) {
		c.Batch, c.Pretrain.Accum = 2, []int{2}
		answersOnly(c, p)
	},
}

// settingsBase is what the rows change: one epoch, and no clipping, which would hide how the gradient is scaled.
func settingsBase(c *Config, _ *phase) { c.Pretrain.Epochs, c.Clip = 1, 0 }

func TestTrain_EachSettingChangesTheRunAsTheBookSays(t *testing.T) {
	const limit = 1e-5 // ‖difference‖ / ‖what the epoch moved‖, of float32 weights
	book := func(r *trial, start snapshot) (weights snapshot, norms, rates []float64) {
		m := newLLM(r.cfg.Model, newRNG(1, initStream))
		start.restore(m.Params())
		norms, rates = plainEpoch(m, &r.cfg, r.phase.train.epoch(0))
		weights.take(m.Params())
		return weights, norms, rates
	}
	base := newTrial(t, settingsBase)
	unchanged, _, _ := book(base, base.weights())
	rows := maps.Clone(settingsRows)
	rows["none"] = func(*Config, *phase) {}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			r := newTrial(t, func(c *Config, p *phase) { settingsBase(c, p); change(c, p) })
			start := r.weights()
			want, norms, rates := book(r, start)
			r.run(t)
			require.Less(t, distance(r.model.Params(), start, r.weights(), want), limit)
			last := r.records()[0]
			require.Equal(t, len(rates), last.Step)
			require.InEpsilon(t, rates[len(rates)-1], float64(last.LR), 1e-9)
			require.InEpsilon(t, sumOf(norms)/float64(len(norms)), float64(last.AvgGradNorm), 1e-5)
			if name != "none" {
				require.Greater(t, distance(r.model.Params(), start, unchanged, want), 100*limit, "the setting must matter")
			}
		})
	}
}

func sumOf(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// A second phase begins with moments of zero and a step count of its own: the book knows of no phase before it.
func TestTrain_ASecondPhaseStartsItsOptimizerAnew(t *testing.T) {
	r := newTrial(t, settingsBase)
	r.run(t)
	start := r.weights()
	m := newLLM(r.cfg.Model, newRNG(1, initStream))
	start.restore(m.Params())
	second := *r.phase
	second.name, second.first = "finetune", false
	plainEpoch(m, &r.cfg, second.train.epoch(0))
	var want snapshot
	want.take(m.Params())
	_, err := r.trainer.run(context.Background(), &second)
	require.NoError(t, err)
	require.Less(t, distance(m.Params(), start, r.weights(), want), 1e-5)
}

// Each phase stops after its own number of epochs without improvement; a rate near 0 improves on nothing after epoch 1.
// One row and one pair: with several pairs an epoch's conversations, and so its loss, would change.
func TestTrain_EachPhaseHasItsOwnPatience(t *testing.T) {
	flags := []string{"--pretrain-data=" + textFile(t, "row.json", `["one"]`), "--pretrain-epochs=20", "--lr=1e-12",
		"--chat-data=" + textFile(t, "pair.json", `[{"user":"a?","assistant":"b"}]`), "--finetune-epochs=20",
		"--finetune-lr=1e-12", "--finetune-accum=1"}
	for _, c := range []struct {
		patience            []string
		pretrain, finetuned int
	}{
		{[]string{"--patience=2", "--finetune-patience=4"}, 3, 5},
		{[]string{"--patience=4", "--finetune-patience=2"}, 5, 3},
		{[]string{"--patience=0", "--finetune-patience=1"}, 20, 2},
		{[]string{"--patience=1", "--finetune-patience=0"}, 2, 20},
	} {
		epochs := map[any]int{}
		for _, e := range logLines(t, append(flags, c.patience...)...) {
			if e["event"] == "epoch" {
				epochs[e["phase"]]++
			}
		}
		require.Equal(t, map[any]int{"pretrain": c.pretrain, "finetune": c.finetuned}, epochs, "%v", c.patience)
	}
}

// The limit of steps is why the run ends, also where patience runs out in the same epoch.
func TestTrain_TheLimitOfStepsOutranksPatience(t *testing.T) {
	row := "--pretrain-data=" + textFile(t, "row.json", `["one"]`)
	for maxSteps, reason := range map[string]string{"2": endMaxSteps, "3": endMaxSteps, "4": endEarlyStop} {
		events := logLines(t, row, "--pretrain-epochs=20", "--lr=1e-12", "--patience=2", "--max-steps="+maxSteps)
		require.Equal(t, reason, events[len(events)-1]["reason"], "%s steps; patience ends after the third", maxSteps)
	}
}

func TestTrain_ValidatesOnEveryTargetThatIsHeldOut(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain.Epochs, c.Pretrain.LR = 1, 1e-30
		p.train.rows, p.held = p.train.rows[:7], p.train.rows[7:]
		p.held[1].counts = make([]bool, len(p.held[1].tokens))
		p.held[1].counts[2] = true
	})
	ref := newReference(r.cfg.Model, r.model.Params())
	r.run(t)
	got := float64(*r.records()[0].ValLoss)
	require.InEpsilon(t, ref.loss(new(Batch).pack(r.phase.held), 0), got, 1e-6)
	for _, part := range [][]example{r.phase.held[:1], r.phase.held[:2], r.phase.held[1:]} {
		require.Greater(t, math.Abs(ref.loss(new(Batch).pack(part), 0)-got), 1e-4, "a part has another loss")
	}
}
