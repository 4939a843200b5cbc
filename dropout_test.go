package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// onesDropped drops from T rows of ones.
func onesDropped(d *dropout, T int) []float32 {
	return d.inPlace(newParam("ones", T, d.C).constant(1).W)
}

func TestDropoutKeepsItsShareAndTheMean(t *testing.T) {
	for _, rate := range []float64{0.1, 0.5, 0.9} {
		d := &dropout{C: 100}
		d.set(rate, 7)
		y := onesDropped(d, 1000)
		zeros := 0
		for _, v := range y {
			if v == 0 {
				zeros++
			} else {
				require.InDelta(t, 1/(1-rate), v, 1e-5)
			}
		}
		n := float64(len(y))
		spread := math.Sqrt(rate * (1 - rate) / n) // standard deviation of the dropped share
		require.InDelta(t, rate, float64(zeros)/n, 4*spread)
		require.InDelta(t, 1, sum(y)/n, 4*spread/(1-rate))
	}
}

func TestBackwardDropsWhereForwardDid(t *testing.T) {
	d := &dropout{C: 13}
	d.set(0.4, 3)
	mask := onesDropped(d, 9)
	dy := randomFloats(newRNG(1, checkStream), len(mask))
	kept := slices.Clone(dy)
	for i, dx := range d.backward(dy) {
		require.Equal(t, dy[i]*mask[i], dx)
	}
	requireSameBits(t, kept, dy)
}

func TestMasksFollowFromTheKeyAlone(t *testing.T) {
	mask := func(n int, key uint64) (y []float32) {
		withThreads(n, func() {
			d := &dropout{C: 10}
			d.set(0.5, key)
			y = onesDropped(d, 17)
		})
		return y
	}
	requireSameBits(t, mask(1, 5), mask(1, 5))
	requireSameBits(t, mask(1, 5), mask(3, 5))
	require.NotEqual(t, mask(1, 5), mask(1, 6))
}

// Rows, places of the model and micro-batches must not repeat each other's masks.
func TestNoTwoRowsShareAMask(t *testing.T) {
	d := &dropout{C: 64}
	seen := map[string]bool{}
	for key := range uint64(5) {
		d.set(0.5, mix(key))
		y := onesDropped(d, 20)
		for row := range 20 {
			var bits []byte
			for _, v := range y[row*64 : (row+1)*64] {
				bits = append(bits, byte(v))
			}
			require.False(t, seen[string(bits)])
			seen[string(bits)] = true
		}
	}
}

func TestNoDropoutChangesNothing(t *testing.T) {
	d := &dropout{C: 4}
	d.set(0, 1)
	x := randomFloats(newRNG(2, checkStream), 8)
	require.Same(t, &x[0], &d.backward(x)[0])
	requireSameBits(t, slices.Clone(x), d.inPlace(x))
}

// lossInFloat64 is the mean loss of the float32 model, summed in float64.
func lossInFloat64(m *LLM, b *Batch) float64 {
	loss := m.Loss(b, 0)
	return loss.mean()
}

// dropoutSlopes compares, for every tensor, the length of its gradient with the slope of the loss along it, both with
// dropout by the same key, and returns the largest relative difference.
func dropoutSlopes(m *LLM, b *Batch, backwardKey uint64) (worst float64) {
	const rate, key, h = 0.2, 11, 1e-2
	m.SetDropout(rate, key)
	clearGrads(m.Params())
	loss := m.Loss(b, 0)
	m.SetDropout(rate, backwardKey)
	m.Backward(1 / float64(loss.targets))
	m.SetDropout(rate, key)
	for _, p := range m.Params() {
		norm := math.Sqrt(sumSquares(p.Grad))
		base := slices.Clone(p.W)
		moveAlong(p, h/norm)
		up := lossInFloat64(m, b)
		copy(p.W, base)
		moveAlong(p, -h/norm)
		slope := (up - lossInFloat64(m, b)) / (2 * h)
		copy(p.W, base)
		worst = max(worst, math.Abs(norm-slope)/math.Abs(slope))
	}
	return worst
}

func TestModelGradientsWithDropout(t *testing.T) {
	m := roughModel(oddConfig, 1)
	b := randomBatch(oddConfig, newRNG(1, checkStream), 13, 5, 9)
	require.Less(t, dropoutSlopes(m, b, 11), 1e-3)
	require.Greater(t, dropoutSlopes(m, b, 12), 0.1, "masks of another key went unnoticed")
}

