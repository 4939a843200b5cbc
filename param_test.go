package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParam_ASnapshotRestoresTheWeights(t *testing.T) {
	m := roughModel(oddConfig, 4)
	var before, again snapshot
	before.save(m.Params())
	trainSteps(m, newAdam(m.Params(), 0.999, 0), randomBatch(oddConfig, newRNG(4, checkStream), 5), 2, 0)
	again.save(m.Params())
	require.NotEqual(t, before, again)
	before.restore(m.Params())
	again.save(m.Params())
	require.Equal(t, before, again)
}

func TestParam_EveryTensorBelongsToAGroup(t *testing.T) {
	groups := map[string]int{}
	for _, p := range newLLM(oddConfig, newRNG(1, initStream)).Params() {
		groups[p.Part.group()]++
	}
	const blocks = 2
	require.Equal(t, map[string]int{"embedding": 2, "layernorm": blocks*4 + 2, "attention": blocks * 4,
		"feedforward": blocks * 4}, groups)
}

func TestParam_FirstNonFiniteNamesTheTensor(t *testing.T) {
	ps := []*Param{newParam("a", 2), newParam("b", 3)}
	grads := func(p *Param) []float32 { return p.Grad }
	require.Empty(t, firstNonFinite(ps, grads))
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		ps[1].Grad[2] = float32(x)
		require.Equal(t, "b", firstNonFinite(ps, grads))
	}
}

func TestParam_ClipFactorBoundsTheNorm(t *testing.T) {
	for _, c := range []struct{ norm, limit, want float64 }{
		{0.5, 1, 1}, {4, 1, 1 / (4 + 1e-6)}, {4, 0, 1}, {0, 1, 1}, {1e30, 2, 2 / 1e30},
	} {
		require.InDelta(t, c.want, clipFactor(c.norm, c.limit), 1e-12*c.want)
	}
}

// After clipping, the gradients that Adam sees have the limit as their norm: after one step the first moments are
// 1 − beta1 times those gradients.
func TestParam_ClippingBoundsWhatAStepSees(t *testing.T) {
	const limit = 0.25
	m := roughModel(oddConfig, 2)
	opt := newAdam(m.Params(), 0.999, 0)
	meanGradients(m, randomBatch(oddConfig, newRNG(2, checkStream), 13, 4), 0)
	norm := opt.GradNorm()
	require.Greater(t, norm, 4*limit, "the norm must need clipping")
	opt.Step(1e-3, clipFactor(norm, limit))
	var moments []float64
	for _, s := range opt.state {
		moments = append(moments, inFloat64(s.m)...)
	}
	require.InDelta(t, limit, math.Sqrt(inner(moments, moments))/(1-adamBeta1), 1e-5)
	require.Zero(t, opt.GradNorm(), "the step clears the gradients")
}
