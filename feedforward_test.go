package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

// Far below 0 GELU and its derivative are 0, far above it they are x and 1, and nothing overflows.
func TestFeedForward_GELUInItsTails(t *testing.T) {
	u := []float32{-1e4, -100, 0, 100, 1e4}
	y, du := make([]float32, len(u)), make([]float32, len(u))
	kernel.GELU(y, u)
	kernel.GELUBackward(du, u, []float32{1, 1, 1, 1, 1})
	for i, want := range []float32{0, 0, 0, 100, 1e4} {
		require.InDelta(t, want, y[i], 1e-30)
	}
	for i, want := range []float32{0, 0, 0.5, 1, 1} {
		require.InDelta(t, want, du[i], 1e-30)
	}
}

func TestFeedForward_EqualsTheReference(t *testing.T) {
	rng := newRNG(2, checkStream)
	c := ModelConfig{Layers: 1, Dim: 6, Hidden: 13}
	f := newFeedForward("mlp", c, rng)
	roughen(f.params(), rng)
	x := randomFloats(rng, 4*c.Dim)
	kernel.Scale(x, 5) // reaches far into both tails of GELU
	want := newReference(c, f.params()).feedForward("mlp", rowsOf(inFloat64(x), 4))
	y := f.Forward(x)
	for row := range want {
		relErr, _, _ := compareVectors(inFloat64(y[row*c.Dim:(row+1)*c.Dim]), want[row])
		require.Less(t, relErr, 1e-6)
	}
}

func TestFeedForward_GradientsEqualDifferences(t *testing.T) {
	rng := newRNG(1, checkStream)
	c := ModelConfig{Layers: 1, Dim: 5, Hidden: 11}
	f := newFeedForward("mlp", c, rng)
	roughen(f.params(), rng)
	check := layerCheck{config: c, params: f.params(), forward: f.Forward, backward: f.Backward,
		twin: func(r *checkReference, x [][]float64) [][]float64 { return r.feedForward("mlp", x) }}
	for _, T := range []int{1, 7} {
		check.require(t, T, randomFloats(rng, T*c.Dim), rng)
	}
}
