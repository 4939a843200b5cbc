package main

import (
	"fmt"
	"math/rand/v2"
)

// The whole model, GPT-2   (Radford et al. 2019, on arXiv:1706.03762)
//
//	x = wte[token] + wpe[position]
//	x = block_i(x)  for every block
//	logits = ln_f(x)·wteᵀ            the output projection is the token embedding, tied
//
//	dwte gathers two terms: dlogitsᵀ·ln_f(x) from the projection and the rows of dx from the embedding.

// LLM is the language model.
type LLM struct {
	ModelConfig

	embed  *Embedding
	drop   dropout // of embeddings
	blocks []*Block
	lnF    *LayerNorm
	all    []*Param // every parameter, from the embedding upward

	watch func(block int) // called after each block's backward pass, while its inputGrads last; nil: nobody looks

	// kept from forward
	batch *Batch
	h     []float32 // [T, C] output of lnF, borrowed
	loss  CrossEntropy

	// results and scratch
	logits []float32 // [T, V]
	dh     []float32 // [T, C]
	seqs   []sequence
	pos    []int // [T] position of each token in its sequence
}

// newLLM builds a model with GPT-2's initial weights, drawn in the order of the parameters.
func newLLM(c ModelConfig, rng *rand.Rand) *LLM {
	m := &LLM{ModelConfig: c, embed: newEmbedding(c, rng), drop: dropout{C: c.Dim}, lnF: newLayerNorm("ln_f", c.Dim)}
	m.all = m.embed.params()
	for i := range c.Layers {
		b := newBlock(i, c, rng)
		m.blocks = append(m.blocks, b)
		m.all = append(m.all, b.params()...)
	}
	m.all = append(m.all, m.lnF.params()...)
	return m
}

// Params returns every parameter, from the embedding upward.
func (m *LLM) Params() []*Param { return m.all }

// ParamCount is the number of weights.
func (m *LLM) ParamCount() int {
	n := 0
	for _, p := range m.all {
		n += len(p.W)
	}
	return n
}

// SetAttentionFreezeUpdates freezes or releases Q, K, V and O of every block.
func (m *LLM) SetAttentionFreezeUpdates(frozen bool) {
	for _, p := range m.all {
		if isAttention(p) {
			p.Frozen = frozen
		}
	}
}

// SetAttentionBackward chooses the backward pass of every attention layer.
func (m *LLM) SetAttentionBackward(mode AttentionBackward) {
	for _, b := range m.blocks {
		b.attn.mode = mode
	}
}

// SetDropout turns dropout on for the following passes, with masks that follow from key; rate 0 turns it off.
func (m *LLM) SetDropout(rate float64, key uint64) {
	m.drop.set(rate, mix(key))
	for _, b := range m.blocks {
		for _, d := range []*dropout{&b.attn.drop, &b.dropAttn, &b.dropMLP} {
			key = mix(key + 1)
			d.set(rate, key)
		}
	}
}

// Forward returns the logits [T, V] of a packed batch, which is kept until Backward.
func (m *LLM) Forward(b *Batch) []float32 {
	m.batch = b
	m.seqs = m.seqs[:0]
	start := 0
	for _, n := range b.Lengths {
		m.seqs = append(m.seqs, sequence{start: start, n: n})
		start += n
	}
	m.h = m.hidden(b.Inputs, m.seqs)
	return m.project(m.h)
}

// hidden runs embedding, blocks and final norm: [T, C].
func (m *LLM) hidden(tokens []int, seqs []sequence) []float32 {
	m.pos = m.pos[:0]
	for _, s := range seqs {
		if s.past()+s.n > m.Context {
			panic(fmt.Sprintf("LLM: a sequence of %d tokens in a context of %d", s.past()+s.n, m.Context))
		}
		for t := range s.n {
			m.pos = append(m.pos, s.past()+t)
		}
	}
	x := m.drop.inPlace(m.embed.Forward(tokens, m.pos))
	for _, b := range m.blocks {
		x = b.Forward(x, seqs)
	}
	return m.lnF.Forward(x)
}

// project returns the logits [T, V] of rows h [T, C]: h·wteᵀ.
func (m *LLM) project(h []float32) []float32 {
	T := len(h) / m.Dim
	m.logits = resized(m.logits, T*m.Vocab)
	matmul(rowMajor(m.logits, T, m.Vocab), rowMajor(h, T, m.Dim), m.embed.wte.matrix().T())
	return m.logits
}

// Loss runs the batch forward and returns its loss summed over the targets, smoothed by ε.
func (m *LLM) Loss(b *Batch, smoothing float64) lossSum {
	m.loss.smoothing = smoothing
	return m.loss.Forward(m.Forward(b), b.Targets)
}

// Backward adds the gradient of weight · (smoothed loss of the last Loss) to every parameter that is not frozen.
func (m *LLM) Backward(weight float64) {
	dlogits := m.loss.Backward(weight)
	T := len(m.h) / m.Dim
	wte := m.embed.wte
	dl := rowMajor(dlogits, T, m.Vocab)
	// forward: logits = h·wteᵀ
	if !wte.Frozen {
		matmulAdd(wte.gradMatrix(), dl.T(), rowMajor(m.h, T, m.Dim))
	}
	m.dh = resized(m.dh, len(m.h))
	matmul(rowMajor(m.dh, T, m.Dim), dl, wte.matrix())
	// forward: h = lnF(x)
	dx := m.lnF.Backward(m.dh)
	// forward: x = block(x), first to last
	for i := len(m.blocks) - 1; i >= 0; i-- {
		dx = m.blocks[i].Backward(dx)
		if m.watch != nil {
			m.watch(i)
		}
		if i > 0 {
			m.blocks[i].handDown(m.blocks[i-1])
		}
	}
	// forward: x = wte[token] + wpe[position]
	m.embed.Backward(m.drop.backward(dx))
}

// firstNonFiniteOutput names the first layer whose output in the last forward pass holds a NaN or an Inf, or returns "".
func (m *LLM) firstNonFiniteOutput() string {
	type output struct {
		layer string
		rows  []float32
	}
	outputs := []output{{"the embedding", m.embed.x}}
	for i, b := range m.blocks {
		name := fmt.Sprintf("h.%d.", i)
		outputs = append(outputs, output{name + "attn", b.mid}, output{name + "mlp", b.y})
	}
	for _, o := range append(outputs, output{"ln_f", m.lnF.y}) {
		if hasNonFinite(o.rows) {
			return o.layer
		}
	}
	return ""
}
