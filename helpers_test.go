package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the lessons about layers and the model share.

// oddConfig is a model whose sizes are multiples of nothing that a kernel likes.
var oddConfig = ModelConfig{Layers: 2, Heads: 3, Dim: 15, Hidden: 22, Context: 13, Vocab: 31}

// threadedConfig is the least model whose products are cut among threads.
var threadedConfig = ModelConfig{Layers: 2, Heads: 3, Dim: 48, Hidden: 70, Context: 33, Vocab: 130}

// roughModel is a model far from its start: attention that prefers some tokens, gains off 1 and biases off 0, so that no
// term of a gradient is too small to matter.
func roughModel(c ModelConfig, seed uint64) *LLM {
	m := newLLM(c, newRNG(seed, initStream))
	roughen(m.Params(), newRNG(seed, checkStream))
	return m
}

func roughen(params []*Param, rng *rand.Rand) {
	for _, p := range params {
		for i := range p.W {
			p.W[i] += float32(0.3 * rng.NormFloat64())
		}
	}
}

// randomSamples draws one sample of n predictions for every length n.
func randomSamples(c ModelConfig, rng *rand.Rand, lengths ...int) []example {
	samples := make([]example, len(lengths))
	for i, n := range lengths {
		samples[i].tokens = randomTokens(c, rng, n+1)
	}
	return samples
}

func randomTokens(c ModelConfig, rng *rand.Rand, n int) []int {
	tokens := make([]int, n)
	for i := range tokens {
		tokens[i] = rng.IntN(c.Vocab)
	}
	return tokens
}

// randomBatch packs random samples of the given lengths.
func randomBatch(c ModelConfig, rng *rand.Rand, lengths ...int) *Batch {
	return new(Batch).pack(randomSamples(c, rng, lengths...))
}

// meanGradients leaves the gradients of the batch's mean loss in the parameters and returns copies.
func meanGradients(m *LLM, b *Batch, smoothing float64) [][]float32 {
	clearGrads(m.Params())
	loss := m.Loss(b, smoothing)
	m.Backward(1 / float64(loss.targets))
	return copiedGrads(m.Params())
}

func copiedGrads(params []*Param) [][]float32 {
	gs := make([][]float32, len(params))
	for i, p := range params {
		gs[i] = slices.Clone(p.Grad)
	}
	return gs
}

// requireCloseGrads wants ‖got − want‖ / ‖want‖ of every tensor below a limit. The keys' bias, zero but for rounding, is left out.
func requireCloseGrads(t *testing.T, params []*Param, want, got [][]float32, limit float64) {
	t.Helper()
	for i, p := range params {
		g, w, _ := withoutKeyBias(p.Name, got[i], want[i])
		relErr, _, _ := compareVectors(g, w)
		require.Less(t, relErr, limit, p.Name)
	}
}

// trainSteps takes optimizer steps on one batch with everything that a step has.
func trainSteps(m *LLM, opt *Adam, b *Batch, steps int, dropout float64) {
	for step := range steps {
		m.SetDropout(dropout, uint64(step))
		meanGradients(m, b, 0.1)
		opt.Step(1e-2, clipFactor(opt.GradNorm(), 1))
	}
}

// layerGradLimit is the largest accepted ‖g − fd‖ / ‖fd‖ of one layer in float32 against differences in float64.
const layerGradLimit = 2e-6

// layerCheck compares a layer's gradients of L = Σ out·r, r random, with central differences of its float64 twin.
type layerCheck struct {
	config   ModelConfig
	params   []*Param
	forward  func(x []float32) []float32  // [T, in] to [T, out]
	backward func(dy []float32) []float32 // [T, out] to [T, in]
	twin     func(r *reference, x [][]float64) [][]float64
}

// require checks the layer at x [T, in] in all parameters and in x. For each it also shows that the check can fail.
func (l *layerCheck) require(t *testing.T, T int, x []float32, rng *rand.Rand) {
	t.Helper()
	out := l.forward(x)
	r := randomFloats(rng, len(out))
	clearGrads(l.params)
	kept := slices.Clone(r)
	dx := l.backward(r)
	requireSameBits(t, kept, r)
	ref := newReference(l.config, l.params)
	rows := rowsOf(inFloat64(x), T)
	loss := func() float64 {
		var sum float64
		for i, row := range l.twin(ref, rows) {
			sum += inner(row, inFloat64(r[i*len(row):(i+1)*len(row)]))
		}
		return sum
	}
	for _, p := range l.params {
		g, fd, _ := withoutKeyBias(p.Name, p.Grad, inFloat32(differencesOf(loss, ref.w[p.Name])))
		requireGradient(t, p.Name, g, fd)
	}
	requireGradient(t, "input", inFloat64(dx), differencesOf(loss, rows...))
}

// requireGradient wants g within the limit of fd, and the same check to refuse g with its largest entry 1 % off.
func requireGradient(t *testing.T, name string, g, fd []float64) {
	t.Helper()
	relErr, _, _ := compareVectors(g, fd)
	require.Less(t, relErr, layerGradLimit, name)
	largest := 0
	for i := range g {
		if g[i]*g[i] > g[largest]*g[largest] {
			largest = i
		}
	}
	spoiled := slices.Clone(g)
	spoiled[largest] *= 1.01
	relErr, _, _ = compareVectors(spoiled, fd)
	require.Greater(t, relErr, layerGradLimit, "%s: a wrong entry went unnoticed", name)
}

// differencesOf returns the central differences of a loss by every number of the rows.
func differencesOf(loss func() float64, rows ...[]float64) []float64 {
	const h = 1e-5
	var fd []float64
	for _, row := range rows {
		for i, base := range row {
			row[i] = base + h
			up := loss()
			row[i] = base - h
			fd = append(fd, (up-loss())/(2*h))
			row[i] = base
		}
	}
	return fd
}

// rowsOf cuts x into T rows, which share its memory.
func rowsOf(x []float64, T int) [][]float64 {
	rows := make([][]float64, T)
	for t := range rows {
		rows[t] = x[t*len(x)/T : (t+1)*len(x)/T]
	}
	return rows
}

func inFloat32(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
