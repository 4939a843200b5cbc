package main

import "math"

// LayerNorm   (arXiv:1607.06450, section 3)
//
//	x̂ = (x − mean) · rstd,   rstd = 1/√(variance + ε)
//	y = gain · x̂ + bias
//
//	dgain = Σ_t dy · x̂        dbias = Σ_t dy
//	g = gain · dy             dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))

const lnEps = 1e-5 // as GPT-2

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

// newLayerNorm starts as the identity of normalized rows: gain 1, bias 0.
func newLayerNorm(name string, C int) *LayerNorm {
	return &LayerNorm{C: C, gain: newParam(name+".weight", C).constant(1), bias: newParam(name+".bias", C)}
}

func (ln *LayerNorm) params() []*Param { return []*Param{ln.gain, ln.bias} }

// Forward returns y [T, C]. x is kept until Backward.
func (ln *LayerNorm) Forward(x []float32) []float32 {
	T := len(x) / ln.C
	ln.x, ln.y = x, resized(ln.y, len(x))
	if cap(ln.mean) < T {
		ln.mean, ln.rstd = make([]float64, T), make([]float64, T)
	}
	ln.mean, ln.rstd = ln.mean[:T], ln.rstd[:T]
	parallel(T, ln, (*LayerNorm).forwardRows)
	return ln.y
}

func (ln *LayerNorm) forwardRows(lo, hi int) {
	C := ln.C
	for t := lo; t < hi; t++ {
		x := ln.x[t*C : (t+1)*C]
		mean, variance := moments(x)
		rstd := 1 / math.Sqrt(variance+lnEps)
		normalizeRow(ln.y[t*C:(t+1)*C], x, float32(mean), float32(rstd), ln.gain.W, ln.bias.W)
		ln.mean[t], ln.rstd[t] = mean, rstd
	}
}

// Backward returns dx [T, C] and adds to the gradients of gain and bias. dy is only read.
func (ln *LayerNorm) Backward(dy []float32) []float32 {
	ln.dy, ln.dx = dy, resized(ln.dx, len(dy))
	parallel(len(ln.mean), ln, (*LayerNorm).backwardRows)
	parallel(ln.C, ln, (*LayerNorm).paramGrads)
	return ln.dx
}

func (ln *LayerNorm) backwardRows(lo, hi int) {
	C := ln.C
	for t := lo; t < hi; t++ {
		x, dy := ln.x[t*C:(t+1)*C], ln.dy[t*C:(t+1)*C]
		mean, rstd := ln.mean[t], ln.rstd[t]
		// forward: x̂ = (x−mean)·rstd, y = gain·x̂ + bias
		sumG, sumGX := normBackwardSums(dy, ln.gain.W, x)
		meanG, meanGX := sumG/float64(C), (sumGX-mean*sumG)*rstd/float64(C) // of g and of g·x̂
		normBackwardRow(ln.dx[t*C:(t+1)*C], dy, ln.gain.W, x, float32(mean),
			float32(rstd), float32(-rstd*meanG), float32(-rstd*rstd*meanGX))
	}
}

// paramGrads adds up columns lo … hi of dy · x̂ and of dy over all rows, in the order of the rows.
func (ln *LayerNorm) paramGrads(lo, hi int) {
	dgain, dbias := ln.gain.Grad[lo:hi], ln.bias.Grad[lo:hi]
	for t, mean := range ln.mean {
		x, dy := ln.x[t*ln.C+lo:t*ln.C+hi], ln.dy[t*ln.C+lo:t*ln.C+hi]
		if !ln.gain.Frozen {
			normGainGrad(dgain, dy, x, float32(mean), float32(ln.rstd[t]))
		}
		if !ln.bias.Frozen {
			add(dbias, dbias, dy)
		}
	}
}
