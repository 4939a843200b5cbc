package main

import (
	"context"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
)

// Settings of training. Each row of settingsRows is compared with an epoch whose formulas are written out here.

// plainEpoch trains m for one epoch and returns the gradient norm and the learning rate of every step. The model
// computes the gradients, one sample at a time; everything else is float64 formulas.
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

// plainGradients computes the gradients of the samples' mean loss per target, leaves them in m and returns their norm.
func plainGradients(m *LLM, samples []example, smoothing float64) float64 {
	targets := 0
	for _, s := range samples {
		for i := 1; i < len(s.tokens); i++ {
			if s.lossMask == nil || s.lossMask[i] {
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

// plainRate is the learning rate of a step, counted from 0, of a phase with the given number of steps.
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

// distance is ‖a − b‖ / ‖b − start‖ over all weights except the keys' biases, whose gradient is rounding errors only.
func distance(params []*Param, start, a, b snapshot) float64 {
	var off, moved []float64
	for i, p := range params {
		weights := func(s snapshot) []float64 {
			w, _, _ := withoutKeyBias(p.Name, s[i], s[i])
			return w
		}
		from, got, want := weights(start), weights(a), weights(b)
		for j := range from {
			off, moved = append(off, got[j]-want[j]), append(moved, want[j]-from[j])
		}
	}
	return math.Sqrt(inner(off, off) / inner(moved, moved))
}

// answersOnly masks the loss of all tokens but the last one to three of every sample.
func answersOnly(_ *Config, p *phase) {
	for i := range dataOf(p).rows {
		e := &dataOf(p).rows[i]
		e.lossMask = make([]bool, len(e.tokens))
		for at := len(e.tokens) - 1 - i%3; at < len(e.tokens); at++ {
			e.lossMask[at] = true
		}
	}
}

// settingsRows change one setting each, "answers in batches" several.
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

// settingsBase is the trial that the rows change: one epoch, without clipping, which would hide a wrong scale of the
// gradient.
func settingsBase(c *Config, _ *phase) { c.Pretrain.Epochs, c.Clip = 1, 0 }

func TestTrain_EachSettingHasTheEffectOfItsFormula(t *testing.T) {
	const limit = 1e-5 // of distance, for float32 weights
	expected := func(r *trial, start snapshot) (weights snapshot, norms, rates []float64) {
		m := newLLM(r.cfg.Model, newRNG(1, initStream))
		start.restore(m.Params())
		norms, rates = plainEpoch(m, &r.cfg, r.phase.train.epoch(0))
		weights.save(m.Params())
		return weights, norms, rates
	}
	base := newTrial(t, settingsBase)
	unchanged, _, _ := expected(base, base.weights())
	rows := maps.Clone(settingsRows)
	rows["none"] = func(*Config, *phase) {}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			r := newTrial(t, func(c *Config, p *phase) { settingsBase(c, p); change(c, p) })
			start := r.weights()
			want, norms, rates := expected(r, start)
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

func TestTrain_ClippingTheLogitsGradientNeverActs(t *testing.T) {
	run := func(change func(*Config)) *trial {
		r := newTrial(t, func(c *Config, p *phase) { c.Clip = 1; change(c) })
		r.run(t)
		return r
	}
	mistake := run(func(c *Config) { c.ClipLogits = true })
	none := run(func(c *Config) { c.Clip = 0 })
	right := run(func(*Config) {})
	for i, w := range none.weights() {
		requireSameBits(t, w, mistake.weights()[i])
	}
	require.NotEqual(t, none.weights(), right.weights(), "clipping the gradient of the parameters does act")
	require.Zero(t, mistake.records()[0].ClippedShare)
	tight := run(func(c *Config) { c.ClipLogits, c.Clip = true, 1e-3 })
	require.NotEqual(t, none.weights(), tight.weights(), "a limit far below √(2/T) acts")
}

// A second phase starts with moments and a step count of 0: plainEpoch knows nothing of the first.
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
	want.save(m.Params())
	_, err := r.trainer.run(context.Background(), &second)
	require.NoError(t, err)
	require.Less(t, distance(m.Params(), start, r.weights(), want), 1e-5)
}

// Each phase stops after its own number of epochs without improvement. At a learning rate near 0 no epoch after the
// first improves. There is one row and one pair, because several pairs are joined anew each epoch, which changes the
// loss.
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

// Where the step limit and patience end a run in the same epoch, the reason is the step limit.
func TestTrain_TheLimitOfStepsOutranksPatience(t *testing.T) {
	row := "--pretrain-data=" + textFile(t, "row.json", `["one"]`)
	for maxSteps, reason := range map[string]string{"2": runlog.MaxSteps, "3": runlog.MaxSteps, "4": runlog.EarlyStop} {
		events := logLines(t, row, "--pretrain-epochs=20", "--lr=1e-12", "--patience=2", "--max-steps="+maxSteps)
		require.Equal(t, reason, events[len(events)-1]["reason"], "%s steps; patience lasts for three epochs", maxSteps)
	}
}

func TestTrain_ValidatesOnEveryHeldOutTarget(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain.Epochs, c.Pretrain.LR = 1, 1e-30
		dataOf(p).rows, p.held = dataOf(p).rows[:7], dataOf(p).rows[7:]
		p.held[1].lossMask = make([]bool, len(p.held[1].tokens))
		p.held[1].lossMask[2] = true
	})
	ref := newReference(r.cfg.Model, r.model.Params())
	r.run(t)
	got := float64(*r.records()[0].ValLoss)
	require.InEpsilon(t, ref.loss(new(Batch).pack(r.phase.held), 0), got, 1e-6)
	for _, part := range [][]example{r.phase.held[:1], r.phase.held[:2], r.phase.held[1:]} {
		require.Greater(t, math.Abs(ref.loss(new(Batch).pack(part), 0)-got), 1e-4, "a part has another loss")
	}
}
