package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// elementwise describes one function of vector.go for the tests that treat them all alike: out[0] and, where there are more, the
// other outs are written; ins are only read. want gives the float64 values of the outs at one place and the tolerance of each.
type elementwise struct {
	name     string
	outs     int
	ins      int
	inPlace  bool // ins[0] may be outs[0]
	positive bool // all operands are positive
	run      func(outs, ins [][]float32)
	want     func(outs, ins []float64) (values, tolerance []float64)
}

const ulp32 = 0x1p-23 // the relative step of float32

var adamForTest = adamStep{lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, decay: 0.1, correction1: 0.3, correction2: 0.05, gradScale: 0.5}

var elementwiseFunctions = []elementwise{
	{"scale", 1, 0, false, false,
		func(o, _ [][]float32) { scale(o[0], 3.7) },
		func(o, _ []float64) (v, tol []float64) {
			return []float64{o[0] * float64(float32(3.7))}, []float64{ulp32 * math.Abs(4*o[0])}
		}},
	{"add", 1, 2, true, false,
		func(o, in [][]float32) { add(o[0], in[0], in[1]) },
		func(_, in []float64) (v, tol []float64) {
			return []float64{in[0] + in[1]}, []float64{ulp32 * math.Abs(in[0]+in[1])}
		}},
	{"expSum", 1, 1, true, false,
		func(o, in [][]float32) { expSum(o[0], in[0], 1, 1.5) },
		func(_, in []float64) (v, tol []float64) {
			e := math.Exp(float64(float32(in[0]) - 1.5))
			return []float64{e}, []float64{2 * ulp32 * e}
		}},
	{"expSum with a factor", 1, 1, true, false,
		func(o, in [][]float32) { expSum(o[0], in[0], 0.3, 1.5) },
		func(_, in []float64) (v, tol []float64) {
			p := float64(float32(0.3)) * in[0]
			e := math.Exp(p - 1.5)
			return []float64{e}, []float64{(4 + 2*math.Abs(p)) * ulp32 * e}
		}},
	{"softmaxBackwardRow", 1, 1, false, false,
		func(o, in [][]float32) { softmaxBackwardRow(o[0], in[0], 0.25, 1.75) },
		func(o, in []float64) (v, tol []float64) {
			y := 1.75 * in[0] * (o[0] - 0.25)
			return []float64{y}, []float64{2 * ulp32 * math.Abs(y)}
		}},
	{"geluForward", 1, 1, true, false,
		func(o, in [][]float32) { geluForward(o[0], in[0]) },
		func(_, in []float64) (v, tol []float64) {
			y, _ := gelu64(in[0])
			return []float64{y}, []float64{geluTolerance(in[0])*math.Abs(y) + 0x1p-120} // below: exp(-2u) has overflowed
		}},
	{"geluBackward", 1, 2, false, false,
		func(o, in [][]float32) { geluBackward(o[0], in[0], in[1]) },
		func(_, in []float64) (v, tol []float64) {
			_, slope := gelu64(in[0])
			return []float64{slope * in[1]}, []float64{1e-6 * math.Abs(in[1])}
		}},
	{"normalizeRow", 1, 3, true, false,
		func(o, in [][]float32) { normalizeRow(o[0], in[0], 0.25, 1.75, in[1], in[2]) },
		func(_, in []float64) (v, tol []float64) {
			p := in[1] * (in[0] - 0.25) * 1.75
			return []float64{p + in[2]}, []float64{2 * ulp32 * (math.Abs(p) + math.Abs(in[2]))}
		}},
	{"normBackwardRow", 1, 3, true, false,
		func(o, in [][]float32) { normBackwardRow(o[0], in[0], in[1], in[2], 0.25, 1.75, -0.5, 0.75) },
		func(_, in []float64) (v, tol []float64) {
			p, q := 1.75*in[1]*in[0], 0.75*(in[2]-0.25)
			return []float64{p - 0.5 + q}, []float64{2 * ulp32 * (math.Abs(p) + 0.5 + math.Abs(q))}
		}},
	{"normGainGrad", 1, 2, false, false,
		func(o, in [][]float32) { normGainGrad(o[0], in[0], in[1], 0.25, 1.75) },
		func(o, in []float64) (v, tol []float64) {
			p := in[0] * (in[1] - 0.25) * 1.75
			return []float64{o[0] + p}, []float64{2 * ulp32 * (math.Abs(o[0]) + math.Abs(p))}
		}},
	{"adamUpdate", 3, 1, false, true,
		func(o, in [][]float32) { adamUpdate(o[0], o[1], o[2], in[0], &adamForTest) },
		wantAdam},
}

