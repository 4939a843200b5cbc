package main

import (
	"math"

	"gogpt/internal/kernel"
)

// LayerNorm   (arXiv:1607.06450, section 3). mean, variance and mean(·) are over the channels of a row, Σ_t over rows.
//
//	x̂ = (x − mean) · rstd,   rstd = 1/√(variance + ε)
//	y = gain · x̂ + bias
//
//	dgain = Σ_t dy · x̂        dbias = Σ_t dy
//	g = gain · dy             dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))

const lnEps = 1e-5 // ε, as GPT-2

// LayerNorm normalizes every row of x [T, C].
type LayerNorm struct {
	C int // channels

	gain, bias *Param // [C]

	// kept from forward
	x    []float32 // [T, C] borrowed
	mean []float64 // [T]
	rstd []float64 // [T]

	// results and scratch
	y, dx []float32 // [T, C]
	dy    []float32 // [T, C] borrowed
}

// newLayerNorm starts with gain 1 and bias 0.
func newLayerNorm(name string, C int) *LayerNorm {
	ln := &LayerNorm{C: C, gain: newParam(name+".weight", C).constant(1), bias: newParam(name+".bias", C)}
	setPart(PartLayerNorm, ln.params())
	return ln
}

func (ln *LayerNorm) params() []*Param { return []*Param{ln.gain, ln.bias} }

// Forward returns y [T, C]. x is kept until Backward.
func (ln *LayerNorm) Forward(x []float32) []float32 {
	T := len(x) / ln.C
	ln.x, ln.y = x, kernel.Resized(ln.y, len(x))
	ln.mean, ln.rstd = kernel.Resized(ln.mean, T), kernel.Resized(ln.rstd, T)
	kernel.Parallel(T, ln, (*LayerNorm).forwardRows)
	return ln.y
}

func (ln *LayerNorm) forwardRows(lo, hi int) {
	C := ln.C
	for t := lo; t < hi; t++ {
		x := ln.x[t*C : (t+1)*C]
		mean, variance := moments(x)
		rstd := 1 / math.Sqrt(variance+lnEps)
		kernel.NormalizeRow(ln.y[t*C:(t+1)*C], x, float32(mean), float32(rstd), ln.gain.W, ln.bias.W)
		ln.mean[t], ln.rstd[t] = mean, rstd
	}
}

// Backward returns dx [T, C] and adds to the gradients of gain and bias. dy is only read.
func (ln *LayerNorm) Backward(dy []float32) []float32 {
	ln.dy, ln.dx = dy, kernel.Resized(ln.dx, len(dy))
	kernel.Parallel(len(ln.mean), ln, (*LayerNorm).backwardRows)
	kernel.Parallel(ln.C, ln, (*LayerNorm).paramGrads)
	return ln.dx
}

func (ln *LayerNorm) backwardRows(lo, hi int) {
	C := ln.C
	for t := lo; t < hi; t++ {
		x, dy := ln.x[t*C:(t+1)*C], ln.dy[t*C:(t+1)*C]
		mean, rstd := ln.mean[t], ln.rstd[t]
		// forward: x̂ = (x − mean)·rstd, y = gain·x̂ + bias
		sumG, sumGX := kernel.NormBackwardSums(dy, ln.gain.W, x)
		meanG, meanGX := sumG/float64(C), (sumGX-mean*sumG)*rstd/float64(C) // of g and of g·x̂
		kernel.NormBackwardRow(ln.dx[t*C:(t+1)*C], dy, ln.gain.W, x, float32(mean),
			float32(rstd), float32(-rstd*meanG), float32(-rstd*rstd*meanGX))
	}
}

// paramGrads adds columns lo … hi of dy · x̂ and of dy to dgain and dbias, row after row.
func (ln *LayerNorm) paramGrads(lo, hi int) {
	dgain, dbias := ln.gain.Grad[lo:hi], ln.bias.Grad[lo:hi]
	for t, mean := range ln.mean {
		x, dy := ln.x[t*ln.C+lo:t*ln.C+hi], ln.dy[t*ln.C+lo:t*ln.C+hi]
		// forward: y = gain·(x − mean)·rstd + bias
		if ln.gain.learns() {
			kernel.NormGainGrad(dgain, dy, x, float32(mean), float32(ln.rstd[t]))
		}
		if ln.bias.learns() {
			kernel.Add(dbias, dbias, dy)
		}
	}
}
