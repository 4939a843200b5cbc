package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

// onesDropped applies dropout to T rows of ones.
func onesDropped(d *dropout, T int) []float32 {
	return d.inPlace(newParam("ones", T, d.C).constant(1).W)
}

func TestDropout_RateZeroChangesNothing(t *testing.T) {
	d := &dropout{C: 4}
	d.set(0, 1)
	x := randomFloats(newRNG(2, checkStream), 8)
	require.Same(t, &x[0], &d.backward(x)[0])
	requireSameBits(t, slices.Clone(x), d.inPlace(x))
}

func TestDropout_DropsItsShareAndKeepsTheMean(t *testing.T) {
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
		require.InDelta(t, 1, kernel.Sum(y)/n, 4*spread/(1-rate))
	}
}

func TestDropout_BackwardDropsWhereForwardDid(t *testing.T) {
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

func TestDropout_MasksFollowFromTheKeyAlone(t *testing.T) {
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

// Keys differ by micro-batch, step and place of the model: neither keys nor rows may repeat a mask.
func TestDropout_NoTwoRowsShareAMask(t *testing.T) {
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

// The places are the embedding and, in every block, the attention weights and both branches. Their keys all differ, and
// differ from step to step.
func TestDropout_EveryPlaceOfTheModelHasItsOwnMask(t *testing.T) {
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

// Each position occurs once, so the gradient of its embedding is zero exactly where the mask drops it.
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

func TestDropout_IsOffInEvaluation(t *testing.T) {
	m := roughModel(oddConfig, 2)
	samples := randomSamples(oddConfig, newRNG(2, checkStream), 13, 5)
	want := m.Loss(new(Batch).pack(samples), 0)
	m.SetDropout(0.5, 1)
	require.NotEqual(t, want, m.Loss(new(Batch).pack(samples), 0))
	require.Equal(t, want, (&evaluator{model: m}).loss(samples))
}

// meanLoss is the mean loss of a batch, summed in float64.
func meanLoss(m *LLM, b *Batch) float64 {
	loss := m.Loss(b, 0)
	return loss.mean()
}

// moveAlong adds a multiple of their gradient to the weights.
func moveAlong(p *Param, a float64) {
	for i, g := range p.Grad {
		p.W[i] += float32(a * float64(g))
	}
}

// dropoutSlopes compares the norm of every tensor's gradient with the slope of the loss along that gradient, and
// returns the largest relative difference. Both use dropout by one key, except for the backward pass, which uses
// backwardKey.
func dropoutSlopes(m *LLM, b *Batch, backwardKey uint64) (worst float64) {
	const rate, key, h = 0.2, 11, 1e-2
	m.SetDropout(rate, key)
	clearGrads(m.Params())
	loss := m.Loss(b, 0)
	m.SetDropout(rate, backwardKey)
	m.Backward(1 / float64(loss.targets))
	m.SetDropout(rate, key)
	for _, p := range m.Params() {
		norm := math.Sqrt(kernel.SumSquares(p.Grad))
		base := slices.Clone(p.W)
		moveAlong(p, h/norm)
		up := meanLoss(m, b)
		copy(p.W, base)
		moveAlong(p, -h/norm)
		slope := (up - meanLoss(m, b)) / (2 * h)
		copy(p.W, base)
		worst = max(worst, math.Abs(norm-slope)/math.Abs(slope))
	}
	return worst
}

func TestDropout_ModelGradientsUseTheMasksOfForward(t *testing.T) {
	m := roughModel(oddConfig, 1)
	b := randomBatch(oddConfig, newRNG(1, checkStream), 13, 5, 9)
	require.Less(t, dropoutSlopes(m, b, 11), 1e-3)
	require.Greater(t, dropoutSlopes(m, b, 12), 0.1, "another key in the backward pass must show")
}

// droppedLosses trains one text at a learning rate that moves no weight, and returns the loss of each epoch. Two losses
// differ only where masks do.
func droppedLosses(t *testing.T, change func(*Config, *phase)) (losses []float64) {
	r := newTrial(t, func(c *Config, p *phase) {
		dataOf(p).rows = dataOf(p).rows[3:4]
		c.Dropout, c.Pretrain.LR = 0.5, 1e-30
		change(c, p)
	})
	same := newLLM(r.cfg.Model, newRNG(1, initStream))
	roughen(same.Params(), newRNG(1, checkStream))
	var weights snapshot
	weights.save(same.Params())
	weights.restore(r.model.Params())
	r.run(t)
	for _, record := range r.records() {
		losses = append(losses, float64(record.AvgLoss))
	}
	return losses
}

// Another seed, phase, step or micro-batch means other masks; the same run repeated has the same ones.
func TestDropout_MasksDifferBySeedPhaseStepAndMicroBatch(t *testing.T) {
	off := droppedLosses(t, func(c *Config, _ *phase) { c.Dropout = 0 })
	require.InDelta(t, off[0], off[1], 1e-9, "without dropout the loss does not change")
	plain := droppedLosses(t, func(*Config, *phase) {})
	require.Equal(t, plain, droppedLosses(t, func(*Config, *phase) {}))
	losses := map[string]float64{
		"off":           off[0],
		"step 1":        plain[0],
		"step 2":        plain[1],
		"another seed":  droppedLosses(t, func(c *Config, _ *phase) { c.Seed = 2 })[0],
		"another phase": droppedLosses(t, func(_ *Config, p *phase) { p.stream = finetuneOrder })[0],
		// with the same masks twice the mean would be the loss of the first
		"two micro-batches of the text": droppedLosses(t, func(c *Config, p *phase) {
			dataOf(p).rows, c.Pretrain.Accum = []example{dataOf(p).rows[0], dataOf(p).rows[0]}, []int{2}
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
