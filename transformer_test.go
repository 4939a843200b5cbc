package main

import (
	"testing"
)

// blockConfig is for tests of a single block.
var blockConfig = ModelConfig{Layers: 1, Heads: 2, Dim: 6, Hidden: 9, Context: 12}

func roughBlock(seed uint64) *Block {
	b := newBlock(0, blockConfig, newRNG(seed, initStream))
	roughen(b.params(), newRNG(seed, checkStream))
	return b
}

// Where both branches add 0, a block is the identity, forward and backward.
func TestBlock_TheResidualStreamPassesUnchanged(t *testing.T) {
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

// twinBlock is the block computed by the reference, one sequence after another.
func twinBlock(seqs []sequence) func(*checkReference, [][]float64) [][]float64 {
	return func(r *checkReference, x [][]float64) (y [][]float64) {
		for _, s := range seqs {
			mid := x[s.start : s.start+s.n]
			mid = plus(mid, r.attention("h.0.attn", r.layerNorm("h.0.ln_1", mid)))
			y = append(y, plus(mid, r.feedForward("h.0.mlp", r.layerNorm("h.0.ln_2", mid)))...)
		}
		return y
	}
}

func TestBlock_GradientsEqualDifferences(t *testing.T) {
	b := roughBlock(1)
	rng := newRNG(1, checkStream)
	seqs, T := sequencesOf(5, 1, 4)
	check := layerCheck{config: blockConfig, params: b.params(), backward: b.Backward,
		forward: func(x []float32) []float32 { return b.Forward(x, seqs) }, twin: twinBlock(seqs)}
	check.require(t, T, randomFloats(rng, T*blockConfig.Dim), rng)
}
