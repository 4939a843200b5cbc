package main

import (
	"math/rand/v2"

	"gogpt/internal/kernel"
)

// Token and position embedding, the first layer:
//
//	x_t = wte[token_t] + wpe[position_t]
//
//	dwte[token_t] += dx_t        dwpe[position_t] += dx_t

// Embedding turns token ids into rows of C channels.
type Embedding struct {
	C int // channels

	wte, wpe *Param // [vocab, C], [context, C]

	// kept from forward
	tokens    []int // [T] borrowed
	positions []int // [T] borrowed

	// results and scratch
	x  []float32 // [T, C]
	dx []float32 // [T, C] borrowed
}

// newEmbedding draws the weights of both tables with standard deviation initStd.
func newEmbedding(c ModelConfig, rng *rand.Rand) *Embedding {
	return &Embedding{C: c.Dim,
		wte: newParam("wte.weight", c.Vocab, c.Dim).normal(initStd, rng),
		wpe: newParam("wpe.weight", c.Context, c.Dim).normal(initStd, rng)}
}

func (e *Embedding) params() []*Param { return []*Param{e.wte, e.wpe} }

// Forward returns x [T, C]. The ids must be below the vocabulary size, the positions below the context; both are kept
// until Backward.
func (e *Embedding) Forward(tokens, positions []int) []float32 {
	e.tokens, e.positions, e.x = tokens, positions, kernel.Resized(e.x, len(tokens)*e.C)
	kernel.Parallel(len(tokens), e, (*Embedding).forwardRows)
	return e.x
}

func (e *Embedding) forwardRows(lo, hi int) {
	C := e.C
	for t := lo; t < hi; t++ {
		kernel.Add(e.x[t*C:(t+1)*C], e.wte.W[e.tokens[t]*C:][:C], e.wpe.W[e.positions[t]*C:][:C])
	}
}

// Backward adds to the gradients of both tables. dx [T, C] is only read.
func (e *Embedding) Backward(dx []float32) {
	e.dx = dx
	kernel.Parallel(e.C, e, (*Embedding).backwardColumns)
}

// backwardColumns adds columns lo … hi, row after row. Threads divide the columns, not the rows, among themselves: two
// rows may hold the same token, and two threads would then add to the same gradient.
func (e *Embedding) backwardColumns(lo, hi int) {
	C := e.C
	// forward: x_t = wte[token_t] + wpe[position_t]
	for t, token := range e.tokens {
		dx := e.dx[t*C+lo : t*C+hi]
		if e.wte.learns() {
			dw := e.wte.Grad[token*C+lo : token*C+hi]
			kernel.Add(dw, dw, dx)
		}
		if e.wpe.learns() {
			at := e.positions[t] * C
			dw := e.wpe.Grad[at+lo : at+hi]
			kernel.Add(dw, dw, dx)
		}
	}
}
