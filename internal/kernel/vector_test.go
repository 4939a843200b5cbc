package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// elementwise describes one function of vector.go for the tests that treat them all alike. It writes outs, one or more,
// and only reads ins. want returns the float64 values of the outs at one index and the tolerance of each.
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

var adamForTest = AdamStep{
	LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1, Correction1: 0.3, Correction2: 0.05, GradScale: 0.5,
}

var elementwiseFunctions = []elementwise{
	{"Scale", 1, 0, false, false,
		func(o, _ [][]float32) { Scale(o[0], 3.7) },
		func(o, _ []float64) (v, tol []float64) {
			return []float64{o[0] * float64(float32(3.7))}, []float64{ulp32 * math.Abs(4*o[0])}
		}},
	{"Add", 1, 2, true, false,
		func(o, in [][]float32) { Add(o[0], in[0], in[1]) },
		func(_, in []float64) (v, tol []float64) {
			return []float64{in[0] + in[1]}, []float64{ulp32 * math.Abs(in[0]+in[1])}
		}},
	{"ExpSum", 1, 1, true, false,
		func(o, in [][]float32) { ExpSum(o[0], in[0], 1, 1.5) },
		func(_, in []float64) (v, tol []float64) {
			e := math.Exp(float64(float32(in[0]) - 1.5))
			return []float64{e}, []float64{2 * ulp32 * e}
		}},
	{"ExpSum with a factor", 1, 1, true, false,
		func(o, in [][]float32) { ExpSum(o[0], in[0], 0.3, 1.5) },
		func(_, in []float64) (v, tol []float64) {
			p := float64(float32(0.3)) * in[0]
			e := math.Exp(p - 1.5)
			return []float64{e}, []float64{(4 + 2*math.Abs(p)) * ulp32 * e}
		}},
	{"SoftmaxBackwardRow", 1, 1, false, false,
		func(o, in [][]float32) { SoftmaxBackwardRow(o[0], in[0], 0.25, 1.75) },
		func(o, in []float64) (v, tol []float64) {
			y := 1.75 * in[0] * (o[0] - 0.25)
			return []float64{y}, []float64{2 * ulp32 * math.Abs(y)}
		}},
	{"GELU", 1, 1, true, false,
		func(o, in [][]float32) { GELU(o[0], in[0]) },
		func(_, in []float64) (v, tol []float64) {
			y, _ := gelu64(in[0])
			return []float64{y}, []float64{geluTolerance(in[0])*math.Abs(y) + 0x1p-120} // below: exp(-2u) has overflowed
		}},
	{"GELUBackward", 1, 2, false, false,
		func(o, in [][]float32) { GELUBackward(o[0], in[0], in[1]) },
		func(_, in []float64) (v, tol []float64) {
			_, slope := gelu64(in[0])
			return []float64{slope * in[1]}, []float64{1e-6 * math.Abs(in[1])}
		}},
	{"NormalizeRow", 1, 3, true, false,
		func(o, in [][]float32) { NormalizeRow(o[0], in[0], 0.25, 1.75, in[1], in[2]) },
		func(_, in []float64) (v, tol []float64) {
			p := in[1] * (in[0] - 0.25) * 1.75
			return []float64{p + in[2]}, []float64{2 * ulp32 * (math.Abs(p) + math.Abs(in[2]))}
		}},
	{"NormBackwardRow", 1, 3, true, false,
		func(o, in [][]float32) { NormBackwardRow(o[0], in[0], in[1], in[2], 0.25, 1.75, -0.5, 0.75) },
		func(_, in []float64) (v, tol []float64) {
			p, q := 1.75*in[1]*in[0], 0.75*(in[2]-0.25)
			return []float64{p - 0.5 + q}, []float64{2 * ulp32 * (math.Abs(p) + 0.5 + math.Abs(q))}
		}},
	{"NormGainGrad", 1, 2, false, false,
		func(o, in [][]float32) { NormGainGrad(o[0], in[0], in[1], 0.25, 1.75) },
		func(o, in []float64) (v, tol []float64) {
			p := in[0] * (in[1] - 0.25) * 1.75
			return []float64{o[0] + p}, []float64{2 * ulp32 * (math.Abs(o[0]) + math.Abs(p))}
		}},
	{"AdamUpdate", 3, 1, false, true,
		func(o, in [][]float32) { AdamUpdate(o[0], o[1], o[2], in[0], &adamForTest) },
		wantAdam},
}

