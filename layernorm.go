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
	if !ln.gain.Frozen {
		parallel(ln.C, ln, (*LayerNorm).gainGrad)
	}
	if !ln.bias.Frozen {
		parallel(ln.C, ln, (*LayerNorm).biasGrad)
	}
	return ln.dx
}

func (ln *LayerNorm) backwardRows(lo, hi int) {
	C, gain := ln.C, ln.gain.W
	for t := lo; t < hi; t++ {
		x, dy, dx := ln.x[t*C:(t+1)*C], ln.dy[t*C:(t+1)*C], ln.dx[t*C:(t+1)*C]
		mean, rstd := ln.mean[t], ln.rstd[t]
		// forward: x̂ = (x−mean)·rstd, y = gain·x̂ + bias
		var sumG, sumGX float64
		for c, dyc := range dy {
			g := float64(gain[c] * dyc)
			sumG += g
			sumGX += g * (float64(x[c]) - mean) * rstd
		}
		meanG, meanGX := sumG/float64(C), sumGX/float64(C)
		for c, dyc := range dy {
			g := float64(gain[c] * dyc)
			dx[c] = float32(rstd * (g - meanG - (float64(x[c])-mean)*rstd*meanGX))
		}
	}
}

// gainGrad adds up columns lo … hi of dy · x̂ over all rows, in the order of the rows.
func (ln *LayerNorm) gainGrad(lo, hi int) {
	C, dgain := ln.C, ln.gain.Grad
	for t, mean := range ln.mean {
		x, dy := ln.x[t*C:(t+1)*C], ln.dy[t*C:(t+1)*C]
		mean, rstd := float32(mean), float32(ln.rstd[t])
		for c := lo; c < hi; c++ {
			dgain[c] += dy[c] * (x[c] - mean) * rstd
		}
	}
}

// biasGrad adds up columns lo … hi of dy over all rows, in the order of the rows.
func (ln *LayerNorm) biasGrad(lo, hi int) {
	for t := 0; t < len(ln.dy); t += ln.C {
		add(ln.bias.Grad[lo:hi], ln.dy[t+lo:t+hi])
	}
}
