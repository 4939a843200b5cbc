package main

import (
	"math/rand/v2"

	"gogpt/internal/kernel"
)

// Feed-forward network, the same for every row   (arXiv:1706.03762, section 3.3, with GELU: arXiv:1606.08415, tanh
// form)
//
//	y = gelu(x·W₁ + b₁)·W₂ + b₂
//	gelu(u) = u/2 · (1 + tanh(√(2/π)·(u + 0.044715·u³)))
//
//	du = gelu'(u) ⊙ (dy·W₂ᵀ)        dx = du·W₁ᵀ

// FeedForward is the two-layer network of a block.
type FeedForward struct {
	up, down *Linear // W₁ [C, hidden] and b₁, W₂ [hidden, C] and b₂

	u []float32 // [T, hidden] kept from forward, borrowed from up

	// results and scratch
	a  []float32 // [T, hidden] gelu(u)
	da []float32 // [T, hidden] borrowed from down
	du []float32 // [T, hidden]
}

func newFeedForward(name string, c ModelConfig, rng *rand.Rand) *FeedForward {
	f := &FeedForward{
		up:   newLinear(name+".c_fc", c.Dim, c.Hidden, initStd, rng),
		down: newLinear(name+".c_proj", c.Hidden, c.Dim, residualStd(c), rng)}
	setPart(PartFeedForward, f.params())
	return f
}

func (f *FeedForward) params() []*Param { return append(f.up.params(), f.down.params()...) }

// Forward returns y [T, C]. x [T, C] is kept until Backward.
func (f *FeedForward) Forward(x []float32) []float32 {
	f.u = f.up.Forward(x)
	f.a = kernel.Resized(f.a, len(f.u))
	kernel.Parallel(len(f.u), f, (*FeedForward).gelu)
	return f.down.Forward(f.a)
}

func (f *FeedForward) gelu(lo, hi int) { kernel.GELU(f.a[lo:hi], f.u[lo:hi]) }

// Backward returns dx [T, C] and adds to the parameters' gradients. dy [T, C] is only read.
func (f *FeedForward) Backward(dy []float32) []float32 {
	// forward: y = a·W₂ + b₂
	f.da = f.down.Backward(dy)
	// forward: a = gelu(u)
	f.du = kernel.Resized(f.du, len(f.da))
	kernel.Parallel(len(f.da), f, (*FeedForward).geluGrad)
	// forward: u = x·W₁ + b₁
	return f.up.Backward(f.du)
}

func (f *FeedForward) geluGrad(lo, hi int) { kernel.GELUBackward(f.du[lo:hi], f.u[lo:hi], f.da[lo:hi]) }
