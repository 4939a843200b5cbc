package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

func TestSoftmax_EqualsItsFormula(t *testing.T) {
	rng := newRNG(1, checkStream)
	for n := 1; n < 40; n++ {
		s := randomFloats(rng, n)
		kernel.Scale(s, 5)
		want, top := inFloat64(s), float64(kernel.Max(s))
		var total float64
		for _, v := range want {
			total += math.Exp(v)
		}
		require.InDelta(t, math.Log(total), softmaxRow(s, 1), 1e-6)
		scores := slices.Clone(want)
		softmaxFloat64(want)
		for i, p := range s { // an absolute error of the exponent is a relative error of the result
			require.InDelta(t, want[i], p, 0x1p-23*(4+top-scores[i])*want[i])
		}
	}
}

func TestSoftmax_HugeScoresDoNotOverflow(t *testing.T) {
	s := []float32{1e4, 1e4, -1e4, float32(math.Inf(-1))}
	require.Equal(t, 1e4+math.Ln2, softmaxRow(s, 1))
	require.Equal(t, []float32{0.5, 0.5, 0, 0}, s)
}

func TestSoftmax_ANaNReachesEveryResult(t *testing.T) {
	s := []float32{1, float32(math.NaN()), 2}
	require.True(t, math.IsNaN(softmaxRow(s, 1)))
	for _, p := range s {
		require.True(t, math.IsNaN(float64(p)))
	}
}

func TestMoments_DivideByTheLength(t *testing.T) {
	mean, variance := moments([]float32{1, 3, 5, 7})
	require.Equal(t, 4.0, mean)
	require.Equal(t, 5.0, variance)
}

// The variance is the difference of two rounded sums. Where it should be 0 that difference could be negative, and its
// square root NaN.
func TestMoments_AVarianceIsNeverBelowZero(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		for _, n := range []int{1, 33, 100, 768, 3001} {
			norm := newLayerNorm("ln", n)
			for _, value := range []float32{0.1, -3.3, 12345.678, 1e7, 16777213} {
				x := slices.Repeat([]float32{value}, n)
				_, variance := moments(x)
				require.GreaterOrEqual(t, variance, 0.0, "%d times %g", n, value)
				for _, y := range norm.Forward(x) {
					require.InDelta(t, 0, y, 1e-6, "%d times %g", n, value)
				}
			}
		}
	})
}

func TestAdder_MayWriteToItsOperands(t *testing.T) {
	x, y := []float32{1, 2, 3}, []float32{10, 20, 30}
	require.Equal(t, []float32{11, 22, 33}, new(adder).add(x, x, y))
	require.Equal(t, []float32{10, 20, 30}, y)
}
