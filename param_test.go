package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// gradNormOf is the norm over the gradients of all parameters at once.
func gradNormOf(params []*Param) float64 {
	var all []float64
	for _, p := range params {
		all = append(all, inFloat64(p.Grad)...)
	}
	return math.Sqrt(inner(all, all))
}

func TestGradNormIsGlobal(t *testing.T) {
	m := roughModel(oddConfig, 1)
	meanGradients(m, randomBatch(oddConfig, newRNG(1, checkStream), 13, 4), 0)
	norm := newAdam(m.Params(), 0.999, 0).GradNorm()
	require.InDelta(t, gradNormOf(m.Params()), norm, 1e-9*norm)
	for _, p := range m.Params() { // every parameter counts
		g := slices.Clone(p.Grad)
		p.Grad[0] += 1e3
		require.Greater(t, newAdam(m.Params(), 0.999, 0).GradNorm(), 900.0, p.Name)
		copy(p.Grad, g)
	}
}

func TestFrozenParametersDoNotCountInTheNorm(t *testing.T) {
	a, b := newParam("a", 2), newParam("b", 2)
	copy(a.Grad, []float32{3, 0})
	copy(b.Grad, []float32{0, 4})
	opt := newAdam([]*Param{a, b}, 0.999, 0)
	require.Equal(t, 5.0, opt.GradNorm())
	b.Frozen = true
	require.Equal(t, 3.0, opt.GradNorm())
}

func TestClipFactor(t *testing.T) {
	for _, c := range []struct{ norm, limit, want float64 }{
		{0.5, 1, 1}, {4, 1, 1 / (4 + 1e-6)}, {4, 0, 1}, {0, 1, 1}, {1e30, 2, 2 / 1e30},
	} {
		require.InDelta(t, c.want, clipFactor(c.norm, c.limit), 1e-12*c.want)
	}
}

// What Adam takes in after clipping has the limit as its norm: the first moments of the first step are a tenth of it.
func TestClippingBoundsTheStep(t *testing.T) {
	const limit = 0.25
	m := roughModel(oddConfig, 2)
	opt := newAdam(m.Params(), 0.999, 0)
	meanGradients(m, randomBatch(oddConfig, newRNG(2, checkStream), 13, 4), 0)
	norm := opt.GradNorm()
	require.Greater(t, norm, 4*limit, "a norm that needs no clipping shows nothing")
	opt.Step(1e-3, clipFactor(norm, limit))
	var taken []float64
	for _, s := range opt.state {
		taken = append(taken, inFloat64(s.m)...)
	}
	require.InDelta(t, limit, math.Sqrt(inner(taken, taken))/(1-adamBeta1), 1e-5)
	require.Zero(t, opt.GradNorm(), "the next step starts from nothing")
}

// The gradient by the logits has a norm of at most √(2/T): a clip of 1 that looked only at it would never fire.
func TestTheLogitsGradientAloneNeverNeedsClipping(t *testing.T) {
	m := roughModel(oddConfig, 3)
	for _, p := range m.Params() {
		scale(p.W, 3)
	}
	b := randomBatch(oddConfig, newRNG(3, checkStream), 13)
	meanGradients(m, b, 0)
	require.Greater(t, gradNormOf(m.Params()), 10.0)
	ce := CrossEntropy{}
	ce.Forward(m.Forward(b), b.Targets)
	dlogits := ce.Backward(1.0 / 13)
	require.LessOrEqual(t, math.Sqrt(sumSquares(dlogits)), math.Sqrt(2.0/13))
}

func TestFirstNonFiniteNamesTheTensor(t *testing.T) {
	ps := []*Param{newParam("a", 2), newParam("b", 3)}
	grads := func(p *Param) []float32 { return p.Grad }
	require.Empty(t, firstNonFinite(ps, grads))
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		ps[1].Grad[2] = float32(x)
		require.Equal(t, "b", firstNonFinite(ps, grads))
	}
}

func TestSnapshotPutsTheWeightsBack(t *testing.T) {
	m := roughModel(oddConfig, 4)
	var before, again snapshot
	before.take(m.Params())
	trainSteps(m, newAdam(m.Params(), 0.999, 0), randomBatch(oddConfig, newRNG(4, checkStream), 5), 2, 0)
	again.take(m.Params())
	require.NotEqual(t, before, again)
	before.restore(m.Params())
	again.take(m.Params())
	require.Equal(t, before, again)
}

func TestParameterGroups(t *testing.T) {
	groups := map[string]int{}
	for _, p := range newLLM(oddConfig, newRNG(1, initStream)).Params() {
		groups[paramGroup(p)]++
	}
	require.Equal(t, map[string]int{"embedding": 2, "layernorm": 2*4 + 2, "attention": 2 * 4, "feedforward": 2 * 4}, groups)
}
