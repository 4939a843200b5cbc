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
	mid, y   []float32 // [T, C] in the memory of the branches
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
	h := b.dropAttn.inPlace(b.attn.Forward(b.ln1.Forward(x), seqs))
	b.mid = b.sum.add(h, x, h) // nobody needs a branch without its sum
	h = b.dropMLP.inPlace(b.mlp.Forward(b.ln2.Forward(b.mid)))
	b.y = b.sum.add(h, b.mid, h)
	return b.y
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

// handDown gives the memory of the gradients inside the block to another, which is about to run backward: what is as large
// as the activations is there once, and still in the cache. dx stays.
func (b *Block) handDown(to *Block) {
	its := to.gradients()
	for i, g := range b.gradients() {
		*its[i] = *g
	}
}

func (b *Block) gradients() [9]*[]float32 {
	return [...]*[]float32{&b.dmid, &b.ln1.dx, &b.attn.qkv.dx, &b.attn.drows, &b.attn.out.dx,
		&b.ln2.dx, &b.mlp.up.dx, &b.mlp.du, &b.mlp.down.dx}
}

// inputGrad is the gradient of the loss by the input of one layer.
type inputGrad struct {
	layer string
	rows  []float32 // [T, channels of the input]
}

// inputGrads returns the gradients by the input of every layer of the block, which is number i. They last until the next block runs backward.
func (b *Block) inputGrads(i int) []inputGrad {
	name := fmt.Sprintf("h.%d.", i)
	return []inputGrad{
		{name + "ln_1", b.ln1.dx}, {name + "attn.c_attn", b.attn.qkv.dx}, {name + "attn.c_proj", b.attn.out.dx},
		{name + "ln_2", b.ln2.dx}, {name + "mlp.c_fc", b.mlp.up.dx}, {name + "mlp.gelu", b.mlp.du}, {name + "mlp.c_proj", b.mlp.down.dx}}
}
