package main

import (
	"math/rand/v2"

	"gogpt/internal/kernel"
)

// A linear map of every row, in the layout of Hugging Face's Conv1D: W is [in, out].
//
//	y = x·W + b
//
//	dx = dy·Wᵀ        dW = xᵀ·dy        db = Σ_t dy

// Linear maps every row of in channels to a row of out channels.
type Linear struct {
	in, out int

	weight, bias *Param // [in, out], [out]

	x []float32 // [T, in] kept from forward, borrowed

	// results and scratch
	y  []float32 // [T, out]
	dx []float32 // [T, in]
	dy []float32 // [T, out] borrowed
}

// newLinear draws weights with standard deviation std; the biases are 0.
func newLinear(name string, in, out int, std float64, rng *rand.Rand) *Linear {
	return &Linear{in: in, out: out,
		weight: newParam(name+".weight", in, out).normal(std, rng),
		bias:   newParam(name+".bias", out)}
}

func (l *Linear) params() []*Param { return []*Param{l.weight, l.bias} }

// Forward returns y [T, out]. x [T, in] is kept until Backward.
func (l *Linear) Forward(x []float32) []float32 {
	T := len(x) / l.in
	l.x, l.y = x, kernel.Resized(l.y, T*l.out)
	kernel.MatMulBias(kernel.RowMajor(l.y, T, l.out), kernel.RowMajor(x, T, l.in), l.weight.matrix(), l.bias.W)
	return l.y
}

// Backward returns dx [T, in] and adds to the gradients of weight and bias. dy [T, out] is only read.
func (l *Linear) Backward(dy []float32) []float32 {
	T := len(dy) / l.out
	l.dy, l.dx = dy, kernel.Resized(l.dx, T*l.in)
	dyRows := kernel.RowMajor(dy, T, l.out)
	// forward: y = x·W + b
	if l.weight.learns() {
		kernel.MatMulAdd(l.weight.gradMatrix(), kernel.RowMajor(l.x, T, l.in).T(), dyRows)
	}
	if l.bias.learns() {
		kernel.Parallel(l.out, l, (*Linear).biasGrad)
	}
	kernel.MatMul(kernel.RowMajor(l.dx, T, l.in), dyRows, l.weight.matrix().T())
	return l.dx
}

// biasGrad adds columns lo … hi of all rows of dy to db.
func (l *Linear) biasGrad(lo, hi int) {
	db := l.bias.Grad[lo:hi]
	for t := 0; t < len(l.dy); t += l.out {
		kernel.Add(db, db, l.dy[t+lo:t+hi])
	}
}