// wantAdam: outs are w, m, v; the input is g.
func wantAdam(o, in []float64) (values, tolerance []float64) {
	s, w, m, v := adamForTest, o[0], o[1], o[2]
	g := in[0] * float64(s.GradScale)
	m = float64(s.Beta1)*m + (1-float64(s.Beta1))*g
	v = float64(s.Beta2)*v + (1-float64(s.Beta2))*g*g
	move := m/float64(s.Correction1)/(math.Sqrt(v/float64(s.Correction2))+float64(s.Eps)) + float64(s.Decay)*w
	w -= float64(s.LR) * move
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

// geluTolerance is the relative error of gelu(x) that float32 permits: an error of the exponent 2u, which is rounded
// a few times, is a relative error of exp(-2u).
func geluTolerance(x float64) float64 {
	return ulp32 * (4 + 4*geluScale*math.Abs(x+geluCubic*x*x*x))
}

// operands returns copies of n random numbers for each of count operands, between guards.
func (f *elementwise) operands(rng *rand.Rand, count, n int) (whole, inner [][]float32) {
	for range count {
		s := randomNumbers(rng, n+40)
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

func TestElementwise_OfEveryLength(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
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
					requireEqualBits(t, before[o], wholeOuts[o])
				}
				for i := range ins {
					requireEqualBits(t, insBefore[i], wholeIns[i])
				}
			}
		}
	})
}

func TestElementwise_BitsDoNotDependOnThePosition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const n = 53
		for _, f := range elementwiseFunctions {
			rng := rand.New(rand.NewPCG(13, 14))
			_, outs := f.operands(rng, f.outs, n)
			_, ins := f.operands(rng, f.ins, n)
			parts, inPlace := cloneAll(outs), cloneAll(ins)
			f.run(outs, ins)
			for lo, hi := 0, 0; lo < n; lo = hi {
				hi = min(lo+1+rng.IntN(20), n)
				f.run(slicesOf(parts, lo, hi), slicesOf(ins, lo, hi))
			}
			for o := range outs {
				requireEqualBits(t, outs[o], parts[o])
			}
			if f.inPlace {
				f.run(inPlace[:1], inPlace)
				requireEqualBits(t, outs[0], inPlace[0])
			}
		}
	})
}

func slicesOf(s [][]float32, lo, hi int) [][]float32 {
	c := slices.Clone(s)
	for i := range c {
		c[i] = c[i][lo:hi]
	}
	return c
}

func TestSums_OfEveryLength(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for n := range 71 {
			x, y, z := randomNumbers(rng, n), randomNumbers(rng, n), randomNumbers(rng, n)
			dst := make([]float32, n)
			exps := ExpSum(dst, x, 1, 0.5)
			var s, squares, products, scaled, triples, e, bound float64
			top := float32(math.Inf(-1))
			for i := range x {
				a, b := float64(x[i]), float64(y[i])
				s, squares, products, e = s+a, squares+a*a, products+a*b, e+float64(dst[i])
				g := float64(x[i] * z[i])
				scaled, triples = scaled+g, triples+g*b
				bound += math.Abs(g) + math.Abs(g*b)
				bound += math.Abs(a) + a*a + math.Abs(a*b) + float64(dst[i])
				top = max(top, x[i])
			}
			bound *= 1e-14
			require.InDelta(t, s, Sum(x), bound)
			require.InDelta(t, squares, SumSquares(x), bound)
			require.InDelta(t, products, Dot(x, y), bound)
			s2, squares2 := Sums(x)
			require.InDelta(t, s, s2, bound)
			require.InDelta(t, squares, squares2, bound)
			sumG, sumGX := NormBackwardSums(x, z, y)
			require.InDelta(t, scaled, sumG, bound)
			require.InDelta(t, triples, sumGX, bound)
			require.InDelta(t, e, exps, bound)
			require.Equal(t, top, Max(x))
		}
	})
}

func TestMax_IsFoundAnywhere(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := 1; n < 71; n++ {
			x := make([]float32, n)
			for i := range x {
				x[i] = 2
				require.EqualValues(t, 2, Max(x), "at %d of %d", i, n)
				x[i] = float32(math.NaN())
				require.Equal(t, n == 1, math.IsInf(float64(Max(x)), -1), "a NaN at %d of %d is ignored", i, n)
				x[i] = 0
			}
		}
	})
}

