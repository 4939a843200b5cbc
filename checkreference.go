package main

import "fmt"

// The bridge between the plain reference and the checks: it copies the weights of a model, computes the loss of a
// batch, and shows a check the rows that enter each layer.

// checkReference is the reference of one model whose inside can be seen and changed.
type checkReference struct {
	reference

	// tap, unless it is nil, is called with the rows at each point of the forward pass and may change them. The points are
	// the inputs of the layers, by the name of the layer, and in each attention ".qkv", ".weights" (one row per token and
	// head) and ".heads", its result before the output projection.
	tap func(point string, rows [][]float64)
}

// newReference copies the weights of a model.
func newReference(c ModelConfig, params []*Param) *checkReference {
	r := &checkReference{reference: reference{
		layers: c.Layers, heads: c.Heads, dim: c.Dim, vocab: c.Vocab, weights: map[string][]float64{}}}
	for _, p := range params {
		r.weights[p.Name] = inFloat64(p.W)
	}
	return r
}

// loss returns the mean loss, smoothed by ε, over the targets of a batch that are not ignored.
func (r *checkReference) loss(b *Batch, smoothing float64) float64 {
	var total float64
	start, count := 0, 0
	for _, n := range b.Lengths {
		for t, logits := range r.logits(b.Inputs[start : start+n]) {
			if target := b.Targets[start+t]; target != ignored {
				total += r.reference.loss(logits, target, smoothing)
				count++
			}
		}
		start += n
	}
	return total / float64(count)
}

// logits returns what reference.logits returns, and calls tap at every point.
func (r *checkReference) logits(tokens []int) [][]float64 {
	if r.tap == nil {
		return r.reference.logits(tokens)
	}
	x := r.embed(tokens)
	for i := range r.layers {
		block := fmt.Sprintf("h.%d", i)
		x = plus(x, r.attention(block+".attn", r.layerNorm(block+".ln_1", x)))
		x = plus(x, r.feedForward(block+".mlp", r.layerNorm(block+".ln_2", x)))
	}
	return r.project(r.pass("lm_head", r.layerNorm("ln_f", x)))
}

func (r *checkReference) layerNorm(name string, x [][]float64) [][]float64 {
	return r.reference.layerNorm(name, r.pass(name, x))
}

func (r *checkReference) linear(name string, x [][]float64) [][]float64 {
	return r.reference.linear(name, r.pass(name, x))
}

func (r *checkReference) attention(name string, x [][]float64) [][]float64 {
	qkv := r.pass(name+".qkv", r.linear(name+".c_attn", x))
	weights := r.attentionWeights(qkv)
	for t := range weights {
		weights[t] = r.pass(name+".weights", weights[t])
	}
	return r.linear(name+".c_proj", r.pass(name+".heads", r.gather(weights, qkv)))
}

func (r *checkReference) feedForward(name string, x [][]float64) [][]float64 {
	return r.linear(name+".c_proj", gelu(r.pass(name+".gelu", r.linear(name+".c_fc", x))))
}

// pass calls tap with a copy of the rows and returns the copy, so that a change reaches only what follows the point.
func (r *checkReference) pass(point string, rows [][]float64) [][]float64 {
	if r.tap == nil {
		return rows
	}
	own := make([][]float64, len(rows))
	for t := range rows {
		own[t] = append([]float64(nil), rows[t]...)
	}
	r.tap(point, own)
	return own
}