// wantAdam: outs are w, m, v; the input is g.
func wantAdam(o, in []float64) (values, tolerance []float64) {
	s, w, m, v := adamForTest, o[0], o[1], o[2]
	g := in[0] * float64(s.gradScale)
	m = float64(s.beta1)*m + (1-float64(s.beta1))*g
	v = float64(s.beta2)*v + (1-float64(s.beta2))*g*g
	move := m/float64(s.correction1)/(math.Sqrt(v/float64(s.correction2))+float64(s.eps)) + float64(s.decay)*w
	w -= float64(s.lr) * move
	// 1-β is computed in float32: for β2 = 0.99 its relative error is a hundred times that of β2.
	return []float64{w, m, v}, []float64{ulp32 * (math.Abs(w) + 10*move), 4 * ulp32 * m, 4 * ulp32 * v}
}

// gelu64 returns gelu(x) and its derivative in float64, by tanh.
func gelu64(x float64) (y, slope float64) {
	u := geluScale * (x + geluCubic*x*x*x)
	th := math.Tanh(u)
	y = x / 2 * (1 + th)
	if x < -3 { // 1 + tanh(u) has lost its digits
		y = x / (1 + math.Exp(-2*u))
	}
	return y, 0.5*(1+th) + 0.5*x*(1-th*th)*geluScale*(1+3*geluCubic*x*x)
}

// geluTolerance is the relative error of gelu(x) that float32 permits: an error of the exponent 2u, which is rounded a few times,
// is a relative error of exp(-2u).
func geluTolerance(x float64) float64 {
	return ulp32 * (4 + 4*geluScale*math.Abs(x+geluCubic*x*x*x))
}

// operands returns copies of n random numbers for each of count operands, between guards.
func (f *elementwise) operands(rng *rand.Rand, count, n int) (whole, inner [][]float32) {
	for range count {
		s := randomFloats(rng, n+40)
		for i := range s {
			if s[i] *= 3; f.positive {
				s[i] = float32(math.Abs(float64(s[i])))
			}
		}
		whole, inner = append(whole, s), append(inner, s[20:20+n:20+n])
	}
	return whole, inner
}

func cloneAll(s [][]float32) [][]float32 {
	c := make([][]float32, len(s))
	for i := range s {
		c[i] = slices.Clone(s[i])
	}
	return c
}

func toFloat64(s [][]float32, i int) []float64 {
	var v []float64
	for _, x := range s {
		v = append(v, float64(x[i]))
	}
	return v
}

func TestElementwiseFunctionsOfEveryLength(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		for _, f := range elementwiseFunctions {
			rng := rand.New(rand.NewPCG(11, 12))
			for n := range 71 {
				wholeOuts, outs := f.operands(rng, f.outs, n)
				wholeIns, ins := f.operands(rng, f.ins, n)
				before, insBefore := cloneAll(wholeOuts), cloneAll(wholeIns)
				old := cloneAll(outs)
				f.run(outs, ins)
				for i := range n {
					values, tolerance := f.want(toFloat64(old, i), toFloat64(ins, i))
					for o := range outs {
						require.InDelta(t, values[o], outs[o][i], tolerance[o], "%s, output %d, [%d] of %d", f.name, o, i, n)
						before[o][20+i] = outs[o][i]
					}
				}
				for o := range outs {
					requireSameBits(t, before[o], wholeOuts[o])
				}
				for i := range ins {
					requireSameBits(t, insBefore[i], wholeIns[i])
				}
			}
		}
	})
}

