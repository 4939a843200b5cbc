package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

func TestEmbedding_AddsTokenAndPosition(t *testing.T) {
	e := newEmbedding(ModelConfig{Dim: 2, Vocab: 3, Context: 2}, newRNG(1, initStream))
	copy(e.wte.W, []float32{1, 2, 3, 4, 5, 6})
	copy(e.wpe.W, []float32{10, 20, 30, 40})
	require.Equal(t, []float32{15, 26, 31, 42}, e.Forward([]int{2, 0}, []int{0, 1}))
}

func TestEmbedding_UnknownTokensPanic(t *testing.T) {
	e := newEmbedding(ModelConfig{Dim: 3, Vocab: 4, Context: 2}, newRNG(3, checkStream))
	for _, token := range []int{-1, 4} {
		require.Panics(t, func() { e.Forward([]int{token}, []int{0}) })
	}
}

// The batch is two sequences. Token 2 occurs three times and gets the sum of three gradients; both sequences use
// positions 0 and 1, which get the sum of two.
func TestEmbedding_GradientsOfRepeatedTokensAddUp(t *testing.T) {
	rng := newRNG(1, checkStream)
	c := ModelConfig{Dim: 5, Vocab: 4, Context: 3}
	e := newEmbedding(c, rng)
	tokens, positions := []int{2, 0, 2, 2, 1}, []int{0, 1, 2, 0, 1}
	e.Forward(tokens, positions)
	dx := randomFloats(rng, len(tokens)*c.Dim)
	e.Backward(dx)
	wte, wpe := make([]float64, c.Vocab*c.Dim), make([]float64, c.Context*c.Dim)
	loss := func() (sum float64) {
		for i, d := range dx {
			t, ch := i/c.Dim, i%c.Dim
			sum += float64(d) * (wte[tokens[t]*c.Dim+ch] + wpe[positions[t]*c.Dim+ch])
		}
		return sum
	}
	requireGradient(t, "wte", inFloat64(e.wte.Grad), differencesOf(loss, wte))
	requireGradient(t, "wpe", inFloat64(e.wpe.Grad), differencesOf(loss, wpe))
	require.Equal(t, make([]float32, c.Dim), e.wte.Grad[3*c.Dim:], "a token that does not occur has no gradient")
}

func TestEmbedding_FrozenTablesGetNoGradient(t *testing.T) {
	rng := newRNG(2, checkStream)
	for _, frozen := range []int{0, 1} {
		e := newEmbedding(ModelConfig{Dim: 3, Vocab: 4, Context: 2}, rng)
		e.params()[frozen].Frozen = true
		e.Forward([]int{3, 1}, []int{0, 1})
		e.Backward(randomFloats(rng, 6))
		require.Zero(t, kernel.SumSquares(e.params()[frozen].Grad))
		require.NotZero(t, kernel.SumSquares(e.params()[1-frozen].Grad))
	}
}
