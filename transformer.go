package main

import (
	"fmt"
	"math/rand/v2"

	"gogpt/internal/kernel"
)

// One transformer block in the form of GPT-2, with LayerNorm before each branch. f' is the backward pass of f.
//
//	mid = x + attention(ln₁(x))
//	y = mid + feedforward(ln₂(mid))
//
//	dmid = dy + ln₂'(feedforward'(dy))
//	dx = dmid + ln₁'(attention'(dmid))

// Block is one transformer block with its two branches, attention and feed-forward network.
type Block struct {
	ln1  *LayerNorm
	attn *Attention
	ln2  *LayerNorm
	mlp  *FeedForward

	dropAttn, dropMLP dropout // of the result of each branch, before it is added to x

	// results and scratch
	mid, y   []float32 // [T, C] borrowed: the memory of the results of attn and mlp
	dmid, dx []float32 // [T, C]
	sum      adder
}

func newBlock(number int, c ModelConfig, rng *rand.Rand) *Block {
	name := fmt.Sprintf("h.%d", number)
	b := &Block{
		ln1:      newLayerNorm(name+".ln_1", c.Dim),
		attn:     newAttention(name+".attn", number, c, rng),
		ln2:      newLayerNorm(name+".ln_2", c.Dim),
		mlp:      newFeedForward(name+".mlp", c, rng),
		dropAttn: dropout{C: c.Dim},
		dropMLP:  dropout{C: c.Dim}}
	for _, p := range b.params() {
		p.Block = number
	}
	return b
}

func (b *Block) params() []*Param {
	ps := append(b.ln1.params(), b.attn.params()...)
	return append(append(ps, b.ln2.params()...), b.mlp.params()...)
}

// Forward returns y [T, C]. x [T, C] is kept until Backward.
func (b *Block) Forward(x []float32, seqs []sequence) []float32 {
	branch := b.dropAttn.inPlace(b.attn.Forward(b.ln1.Forward(x), seqs))
	b.mid = b.sum.add(branch, x, branch) // the sum overwrites the branch, which nothing else reads
	branch = b.dropMLP.inPlace(b.mlp.Forward(b.ln2.Forward(b.mid)))
	b.y = b.sum.add(branch, b.mid, branch)
	return b.y
}

// Backward returns dx [T, C] and adds to the parameters' gradients. dy [T, C] is only read.
func (b *Block) Backward(dy []float32) []float32 {
	b.dmid, b.dx = kernel.Resized(b.dmid, len(dy)), kernel.Resized(b.dx, len(dy))
	// forward: y = mid + feedforward(ln₂(mid))
	dnorm := b.mlp.Backward(b.dropMLP.backward(dy))
	b.sum.add(b.dmid, dy, b.ln2.Backward(dnorm))
	// forward: mid = x + attention(ln₁(x))
	dnorm = b.attn.Backward(b.dropAttn.backward(b.dmid))
	return b.sum.add(b.dx, b.dmid, b.ln1.Backward(dnorm))
}

// shareGradBuffers lets the block below, whose backward pass comes next, reuse the memory of the gradients inside this
// block: it is allocated once for all blocks, and it is still in the processor's cache. dx is not shared.
func (b *Block) shareGradBuffers(below *Block) {
	buffers := below.gradBuffers()
	for i, g := range b.gradBuffers() {
		*buffers[i] = *g
	}
}

// gradBuffers lists the slices of the gradients inside the block, [T, channels] each.
func (b *Block) gradBuffers() [9]*[]float32 {
	return [...]*[]float32{&b.dmid, &b.ln1.dx, &b.attn.qkv.dx, &b.attn.dqkvRows, &b.attn.out.dx,
		&b.ln2.dx, &b.mlp.up.dx, &b.mlp.du, &b.mlp.down.dx}
}

// inputGrad is the gradient with respect to the input of one layer.
type inputGrad struct {
	layer string
	rows  []float32 // [T, channels of the input]
}

// inputGrads returns the gradient with respect to the input of every layer of the block, which is number i. The
// backward pass of the block below overwrites them.
func (b *Block) inputGrads(i int) []inputGrad {
	name := fmt.Sprintf("h.%d.", i)
	return []inputGrad{
		{name + "ln_1", b.ln1.dx}, {name + "attn.c_attn", b.attn.qkv.dx}, {name + "attn.c_proj", b.attn.out.dx},
		{name + "ln_2", b.ln2.dx}, {name + "mlp.c_fc", b.mlp.up.dx}, {name + "mlp.gelu", b.mlp.du},
		{name + "mlp.c_proj", b.mlp.down.dx}}
}
