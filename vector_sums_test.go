package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSumsOfEveryLength(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for n := range 71 {
			x, y, z := randomFloats(rng, n), randomFloats(rng, n), randomFloats(rng, n)
			dst := make([]float32, n)
			exps := expSum(dst, x, 1, 0.5)
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
			require.InDelta(t, s, sum(x), bound)
			require.InDelta(t, squares, sumSquares(x), bound)
			require.InDelta(t, products, dot(x, y), bound)
			s2, squares2 := sums(x)
			require.InDelta(t, s, s2, bound)
			require.InDelta(t, squares, squares2, bound)
			sumG, sumGX := normBackwardSums(x, z, y)
			require.InDelta(t, scaled, sumG, bound)
			require.InDelta(t, triples, sumGX, bound)
			require.InDelta(t, e, exps, bound)
			require.Equal(t, top, maxOf(x))
		}
	})
}

func TestMaximumIsFoundAnywhere(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		for n := 1; n < 71; n++ {
			x := make([]float32, n)
			for i := range x {
				x[i] = 2
				require.EqualValues(t, 2, maxOf(x), "at %d of %d", i, n)
				x[i] = float32(math.NaN())
				require.Equal(t, n == 1, math.IsInf(float64(maxOf(x)), -1), "a NaN at %d of %d is passed over", i, n)
				x[i] = 0
			}
		}
	})
}

func TestExponentialOverTheWholeRange(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		x := make([]float32, 1<<12)
		dst := make([]float32, len(x))
		for lo := -106.0; lo < 90; lo++ {
			for i := range x {
				x[i] = float32(lo + float64(i)/float64(len(x)))
			}
			expSum(dst, x, 1, 0)
			for i, v := range x {
				want := math.Exp(float64(v))
				if want > math.MaxFloat32 {
					require.Equal(t, float32(math.Inf(1)), dst[i])
					continue
				}
				step := max(0x1p-149, ulp32*math.Exp2(math.Floor(math.Log2(want)))) // one unit of the last place there
				if err := math.Abs(float64(dst[i]) - want); err > 2*step {
					require.Failf(t, "inexact", "exp(%v) = %v, want %v: %.1f ulp", v, dst[i], want, err/step)
				}
			}
		}
	})
}

func TestSpecialValuesPassThrough(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	onEachKernel(t, func(t *testing.T) {
		for n := 1; n < 40; n += 3 {
			for at := range n {
				x, y := make([]float32, n), make([]float32, n)
				x[at] = -inf
				require.InDelta(t, n-1, expSum(y, x, 1, 0), 0)
				require.Zero(t, y[at], "exp(-Inf)")
				x[at] = nan
				require.True(t, math.IsNaN(expSum(y, x, 1, maxOf(x))), "a NaN is not lost between maxOf and expSum")
				require.True(t, y[at] != y[at])
				geluForward(y, x)
				require.True(t, y[at] != y[at])
				geluBackward(y, x, x)
				require.True(t, y[at] != y[at])
				require.True(t, math.IsNaN(sum(x)) && math.IsNaN(sumSquares(x)))
			}
		}
		require.Equal(t, -inf, maxOf(nil))
		y := make([]float32, 2)
		geluForward(y, []float32{1e30, -1e30})
		require.Equal(t, []float32{1e30, 0}, y)
		geluBackward(y, []float32{1e30, -1e30}, []float32{1, 1})
		require.InDeltaSlice(t, []float32{1, 0}, y, 1e-30)
	})
}
