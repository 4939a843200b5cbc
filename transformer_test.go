package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// blockConfig is a model of one block for checks of the block alone.
var blockConfig = ModelConfig{Layers: 1, Heads: 2, Dim: 6, Hidden: 9, Context: 12}

func roughBlock(seed uint64) *Block {
	b := newBlock(0, blockConfig, newRNG(seed, initStream))
	roughen(b.params(), newRNG(seed, checkStream))
	return b
}

// twinBlock is the block in the reference's words, a sequence at a time.
func twinBlock(seqs []sequence) func(*reference, [][]float64) [][]float64 {
	return func(r *reference, x [][]float64) (y [][]float64) {
		for _, s := range seqs {
			mid := x[s.start : s.start+s.n]
			mid = plus(mid, r.attention("h.0.attn", r.layerNorm("h.0.ln_1", mid)))
			y = append(y, plus(mid, r.feedForward("h.0.mlp", r.layerNorm("h.0.ln_2", mid)))...)
		}
		return y
	}
}

func TestBlockGradients(t *testing.T) {
	b := roughBlock(1)
	rng := newRNG(1, checkStream)
	seqs, T := sequencesOf(5, 1, 4)
	check := layerCheck{config: blockConfig, params: b.params(), backward: b.Backward,
		forward: func(x []float32) []float32 { return b.Forward(x, seqs) }, twin: twinBlock(seqs)}
	check.require(t, T, randomFloats(rng, T*blockConfig.Dim), rng)
}

// Both branches silenced, a block is the identity, forward and backward: the residual stream passes.
func TestTheResidualStreamPasses(t *testing.T) {
	b := roughBlock(2)
	for _, p := range append(b.attn.out.params(), b.mlp.down.params()...) {
		clear(p.W)
	}
	seqs, T := sequencesOf(4)
	rng := newRNG(2, checkStream)
	x, dy := randomFloats(rng, T*blockConfig.Dim), randomFloats(rng, T*blockConfig.Dim)
	requireSameBits(t, x, b.Forward(x, seqs))
	requireSameBits(t, dy, b.Backward(dy))
}

func TestInitialWeightsAreThoseOfGPT2(t *testing.T) {
	c := ModelConfig{Layers: 4, Heads: 4, Dim: 64, Hidden: 96, Context: 64, Vocab: 300}
	for _, p := range newLLM(c, newRNG(1, initStream)).Params() {
		mean, variance := moments(p.W)
		switch {
		case strings.Contains(p.Name, "ln_") && strings.HasSuffix(p.Name, ".weight"):
			require.Equal(t, newParam("", c.Dim).constant(1).W, p.W, p.Name)
		case !p.isMatrix():
			require.Zero(t, sumSquares(p.W), p.Name)
		default:
			std := 0.02
			if strings.HasSuffix(p.Name, "c_proj.weight") {
				std = 0.02 / math.Sqrt(2*4)
			}
			n := float64(len(p.W))
			require.InDelta(t, std, math.Sqrt(variance), 5*std/math.Sqrt(2*n), p.Name)
			require.InDelta(t, 0, mean, 5*std/math.Sqrt(n), p.Name)
		}
	}
}

func TestEveryTensorStartsFromDrawsOfItsOwn(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	again, other := newLLM(oddConfig, newRNG(1, initStream)), newLLM(oddConfig, newRNG(2, initStream))
	seen := map[float32]string{}
	for i, p := range m.Params() {
		requireSameBits(t, p.W, again.Params()[i].W)
		if !p.isMatrix() {
			continue
		}
		require.False(t, slices.Equal(p.W, other.Params()[i].W), p.Name)
		require.Empty(t, seen[p.W[0]], p.Name)
		seen[p.W[0]] = p.Name
	}
}
