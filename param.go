package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Param is one named weight of the model and the gradient of the loss by it.
// Layers add to Grad; only the optimizer writes W.
type Param struct {
	Name   string    // as in a Hugging Face GPT-2, e.g. "h.0.attn.c_attn.weight"
	Shape  []int     // extents, row-major
	W      []float32 // [product of Shape]
	Grad   []float32 // [product of Shape]
	Frozen bool      // the optimizer leaves W and its moments alone; layers need not compute Grad
}

func newParam(name string, shape ...int) *Param {
	size := 1
	for _, n := range shape {
		size *= n
	}
	return &Param{Name: name, Shape: shape, W: make([]float32, size), Grad: make([]float32, size)}
}

const initStd = 0.02 // of weights at the start, as GPT-2

// residualStd is the initial deviation of projections onto the residual stream: two of them add up in every block.
func residualStd(c ModelConfig) float64 { return initStd / math.Sqrt(2*float64(c.Layers)) }

// normal draws the weights from N(0, std).
func (p *Param) normal(std float64, rng *rand.Rand) *Param {
	for i := range p.W {
		p.W[i] = float32(std * rng.NormFloat64())
	}
	return p
}

// constant sets every weight to x.
func (p *Param) constant(x float32) *Param {
	for i := range p.W {
		p.W[i] = x
	}
	return p
}

// matrix is the weight [rows, columns] as an operand of a product.
func (p *Param) matrix() matrix { return rowMajor(p.W, p.Shape[0], p.Shape[1]) }

// gradMatrix is the gradient [rows, columns] as an operand of a product.
func (p *Param) gradMatrix() matrix { return rowMajor(p.Grad, p.Shape[0], p.Shape[1]) }

// isMatrix tells weights that decay (two dimensions) from gains and biases that do not.
func (p *Param) isMatrix() bool { return len(p.Shape) == 2 }

// paramGroup is the part of the model that a parameter belongs to, for summaries.
func paramGroup(p *Param) string {
	switch {
	case strings.Contains(p.Name, ".attn."):
		return "attention"
	case strings.Contains(p.Name, ".mlp."):
		return "feedforward"
	case strings.Contains(p.Name, "ln_"):
		return "layernorm"
	}
	return "embedding"
}

// clearGrads sets every gradient to zero.
func clearGrads(params []*Param) {
	for _, p := range params {
		clear(p.Grad)
	}
}

// clipFactor is what the gradients are multiplied with so that their global norm is at most limit (0: no limit).
// As PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)).
func clipFactor(norm, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}

// firstNonFinite names the first parameter whose values hold a NaN or an Inf, or returns "".
func firstNonFinite(params []*Param, values func(*Param) []float32) string {
	for _, p := range params {
		if hasNonFinite(values(p)) {
			return p.Name
		}
	}
	return ""
}

func hasNonFinite(x []float32) bool {
	return slices.ContainsFunc(x, func(v float32) bool { return !finite(float64(v)) })
}

// snapshot is a copy of all weights, to be put back later.
type snapshot [][]float32

// take copies the weights, reusing the snapshot's memory.
func (s *snapshot) take(params []*Param) {
	if *s == nil {
		*s = make(snapshot, len(params))
	}
	for i, p := range params {
		(*s)[i] = append((*s)[i][:0], p.W...)
	}
}

// restore puts the weights back.
func (s snapshot) restore(params []*Param) {
	for i, p := range params {
		copy(p.W, s[i])
	}
}