func TestExpSum_IsWithinTwoUlpOverTheWholeRange(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		x := make([]float32, 1<<12)
		dst := make([]float32, len(x))
		for lo := -106.0; lo < 90; lo++ {
			for i := range x {
				x[i] = float32(lo + float64(i)/float64(len(x)))
			}
			ExpSum(dst, x, 1, 0)
			for i, v := range x {
				want := math.Exp(float64(v))
				if want > math.MaxFloat32 {
					require.Equal(t, float32(math.Inf(1)), dst[i])
					continue
				}
				step := max(0x1p-149, ulp32*math.Exp2(math.Floor(math.Log2(want)))) // one unit of the last place
				if err := math.Abs(float64(dst[i]) - want); err > 2*step {
					require.Failf(t, "inexact", "exp(%v) = %v, want %v: %.1f ulp", v, dst[i], want, err/step)
				}
			}
		}
	})
}

func TestElementwise_KeepsNaNAndInfinity(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachKernel(t, func(t *testing.T) {
		for n := 1; n < 40; n += 3 {
			for at := range n {
				x, y := make([]float32, n), make([]float32, n)
				x[at] = -inf
				require.InDelta(t, n-1, ExpSum(y, x, 1, 0), 0)
				require.Zero(t, y[at], "exp(-Inf)")
				x[at] = nan
				require.True(t, math.IsNaN(ExpSum(y, x, 1, Max(x))), "Max ignores a NaN, ExpSum does not")
				require.True(t, y[at] != y[at])
				GELU(y, x)
				require.True(t, y[at] != y[at])
				GELUBackward(y, x, x)
				require.True(t, y[at] != y[at])
				require.True(t, math.IsNaN(Sum(x)) && math.IsNaN(SumSquares(x)))
			}
		}
		require.Equal(t, -inf, Max(nil))
		y := make([]float32, 2)
		GELU(y, []float32{1e30, -1e30})
		require.Equal(t, []float32{1e30, 0}, y)
		GELUBackward(y, []float32{1e30, -1e30}, []float32{1, 1})
		require.InDeltaSlice(t, []float32{1, 0}, y, 1e-30)
	})
}

func TestElementwise_RejectsDifferentLengths(t *testing.T) {
	a, b := make([]float32, 3), make([]float32, 4)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"ExpSum", func() { ExpSum(a, b, 1, 0) }},
		{"Dot", func() { Dot(a, b) }},
		{"Add", func() { Add(b, a, a) }},
		{"Add", func() { Add(a, a, b) }},
		{"SoftmaxBackwardRow", func() { SoftmaxBackwardRow(a, b, 0, 1) }},
		{"GELU", func() { GELU(a, b) }},
		{"GELUBackward", func() { GELUBackward(b, a, a) }},
		{"GELUBackward", func() { GELUBackward(a, a, b) }},
		{"NormalizeRow", func() { NormalizeRow(b, a, 0, 1, a, a) }},
		{"NormalizeRow", func() { NormalizeRow(a, a, 0, 1, b, a) }},
		{"NormalizeRow", func() { NormalizeRow(a, a, 0, 1, a, b) }},
		{"NormBackwardSums", func() { NormBackwardSums(b, a, a) }},
		{"NormBackwardSums", func() { NormBackwardSums(a, b, a) }},
		{"NormBackwardRow", func() { NormBackwardRow(b, a, a, a, 0, 1, 1, 1) }},
		{"NormBackwardRow", func() { NormBackwardRow(a, b, a, a, 0, 1, 1, 1) }},
		{"NormBackwardRow", func() { NormBackwardRow(a, a, b, a, 0, 1, 1, 1) }},
		{"NormGainGrad", func() { NormGainGrad(b, a, a, 0, 1) }},
		{"NormGainGrad", func() { NormGainGrad(a, b, a, 0, 1) }},
		{"AdamUpdate", func() { AdamUpdate(a, b, a, a, &adamForTest) }},
		{"AdamUpdate", func() { AdamUpdate(a, a, b, a, &adamForTest) }},
		{"AdamUpdate", func() { AdamUpdate(a, a, a, b, &adamForTest) }},
	} {
		require.PanicsWithValue(t, "kernel."+c.name+": lengths differ", c.call)
	}
}

func TestElementwise_DoesNotAllocate(t *testing.T) {
	x := make([]float32, 100)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		s := adamForTest
		AdamUpdate(x, x, x, x, &s)
		ExpSum(x, x, 1, Max(x))
		Sums(x)
		NormBackwardSums(x, x, x)
	}))
}

func BenchmarkElementwise(b *testing.B) {
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
