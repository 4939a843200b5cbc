package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/stats"
)

// roughNorm is a LayerNorm whose gains differ from 1 and whose biases differ from 0.
func roughNorm(C int, seed uint64) *LayerNorm {
	ln := newLayerNorm("ln", C)
	roughen(ln.params(), newRNG(seed, checkStream))
	return ln
}

func TestLayerNorm_RowsHaveMeanZeroAndVarianceOne(t *testing.T) {
	ln := newLayerNorm("ln", 33)
	x := randomFloats(newRNG(5, checkStream), 4*33)
	kernel.Scale(x, 100)
	y := ln.Forward(x)
	for row := range 4 {
		mean, variance := moments(y[row*33 : (row+1)*33])
		require.InDelta(t, 0, mean, 1e-6)
		require.InDelta(t, 1, variance, 1e-5)
	}
}

func TestLayerNorm_ConstantRowsBecomeTheBias(t *testing.T) {
	ln := roughNorm(9, 4)
	for _, value := range []float32{0, 1, -3e4} {
		x := newParam("x", 9).constant(value).W
		requireSameBits(t, ln.bias.W, ln.Forward(x))
		for _, g := range ln.Backward(randomFloats(newRNG(4, checkStream), 9)) {
			require.True(t, stats.Finite(float64(g)))
		}
	}
}

// In float32 the mean of the squares minus the square of the mean would lose every digit of this variance.
func TestLayerNorm_LargeOffsetsKeepTheVariance(t *testing.T) {
	const C = 16
	ln := newLayerNorm("ln", C)
	x := make([]float32, C)
	for c := range x {
		x[c] = 1 << 20 * (1 + float32(c)*0x1p-19) // 2²⁰ + 0, 2, 4 …, exact in float32
	}
	mean, rstd := 15.0, 1/math.Sqrt(85+lnEps) // of 0, 2, 4 …
	for c, y := range ln.Forward(x) {
		require.InDelta(t, (2*float64(c)-mean)*rstd, y, 1e-6)
	}
}

// A backward pass that confuses x − mean with x̂ is right where the standard deviation is 1, and only there.
func TestLayerNorm_GradientsEqualDifferencesFarFromUnitVariance(t *testing.T) {
	const C = 7
	for _, deviation := range []float32{0.05, 1, 20} {
		rng := newRNG(1, checkStream)
		ln := roughNorm(C, 2)
		check := layerCheck{config: ModelConfig{Dim: C}, params: ln.params(), forward: ln.Forward, backward: ln.Backward,
			twin: func(r *checkReference, x [][]float64) [][]float64 { return r.layerNorm("ln", x) }}
		x := randomFloats(rng, 5*C)
		kernel.Scale(x, deviation)
		check.require(t, 5, x, rng)
	}
}

// confusedLayerNormGrad is the gradient with respect to the input, with the mistake of x − mean in the place of x̂.
func confusedLayerNormGrad(ln *LayerNorm, x, dy []float64) []float64 {
	C := float64(len(x))
	var mean, variance, meanG, meanGX float64
	for _, v := range x {
		mean += v / C
	}
	for c, v := range x {
		variance += (v - mean) * (v - mean) / C
		g := float64(ln.gain.W[c]) * dy[c]
		meanG += g / C
		meanGX += g * (v - mean) / C
	}
	dx := make([]float64, len(x))
	for c, v := range x {
		dx[c] = (float64(ln.gain.W[c])*dy[c] - meanG - (v-mean)*meanGX) / math.Sqrt(variance+lnEps)
	}
	return dx
}

func TestLayerNorm_ACommonMistakeShowsOnlyFarFromUnitVariance(t *testing.T) {
	const C = 64
	ln := roughNorm(C, 3)
	rng := newRNG(3, checkStream)
	errorAt := func(deviation float64) float64 {
		x, dy := randomFloats(rng, C), randomFloats(rng, C)
		mean, variance := moments(x)
		for c := range x {
			x[c] = float32((float64(x[c]) - mean) * deviation / math.Sqrt(variance))
		}
		ln.Forward(x)
		relErr, _, _ := compareVectors(confusedLayerNormGrad(ln, inFloat64(x), inFloat64(dy)), inFloat64(ln.Backward(dy)))
		return relErr
	}
	require.Less(t, errorAt(1), 1e-4, "at a standard deviation of 1 the mistake does not show")
	require.Greater(t, errorAt(3), 0.1)
}
