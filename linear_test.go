package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinear_MultipliesRowsByItsMatrix(t *testing.T) {
	l := newLinear("linear", 2, 3, 0, newRNG(1, checkStream))
	copy(l.weight.W, []float32{1, 2, 3, 10, 20, 30}) // [in, out]
	copy(l.bias.W, []float32{100, 200, 300})
	require.Equal(t, []float32{111, 222, 333, 101, 202, 303}, l.Forward([]float32{1, 1, 1, 0}))
}

func TestLinear_GradientsEqualDifferences(t *testing.T) {
	rng := newRNG(1, checkStream)
	l := newLinear("linear", 5, 7, 1, rng)
	roughen(l.params(), rng)
	check := layerCheck{params: l.params(), forward: l.Forward, backward: l.Backward,
		twin: func(r *checkReference, x [][]float64) [][]float64 { return r.linear("linear", x) }}
	for _, T := range []int{1, 3, 9} {
		check.require(t, T, randomFloats(rng, T*5), rng)
	}
}

func TestLinear_BiasGradientIsTheSumOverRowsNotTheMean(t *testing.T) {
	l := newLinear("linear", 2, 1, 1, newRNG(1, checkStream))
	l.Forward(make([]float32, 8))
	l.Backward([]float32{1, 2, 3, 4})
	require.Equal(t, []float32{10}, l.bias.Grad)
}

func TestLinear_GradientsAccumulate(t *testing.T) {
	rng := newRNG(2, checkStream)
	l := newLinear("linear", 4, 3, 1, rng)
	x, dy := randomFloats(rng, 8), randomFloats(rng, 6)
	l.Forward(x)
	l.Backward(dy)
	once := copiedGrads(l.params())
	l.Backward(dy)
	for i, p := range l.params() {
		for j, g := range p.Grad {
			require.Equal(t, 2*once[i][j], g)
		}
	}
}

func TestLinear_FrozenWeightsPassTheSameGradient(t *testing.T) {
	rng := newRNG(3, checkStream)
	l := newLinear("linear", 4, 3, 1, rng)
	l.Forward(randomFloats(rng, 8))
	dy := randomFloats(rng, 6)
	want := append([]float32(nil), l.Backward(dy)...)
	clearGrads(l.params())
	l.weight.Frozen, l.bias.Frozen = true, true
	requireSameBits(t, want, l.Backward(dy))
	require.Equal(t, make([]float32, 12), l.weight.Grad)
	require.Equal(t, make([]float32, 3), l.bias.Grad)
}
