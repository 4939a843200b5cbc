package main

import (
	"fmt"
	"math/rand/v2"

	"gogpt/internal/kernel"
)

// The whole model, GPT-2   (Radford et al. 2019, on arXiv:1706.03762)
//
//	x = wte[token] + wpe[position]
//	x = block_i(x)  for every block
//	logits = ln_f(x)·wteᵀ            the output projection is the token embedding, tied
//
//	dwte is the sum of two terms: dlogitsᵀ·ln_f(x) from the projection, and the rows of dx from the embedding.

// LLM is the language model.
type LLM struct {
	ModelConfig

	embed  *Embedding
	drop   dropout  // of the embeddings
	blocks []*Block // [layers]
	lnF    *LayerNorm
	all    []*Param // from the embedding to ln_f

	afterBlockBackward func(block int) // if not nil, called in Backward while the inputGrads of the block are valid

	// kept from forward
	batch  *Batch    // borrowed
	normed []float32 // [T, C] output of lnF, borrowed
	loss   CrossEntropy

	// results and scratch
	logits  []float32  // [T, vocab]
	dnormed []float32  // [T, C]
	seqs    []sequence // [sequences]
	pos     []int      // [T] position of each token in its sequence
}

// newLLM builds a model with random initial weights as GPT-2, drawn in the order of the parameters.
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

// Params returns every parameter, from the embedding to ln_f.
func (m *LLM) Params() []*Param { return m.all }

// ParamCount returns the number of weights and biases.
func (m *LLM) ParamCount() int {
	n := 0
	for _, p := range m.all {
		n += len(p.W)
	}
	return n
}

// SetAttentionFreezeUpdates freezes or releases c_attn and c_proj of the attention of every block. No plan of a
// training phase releases what it froze.
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

// SetDropout sets the dropout of the passes that follow, with masks that depend on key; rate 0 turns it off.
func (m *LLM) SetDropout(rate float64, key uint64) {
	m.drop.set(rate, mix(key))
	for _, b := range m.blocks {
		for _, d := range []*dropout{&b.attn.drop, &b.dropAttn, &b.dropMLP} {
			key = mix(key + 1)
			d.set(rate, key)
		}
	}
}

// Forward returns the logits [T, vocab] of a packed batch, which is kept until Backward.
func (m *LLM) Forward(b *Batch) []float32 {
	m.batch = b
	m.seqs = m.seqs[:0]
	start := 0
	for _, n := range b.Lengths {
		m.seqs = append(m.seqs, sequence{start: start, n: n})
		start += n
	}
	m.normed = m.hidden(b.Inputs, m.seqs)
	return m.project(m.normed)
}

// hidden returns ln_f(x) [T, C], the result of embedding, blocks and final norm.
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

// project returns the logits [T, vocab] of normalized rows x [T, C]: x·wteᵀ.
func (m *LLM) project(x []float32) []float32 {
	T := len(x) / m.Dim
	m.logits = kernel.Resized(m.logits, T*m.Vocab)
	kernel.MatMul(kernel.RowMajor(m.logits, T, m.Vocab), kernel.RowMajor(x, T, m.Dim), m.embed.wte.matrix().T())
	return m.logits
}

// Loss runs the forward pass of the batch and returns its loss summed over the targets that count.
func (m *LLM) Loss(b *Batch, smoothing float64) lossSum {
	m.loss.smoothing = smoothing
	return m.loss.Forward(m.Forward(b), b.Targets)
}

// Backward adds the gradient of weight · (the smoothed loss of the last call of Loss) to the parameters' gradients.
func (m *LLM) Backward(weight float64) {
	dlogits := m.loss.Backward(weight)
	T := len(m.normed) / m.Dim
	wte := m.embed.wte
	dl := kernel.RowMajor(dlogits, T, m.Vocab)
	// forward: logits = normed·wteᵀ
	if wte.learns() {
		kernel.MatMulAdd(wte.gradMatrix(), dl.T(), kernel.RowMajor(m.normed, T, m.Dim))
	}
	m.dnormed = kernel.Resized(m.dnormed, len(m.normed))
	kernel.MatMul(kernel.RowMajor(m.dnormed, T, m.Dim), dl, wte.matrix())
	// forward: normed = ln_f(x)
	dx := m.lnF.Backward(m.dnormed)
	// forward: x = block(x), first to last
	for i := len(m.blocks) - 1; i >= 0; i-- {
		dx = m.blocks[i].Backward(dx)
		if m.afterBlockBackward != nil {
			m.afterBlockBackward(i)
		}
		if i > 0 {
			m.blocks[i].shareGradBuffers(m.blocks[i-1])
		}
	}
	// forward: x = wte[token] + wpe[position]
	m.embed.Backward(m.drop.backward(dx))
}

// firstNonFiniteOutput returns the name of the first layer whose output in the last forward pass holds a NaN or an Inf,
// or "".
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
