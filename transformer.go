package main

import (
	"fmt"
	"math/rand/v2"
)

// One transformer block in the Pre-LN form of GPT-2:
//
//	mid = x + attention(ln₁(x))
//	y = mid + feedforward(ln₂(mid))
//
//	dmid = dy + ln₂'(feedforward'(dy))
//	dx = dmid + ln₁'(attention'(dmid))

// Block is one layer of the model.
type Block struct {
	ln1  *LayerNorm
	attn *Attention
	ln2  *LayerNorm
	mlp  *FeedForward

	dropAttn, dropMLP dropout // on what each branch adds

	// results and scratch
	mid, y   []float32 // [T, C]
	dmid, dx []float32 // [T, C]
	sum      adder
}

func newBlock(layer int, c ModelConfig, rng *rand.Rand) *Block {
	name := fmt.Sprintf("h.%d", layer)
	return &Block{
		ln1:      newLayerNorm(name+".ln_1", c.Dim),
		attn:     newAttention(name+".attn", layer, c, rng),
		ln2:      newLayerNorm(name+".ln_2", c.Dim),
		mlp:      newFeedForward(name+".mlp", c, rng),
		dropAttn: dropout{C: c.Dim},
		dropMLP:  dropout{C: c.Dim}}
}

func (b *Block) params() []*Param {
	ps := append(b.ln1.params(), b.attn.params()...)
	return append(append(ps, b.ln2.params()...), b.mlp.params()...)
}

// Forward returns y [T, C]. x [T, C] is kept until Backward.
func (b *Block) Forward(x []float32, seqs []sequence) []float32 {
	b.mid, b.y = resized(b.mid, len(x)), resized(b.y, len(x))
	h := b.attn.Forward(b.ln1.Forward(x), seqs)
	b.sum.add(b.mid, x, b.dropAttn.inPlace(h))
	h = b.mlp.Forward(b.ln2.Forward(b.mid))
	return b.sum.add(b.y, b.mid, b.dropMLP.inPlace(h))
}

// Backward returns dx [T, C] and adds to the parameters' gradients. dy [T, C] is only read.
func (b *Block) Backward(dy []float32) []float32 {
	b.dmid, b.dx = resized(b.dmid, len(dy)), resized(b.dx, len(dy))
	// forward: y = mid + feedforward(ln₂(mid))
	dh := b.mlp.Backward(b.dropMLP.backward(dy))
	b.sum.add(b.dmid, dy, b.ln2.Backward(dh))
	// forward: mid = x + attention(ln₁(x))
	dh = b.attn.Backward(b.dropAttn.backward(b.dmid))
	return b.sum.add(b.dx, b.dmid, b.ln1.Backward(dh))
}
