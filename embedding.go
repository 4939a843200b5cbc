package main

import "math/rand/v2"

// Token and position embedding, the first thing that happens to a token:
//
//	x_t = wte[token_t] + wpe[position_t]
//
//	dwte[token_t] += dx_t        dwpe[position_t] += dx_t

// Embedding turns token ids into rows of C channels.
type Embedding struct {
	C int

	wte, wpe *Param // [V, C], [context, C]

	// kept from forward
	tokens    []int // [T] borrowed
	positions []int // [T] borrowed

	x  []float32 // [T, C]
	dx []float32 // [T, C] borrowed
}

// newEmbedding draws both tables as GPT-2 does.
func newEmbedding(c ModelConfig, rng *rand.Rand) *Embedding {
	return &Embedding{C: c.Dim,
		wte: newParam("wte.weight", c.Vocab, c.Dim).normal(initStd, rng),
		wpe: newParam("wpe.weight", c.Context, c.Dim).normal(initStd, rng)}
}

func (e *Embedding) params() []*Param { return []*Param{e.wte, e.wpe} }

// Forward returns x [T, C]. The ids must be below V, the positions below the context; both are kept until Backward.
func (e *Embedding) Forward(tokens, positions []int) []float32 {
	e.tokens, e.positions, e.x = tokens, positions, resized(e.x, len(tokens)*e.C)
	parallel(len(tokens), e, (*Embedding).forwardRows)
	return e.x
}

func (e *Embedding) forwardRows(lo, hi int) {
	C := e.C
	for t := lo; t < hi; t++ {
		add(e.x[t*C:(t+1)*C], e.wte.W[e.tokens[t]*C:][:C], e.wpe.W[e.positions[t]*C:][:C])
	}
}

// Backward adds to the gradients of both tables. dx [T, C] is only read.
func (e *Embedding) Backward(dx []float32) {
	e.dx = dx
	parallel(e.C, e, (*Embedding).backwardColumns)
}

// backwardColumns adds columns lo … hi of every row, in the order of the rows: tokens repeat, columns do not.
func (e *Embedding) backwardColumns(lo, hi int) {
	C := e.C
	for t, token := range e.tokens {
		dx := e.dx[t*C+lo : t*C+hi]
		if !e.wte.Frozen {
			dw := e.wte.Grad[token*C+lo : token*C+hi]
			add(dw, dw, dx)
		}
		if !e.wpe.Frozen {
			at := e.positions[t] * C
			dw := e.wpe.Grad[at+lo : at+hi]
			add(dw, dw, dx)
		}
	}
}
