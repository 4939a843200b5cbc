package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowAdam is AdamW of one tensor in float64, written down from the papers.
type slowAdam struct {
	w, m, v []float64
	t       float64
}

func (a *slowAdam) step(g []float64, lr, beta2, decay float64) {
	const beta1 = 0.9
	a.t++
	for i, gi := range g {
		a.m[i] = beta1*a.m[i] + (1-beta1)*gi
		a.v[i] = beta2*a.v[i] + (1-beta2)*gi*gi
		mean, square := a.m[i]/(1-math.Pow(beta1, a.t)), a.v[i]/(1-math.Pow(beta2, a.t))
		a.w[i] -= lr * (mean/(math.Sqrt(square)+1e-8) + decay*a.w[i])
	}
}

// Many steps beside the slow twin: a matrix, which decays, and a vector, which does not.
func TestAdamFollowsTheSlowTwin(t *testing.T) {
	for _, beta2 := range []float64{0.5, 0.95, 0.999, 0} {
		rng := newRNG(1, checkStream)
		matrix, vector := newParam("w", 5, 7).normal(1, rng), newParam("b", 9).normal(1, rng)
		params, decays := []*Param{matrix, vector}, []float64{0.1, 0}
		var slow []slowAdam
		for _, p := range params {
			slow = append(slow, slowAdam{w: inFloat64(p.W), m: make([]float64, len(p.W)), v: make([]float64, len(p.W))})
		}
		opt := newAdam(params, beta2, 0.1)
		for step := range 300 {
			lr, clip := 1e-2*math.Exp(-float64(step)/100), 1/(1+float64(step%3))
			for i, p := range params {
				copy(p.Grad, randomFloats(rng, len(p.Grad)))
				g := inFloat64(p.Grad)
				for j := range g {
					g[j] *= clip
				}
				slow[i].step(g, lr, beta2, decays[i])
			}
			opt.Step(lr, clip)
			for i, p := range params {
				relErr, _, _ := compareVectors(inFloat64(p.W), slow[i].w)
				require.Less(t, relErr, 1e-5, "%s, step %d, beta2 %g", p.Name, step+1, beta2)
			}
		}
	}
}

func TestDecayIsForMatricesOnly(t *testing.T) {
	matrix, vector := newParam("w", 2, 2).constant(1), newParam("b", 2).constant(1)
	newAdam([]*Param{matrix, vector}, 0.999, 0.5).Step(0.1, 1) // no gradient: decay alone moves
	require.Equal(t, []float32{0.95, 0.95, 0.95, 0.95}, matrix.W)
	require.Equal(t, []float32{1, 1}, vector.W)
}

// The bias correction makes the first step lr long whatever the gradient's size.
func TestTheFirstStepIsAsLongAsTheLearningRate(t *testing.T) {
	p := newParam("b", 4)
	copy(p.Grad, []float32{1e-3, -1, 1e3, 0})
	newAdam([]*Param{p}, 0.999, 0).Step(0.01, 1)
	for i, want := range []float64{-0.01, 0.01, -0.01, 0} {
		require.InDelta(t, want, p.W[i], 1e-6)
	}
}

func TestFrozenWeightsAndMomentsKeepTheirBits(t *testing.T) {
	m := roughModel(oddConfig, 1)
	b := randomBatch(oddConfig, newRNG(1, checkStream), 13, 5)
	opt := newAdam(m.Params(), 0.999, 0.1)
	trainSteps(m, opt, b, 3, 0)
	m.SetAttentionFreezeUpdates(true)
	var before snapshot
	before.take(m.Params())
	var moments []moments2
	for _, s := range opt.state {
		moments = append(moments, moments2{slices.Clone(s.m), slices.Clone(s.v), s.t})
	}
	trainSteps(m, opt, b, 3, 0)
	for i, p := range m.Params() {
		if !p.Frozen {
			require.NotEqual(t, before[i], p.W, p.Name)
			continue
		}
		requireSameBits(t, before[i], p.W)
		requireSameBits(t, moments[i].m, opt.state[i].m)
		requireSameBits(t, moments[i].v, opt.state[i].v)
		require.Equal(t, moments[i].t, opt.state[i].t)
	}
}

// A released tensor takes its first step as long as the learning rate: neither old moments nor the other tensors' step
// count, whose bias correction is over, have a part in it.
func TestReleasedTensorsStartAfresh(t *testing.T) {
	const lr = 1e-2
	m := roughModel(oddConfig, 2)
	b := randomBatch(oddConfig, newRNG(2, checkStream), 13, 5)
	tr := &trainer{model: m, opt: newAdam(m.Params(), 0.999, 0)}
	trainSteps(m, tr.opt, b, 5, 0)
	tr.enter(stage{frozen: isAttention})
	trainSteps(m, tr.opt, b, 5, 0)
	tr.enter(stage{frozen: func(*Param) bool { return false }})
	var before snapshot
	before.take(m.Params())
	meanGradients(m, b, 0)
	tr.opt.Step(lr, 1)
	for i, p := range m.Params() {
		if !isAttention(p) {
			require.Equal(t, 11, tr.opt.state[i].t, p.Name)
			continue
		}
		require.Equal(t, 1, tr.opt.state[i].t, p.Name)
		for j, g := range p.Grad {
			if math.Abs(float64(g)) > 1e-4 { // far above ε
				require.InDelta(t, lr, math.Abs(float64(p.W[j]-before[i][j])), 1e-5, p.Name)
			}
		}
	}
}

// Longer than what is updated at a time, and not a multiple of it.
func TestAStepClearsTheGradientsItUsed(t *testing.T) {
	p, frozen := newParam("b", 2*adamPiece+3), newParam("frozen", 2)
	copy(p.Grad, newParam("", len(p.W)).constant(1).W)
	copy(frozen.Grad, []float32{1, 2})
	frozen.Frozen = true
	newAdam([]*Param{p, frozen}, 0.999, 0).Step(0.01, 1)
	require.Equal(t, make([]float32, len(p.W)), p.Grad)
	require.Equal(t, []float32{1, 2}, frozen.Grad, "a frozen tensor is not touched")
	for _, w := range p.W {
		require.InDelta(t, -0.01, w, 1e-8)
	}
}

func TestResetLeavesOtherTensorsAlone(t *testing.T) {
	a, b := newParam("a", 1), newParam("b", 1)
	a.Grad[0], b.Grad[0] = 1, 1
	opt := newAdam([]*Param{a, b}, 0.999, 0)
	opt.Step(0.1, 1)
	opt.Reset(0)
	require.Equal(t, moments2{}, opt.state[0])
	require.Equal(t, 1, opt.state[1].t)
}

// Lengths around a piece: no gradient is left out, and the norm has the same bits for any number of threads.
func TestTheGradientNormDoesNotDependOnThreads(t *testing.T) {
	rng := newRNG(2, checkStream)
	for _, n := range []int{1, adamPiece - 1, adamPiece, adamPiece + 1, 3*adamPiece + 17} {
		params := []*Param{newParam("w", n), newParam("b", 3)}
		var squares float64
		for _, p := range params {
			copy(p.Grad, randomFloats(rng, len(p.Grad)))
			for _, g := range p.Grad {
				squares += float64(g) * float64(g)
			}
		}
		var first float64
		withThreads(1, func() { first = newAdam(params, 0, 0).GradNorm() })
		require.InEpsilon(t, math.Sqrt(squares), first, 1e-12)
		for _, team := range []int{2, 3} {
			withThreads(team, func() { require.Equal(t, first, newAdam(params, 0, 0).GradNorm()) })
		}
	}
}