func TestEvaluationDropsNothing(t *testing.T) {
	m := roughModel(oddConfig, 2)
	samples := randomSamples(oddConfig, newRNG(2, checkStream), 13, 5)
	want := m.Loss(new(Batch).pack(samples), 0)
	m.SetDropout(0.5, 1)
	require.NotEqual(t, want, m.Loss(new(Batch).pack(samples), 0))
	require.Equal(t, want, (&evaluator{model: m}).loss(samples))
}

// Embedding, attention weights and both branches of every block: no two places drop by the same mask, nor do two steps.
func TestEveryPlaceOfTheModelHasItsOwnMask(t *testing.T) {
	m := newLLM(oddConfig, newRNG(3, initStream))
	seen := map[uint64]bool{}
	for step := range uint64(3) {
		m.SetDropout(0.5, mix(step))
		seen[m.drop.key] = true
		for _, b := range m.blocks {
			for _, d := range []dropout{b.attn.drop, b.dropAttn, b.dropMLP} {
				require.Equal(t, 0.5, d.rate)
				seen[d.key] = true
			}
		}
	}
	require.Len(t, seen, 3*(1+3*oddConfig.Layers))
}

// Each position occurs once, so the gradient of its embedding is zero exactly where the mask dropped it.
func TestDropout_ReachesTheEmbeddings(t *testing.T) {
	c := ModelConfig{Layers: 1, Heads: 2, Dim: 64, Hidden: 16, Context: 32, Vocab: 31}
	m := roughModel(c, 4)
	b := randomBatch(c, newRNG(4, checkStream), c.Context)
	for _, rate := range []float64{0, 0.2, 0.6} {
		m.SetDropout(rate, 5)
		meanGradients(m, b, 0)
		zeros := 0
		for _, g := range m.embed.wpe.Grad {
			if g == 0 {
				zeros++
			}
		}
		n := float64(c.Context * c.Dim)
		require.InDelta(t, rate*n, zeros, 4*math.Sqrt(rate*(1-rate)*n), "rate %g", rate)
	}
}

// droppedLosses are the losses of one text, epoch by epoch, in training that moves no weight: only masks change them.
func droppedLosses(t *testing.T, change func(*Config, *phase)) (losses []float64) {
	r := newTrial(t, func(c *Config, p *phase) {
		p.train.rows = p.train.rows[3:4]
		c.Dropout, c.Pretrain.LR = 0.5, 1e-30
		change(c, p)
	})
	same := newLLM(r.cfg.Model, newRNG(1, initStream))
	roughen(same.Params(), newRNG(1, checkStream))
	var weights snapshot
	weights.take(same.Params())
	weights.restore(r.model.Params())
	r.run(t)
	for _, record := range r.records() {
		losses = append(losses, float64(record.AvgLoss))
	}
	return losses
}

// Seed, phase, step and micro-batch each have masks of their own; a run repeats its own masks.
func TestDropout_MasksDifferBySeedPhaseStepAndMicroBatch(t *testing.T) {
	off := droppedLosses(t, func(c *Config, _ *phase) { c.Dropout = 0 })
	require.InDelta(t, off[0], off[1], 1e-9, "without dropout the loss stays as it is")
	plain := droppedLosses(t, func(*Config, *phase) {})
	require.Equal(t, plain, droppedLosses(t, func(*Config, *phase) {}))
	losses := map[string]float64{
		"off":           off[0],
		"step 1":        plain[0],
		"step 2":        plain[1],
		"another seed":  droppedLosses(t, func(c *Config, _ *phase) { c.Seed = 2 })[0],
		"another phase": droppedLosses(t, func(_ *Config, p *phase) { p.train.stream = finetuneOrder })[0],
		// the mean of both would be the loss of the first alone if they had the same masks
		"two micro-batches of the text": droppedLosses(t, func(c *Config, p *phase) {
			p.train.rows, c.Pretrain.Accum = []example{p.train.rows[0], p.train.rows[0]}, []int{2}
		})[0],
	}
	for a, lossA := range losses {
		for b, lossB := range losses {
			if a != b {
				require.Greater(t, math.Abs(lossA-lossB), 1e-3, "%s and %s have the same masks", a, b)
			}
		}
	}
}

// moveAlong moves the weights by a multiple of their gradient.
func moveAlong(p *Param, a float64) {
	for i, g := range p.Grad {
		p.W[i] += float32(a * float64(g))
	}
}