func TestResultDoesNotDependOnThePlace(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		const n = 53
		for _, f := range elementwiseFunctions {
			rng := rand.New(rand.NewPCG(13, 14))
			_, outs := f.operands(rng, f.outs, n)
			_, ins := f.operands(rng, f.ins, n)
			pieces, inPlace := cloneAll(outs), cloneAll(ins)
			f.run(outs, ins)
			for lo, hi := 0, 0; lo < n; lo = hi {
				hi = min(lo+1+rng.IntN(20), n)
				f.run(cutAll(pieces, lo, hi), cutAll(ins, lo, hi))
			}
			for o := range outs {
				requireSameBits(t, outs[o], pieces[o])
			}
			if f.inPlace {
				f.run(inPlace[:1], inPlace)
				requireSameBits(t, outs[0], inPlace[0])
			}
		}
	})
}

func cutAll(s [][]float32, lo, hi int) [][]float32 {
	c := slices.Clone(s)
	for i := range c {
		c[i] = c[i][lo:hi]
	}
	return c
}

func TestVectorsRejectDifferentLengths(t *testing.T) {
	a, b := make([]float32, 3), make([]float32, 4)
	require.PanicsWithValue(t, "expSum: lengths differ", func() { expSum(a, b, 1, 0) })
	require.PanicsWithValue(t, "dot: lengths differ", func() { dot(a, b) })
	require.PanicsWithValue(t, "add: lengths differ", func() { add(a, a, b) })
	require.PanicsWithValue(t, "softmaxBackwardRow: lengths differ", func() { softmaxBackwardRow(a, b, 0, 1) })
	require.PanicsWithValue(t, "geluForward: lengths differ", func() { geluForward(a, b) })
	require.PanicsWithValue(t, "geluBackward: lengths differ", func() { geluBackward(a, a, b) })
	require.PanicsWithValue(t, "normalizeRow: lengths differ", func() { normalizeRow(a, a, 0, 1, a, b) })
	require.PanicsWithValue(t, "normBackwardSums: lengths differ", func() { normBackwardSums(a, b, a) })
	require.PanicsWithValue(t, "normBackwardRow: lengths differ", func() { normBackwardRow(a, a, b, a, 0, 1, 1, 1) })
	require.PanicsWithValue(t, "normGainGrad: lengths differ", func() { normGainGrad(b, a, a, 0, 1) })
	require.PanicsWithValue(t, "adamUpdate: lengths differ", func() { adamUpdate(a, a, a, b, &adamForTest) })
}

func TestVectorsDoNotAllocate(t *testing.T) {
	x := make([]float32, 100)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		s := adamForTest
		adamUpdate(x, x, x, x, &s)
		expSum(x, x, 1, maxOf(x))
		sums(x)
		normBackwardSums(x, x, x)
	}))
}

func BenchmarkVectors(b *testing.B) {
	rng := rand.New(rand.NewPCG(17, 18))
	defer func(k *kernel) { kern = k }(kern)
	for _, f := range elementwiseFunctions {
		_, outs := f.operands(rng, f.outs, 1<<12)
		_, ins := f.operands(rng, f.ins, 1<<12)
		for _, k := range kernels {
			b.Run(f.name+"/"+k.name, func(b *testing.B) {
				kern = k
				for b.Loop() {
					f.run(outs, ins)
				}
				b.ReportMetric(float64(b.N)*(1<<12)/b.Elapsed().Seconds()/1e9, "Gelements/s")
			})
		}
	}
}
