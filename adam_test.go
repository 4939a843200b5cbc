package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bias correction makes the first step as long as the learning rate, whatever the size of the gradient.
func TestAdam_FirstStepIsAsLongAsTheLearningRate(t *testing.T) {
	p := newParam("b", 4)
	copy(p.Grad, []float32{1e-3, -1, 1e3, 0})
	newAdam([]*Param{p}, 0.999, 0).Step(0.01, 1)
	for i, want := range []float64{-0.01, 0.01, -0.01, 0} {
		require.InDelta(t, want, p.W[i], 1e-6)
	}
}

func TestAdam_DecaysMatricesOnly(t *testing.T) {
	matrix, vector := newParam("w", 2, 2).constant(1), newParam("b", 2).constant(1)
	newAdam([]*Param{matrix, vector}, 0.999, 0.5).Step(0.1, 1) // gradients are 0: only the decay moves weights
	require.Equal(t, []float32{0.95, 0.95, 0.95, 0.95}, matrix.W)
	require.Equal(t, []float32{1, 1}, vector.W)
}

// slowAdam is AdamW of one tensor in float64, as the papers define it (arXiv:1412.6980, arXiv:1711.05101).
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

// Many steps of a matrix, which decays, and of a vector, which does not.
func TestAdam_EqualsItsFormulaInFloat64(t *testing.T) {
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

// The tensor is longer than a chunk, and its length is not a multiple of one.
func TestAdam_ClearsTheGradientsItUsed(t *testing.T) {
	p, frozen := newParam("b", 2*adamChunk+3), newParam("frozen", 2)
	copy(p.Grad, newParam("", len(p.W)).constant(1).W)
	copy(frozen.Grad, []float32{1, 2})
	frozen.Frozen = true
	newAdam([]*Param{p, frozen}, 0.999, 0).Step(0.01, 1)
	require.Equal(t, make([]float32, len(p.W)), p.Grad)
	require.Equal(t, []float32{1, 2}, frozen.Grad, "the gradient of a frozen tensor stays")
	for _, w := range p.W {
		require.InDelta(t, -0.01, w, 1e-8)
	}
}

// gradNormOf is the norm of the gradients of all parameters, taken as one vector.
func gradNormOf(params []*Param) float64 {
	var all []float64
	for _, p := range params {
		all = append(all, inFloat64(p.Grad)...)
	}
	return math.Sqrt(inner(all, all))
}

func TestAdam_GradNormIsThatOfAllParameters(t *testing.T) {
	m := roughModel(oddConfig, 1)
	meanGradients(m, randomBatch(oddConfig, newRNG(1, checkStream), 13, 4), 0)
	norm := newAdam(m.Params(), 0.999, 0).GradNorm()
	require.InDelta(t, gradNormOf(m.Params()), norm, 1e-9*norm)
	for _, p := range m.Params() { // every parameter matters
		g := slices.Clone(p.Grad)
		p.Grad[0] += 1e3
		require.Greater(t, newAdam(m.Params(), 0.999, 0).GradNorm(), 900.0, p.Name)
		copy(p.Grad, g)
	}
}

func TestAdam_GradNormLeavesOutFrozenParameters(t *testing.T) {
	a, b := newParam("a", 2), newParam("b", 2)
	copy(a.Grad, []float32{3, 0})
	copy(b.Grad, []float32{0, 4})
	opt := newAdam([]*Param{a, b}, 0.999, 0)
	require.Equal(t, 5.0, opt.GradNorm())
	b.Frozen = true
	require.Equal(t, 3.0, opt.GradNorm())
}

func TestAdam_FrozenWeightsAndMomentsKeepTheirBits(t *testing.T) {
	m := roughModel(oddConfig, 1)
	b := randomBatch(oddConfig, newRNG(1, checkStream), 13, 5)
	opt := newAdam(m.Params(), 0.999, 0.1)
	trainSteps(m, opt, b, 3, 0)
	m.SetAttentionFreezeUpdates(true)
	var before snapshot
	before.save(m.Params())
	var moments []adamMoments
	for _, s := range opt.state {
		moments = append(moments, adamMoments{m: slices.Clone(s.m), v: slices.Clone(s.v), t: s.t})
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

func TestAdam_AReleaseLeavesOtherTensorsAlone(t *testing.T) {
	a, b := newParam("a", 1), newParam("b", 1)
	a.Grad[0], b.Grad[0] = 1, 1
	opt := newAdam([]*Param{a, b}, 0.999, 0)
	opt.Step(0.1, 1)
	opt.Release(0)
	require.Equal(t, adamMoments{released: true}, opt.state[0])
	require.Equal(t, 1, opt.state[1].t)
}

// With a constant gradient, Adam moves a weight by the learning rate in every step.
func TestAdam_AReleasedTensorsLearningRateRisesInALine(t *testing.T) {
	a, b := newParam("a", 1), newParam("b", 1)
	opt := newAdam([]*Param{a, b}, 0.999, 0)
	opt.releaseWarmup = 4
	opt.Release(0)
	for step, share := range []float64{0.25, 0.5, 0.75, 1, 1} {
		before := []float32{a.W[0], b.W[0]}
		a.Grad[0], b.Grad[0] = 1, 1
		opt.Step(0.1, 1)
		require.InDelta(t, -0.1*share, a.W[0]-before[0], 1e-6, "released, step %d", step+1)
		require.InDelta(t, -0.1, b.W[0]-before[1], 1e-6, "never frozen, step %d", step+1)
	}
}

// The first step of a released tensor is as long as the learning rate: it depends neither on the tensor's old moments
// nor on the step count of the other tensors.
func TestAdam_ReleasedTensorsStartWithFreshMoments(t *testing.T) {
	const lr = 1e-2
	m := roughModel(oddConfig, 2)
	b := randomBatch(oddConfig, newRNG(2, checkStream), 13, 5)
	opt := newAdam(m.Params(), 0.999, 0)
	trainSteps(m, opt, b, 5, 0)
	applyFreeze(opt, isAttention)
	trainSteps(m, opt, b, 5, 0)
	applyFreeze(opt, func(*Param) bool { return false }) // release
	var before snapshot
	before.save(m.Params())
	meanGradients(m, b, 0)
	opt.Step(lr, 1)
	for i, p := range m.Params() {
		if !isAttention(p) {
			require.Equal(t, 11, opt.state[i].t, p.Name)
			continue
		}
		require.Equal(t, 1, opt.state[i].t, p.Name)
		for j, g := range p.Grad {
			if math.Abs(float64(g)) > 1e-4 { // far above ε
				require.InDelta(t, lr, math.Abs(float64(p.W[j]-before[i][j])), 1e-5, p.Name)
			}
		}
	}
}

// Lengths around that of a chunk: the norm covers every entry and has the same bits for any number of threads.
func TestAdam_GradientNormDoesNotDependOnThreads(t *testing.T) {
	rng := newRNG(2, checkStream)
	for _, n := range []int{1, adamChunk - 1, adamChunk, adamChunk + 1, 3*adamChunk + 17} {
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
		for _, threads := range []int{2, 3} {
			withThreads(threads, func() { require.Equal(t, first, newAdam(params, 0, 0).GradNorm()) })
		}
	}
}
