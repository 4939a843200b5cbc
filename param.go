package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"gogpt/internal/kernel"
	"gogpt/internal/stats"
)

// Param is one named tensor of weights and the gradient of the loss with respect to it.
// Layers add to Grad; only the optimizer writes W.
type Param struct {
	Name  string    // as in a Hugging Face GPT-2, e.g. "h.0.attn.c_attn.weight"
	Block int       // number of its block, from 0; outsideBlocks for the embeddings and the final norm
	Part  Part      // the part of the model that it belongs to
	Shape []int     // extents, row-major
	W     []float32 // [product of Shape]
	Grad  []float32 // [product of Shape]

	// either freezes the parameter (freeze.go)
	Frozen       bool // by the user; saved with the model
	FrozenByPlan bool // by the plan of the current phase
}

// learns reports whether the parameter is not frozen: the optimizer changes W, so its layer must compute Grad.
func (p *Param) learns() bool { return !p.Frozen && !p.FrozenByPlan }

// outsideBlocks is the block of a parameter that belongs to none.
const outsideBlocks = -1

// Part is a kind of layers whose parameters are frozen or reported together.
type Part int

const (
	PartEmbedding    Part = iota
	PartLayerNorm         // ln_1 and ln_2 of the blocks, and ln_f
	PartQKV               // c_attn, which computes queries, keys and values
	PartAttentionOut      // c_proj, the output projection of attention
	PartFeedForward
)

// setPart marks the parameters of one part.
func setPart(part Part, params []*Param) {
	for _, p := range params {
		p.Part = part
	}
}

// newParam makes a parameter of PartEmbedding outside the blocks, with all weights 0.
func newParam(name string, shape ...int) *Param {
	size := 1
	for _, n := range shape {
		size *= n
	}
	return &Param{Name: name, Block: outsideBlocks, Shape: shape, W: make([]float32, size), Grad: make([]float32, size)}
}

const initStd = 0.02 // standard deviation of the initial weights, as GPT-2

// residualStd returns the initial standard deviation of the projections whose result is added to the residual stream.
// Every block has two; with this factor, the variance of the stream does not grow with the number of blocks.
func residualStd(c ModelConfig) float64 { return initStd / math.Sqrt(2*float64(c.Layers)) }

// normal draws the weights from the normal distribution with mean 0 and standard deviation std.
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

// matrix returns a view of the weights [rows, columns].
func (p *Param) matrix() kernel.Matrix { return kernel.RowMajor(p.W, p.Shape[0], p.Shape[1]) }

// gradMatrix returns a view of the gradient [rows, columns].
func (p *Param) gradMatrix() kernel.Matrix { return kernel.RowMajor(p.Grad, p.Shape[0], p.Shape[1]) }

// isMatrix reports whether the parameter has two dimensions. Weight decay is for matrices, not for gains and biases.
func (p *Param) isMatrix() bool { return len(p.Shape) == 2 }

// group returns the name of the part in logs and reports (runlog.TensorGroups).
func (p Part) group() string {
	switch p {
	case PartQKV, PartAttentionOut:
		return "attention"
	case PartFeedForward:
		return "feedforward"
	case PartLayerNorm:
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

// clipFactor returns the factor that reduces the norm of all gradients together to at most limit (0: no limit).
// As PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)).
func clipFactor(norm, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}

// firstNonFinite returns the name of the first parameter whose values hold a NaN or an Inf, or "".
func firstNonFinite(params []*Param, values func(*Param) []float32) string {
	for _, p := range params {
		if hasNonFinite(values(p)) {
			return p.Name
		}
	}
	return ""
}

func hasNonFinite(x []float32) bool {
	return slices.ContainsFunc(x, func(v float32) bool { return !stats.Finite(float64(v)) })
}

// snapshot is a copy of all weights.
type snapshot [][]float32

// save copies the weights, reusing the snapshot's memory.
func (s *snapshot) save(params []*Param) {
	if *s == nil {
		*s = make(snapshot, len(params))
	}
	for i, p := range params {
		(*s)[i] = append((*s)[i][:0], p.W...)
	}
}

// restore copies the weights back.
func (s snapshot) restore(params []*Param) {
	for i, p := range params {
		copy(p.W, s[i])
	}
}
