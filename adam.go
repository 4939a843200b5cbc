package main

import (
	"math"

	"gogpt/internal/kernel"
)

// Adam with decoupled weight decay, AdamW   (arXiv:1412.6980, arXiv:1711.05101)
//
//	m ← β₁ m + (1−β₁) g          v ← β₂ v + (1−β₂) g²
//	w ← w − lr · ( m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε) + decay·w )
//
// g is the gradient after clipping. t counts the steps of each tensor, so that the bias correction of a tensor that
// was frozen starts with its first own step. m and v, the moments, are running means of g and g². Weight decay is for
// matrices only.

// The constants of Adam that no flag changes, as PyTorch's defaults.
const (
	adamBeta1 = 0.9
	adamEps   = 1e-8
)

// Adam holds the moments of every parameter of one model.
type Adam struct {
	beta2, weightDecay float64
	releaseWarmup      int // steps over which the learning rate of a released tensor rises; 0: none

	params []*Param      // of the model, in its order
	state  []adamMoments // [len(params)]

	// scratch; the chunks are all weights, and each thread works on some of them
	chunks  []chunk           // in the order of params
	squares []float64         // [len(chunks)] Σ g²
	steps   []kernel.AdamStep // [len(params)]
}

// chunk is weights lo … hi of the parameter with index param.
type chunk struct{ param, lo, hi int }

// adamChunk is the largest number of weights in a chunk: so few that their gradients are still in the processor's cache
// when they are cleared. It is a constant, so that the norm does not depend on the number of threads.
const adamChunk = 1 << 12

// adamMoments are the first and second moment of one tensor.
type adamMoments struct {
	m, v []float32 // [len(W)]; nil until the first step
	t    int       // steps taken

	released bool // by a plan that had frozen the tensor
}

func newAdam(params []*Param, beta2, weightDecay float64) *Adam {
	a := &Adam{beta2: beta2, weightDecay: weightDecay, params: params,
		state: make([]adamMoments, len(params)), steps: make([]kernel.AdamStep, len(params))}
	for i, p := range params {
		for lo := 0; lo < len(p.W); lo += adamChunk {
			a.chunks = append(a.chunks, chunk{i, lo, min(lo+adamChunk, len(p.W))})
		}
	}
	a.squares = make([]float64, len(a.chunks))
	return a
}

// GradNorm returns √Σ g² over the gradients of all parameters that are not frozen.
func (a *Adam) GradNorm() float64 {
	kernel.Parallel(len(a.chunks), a, (*Adam).squareChunks)
	var total float64
	for _, squares := range a.squares {
		total += squares
	}
	return math.Sqrt(total)
}

func (a *Adam) squareChunks(lo, hi int) {
	for i, c := range a.chunks[lo:hi] {
		a.squares[lo+i] = 0
		if p := a.params[c.param]; p.learns() {
			a.squares[lo+i] = kernel.SumSquares(p.Grad[c.lo:c.hi])
		}
	}
}

// Step updates every parameter that is not frozen, with its gradient multiplied by gradScale (the factor of
// clipping), and sets the gradient to zero for the next step.
func (a *Adam) Step(lr, gradScale float64) {
	for i, p := range a.params {
		if !p.learns() {
			continue
		}
		s := &a.state[i]
		if s.m == nil {
			s.m, s.v = make([]float32, len(p.W)), make([]float32, len(p.W))
		}
		s.t++
		rate, decay := lr, 0.0
		if s.released && s.t < a.releaseWarmup {
			rate *= float64(s.t) / float64(a.releaseWarmup)
		}
		if p.isMatrix() {
			decay = a.weightDecay
		}
		a.steps[i] = kernel.AdamStep{
			LR: float32(rate), Beta1: adamBeta1, Beta2: float32(a.beta2), Eps: adamEps, Decay: float32(decay),
			Correction1: biasCorrection(adamBeta1, s.t),
			Correction2: biasCorrection(a.beta2, s.t),
			GradScale:   float32(gradScale),
		}
	}
	kernel.Parallel(len(a.chunks), a, (*Adam).stepChunks)
}

func (a *Adam) stepChunks(lo, hi int) {
	for _, c := range a.chunks[lo:hi] {
		p, s := a.params[c.param], &a.state[c.param]
		if !p.learns() {
			continue
		}
		g := p.Grad[c.lo:c.hi]
		kernel.AdamUpdate(p.W[c.lo:c.hi], s.m[c.lo:c.hi], s.v[c.lo:c.hi], g, &a.steps[c.param])
		clear(g)
	}
}

// biasCorrection returns 1 − βᵗ, with β rounded to float32 as in AdamUpdate.
func biasCorrection(beta float64, t int) float32 {
	return float32(1 - math.Pow(float64(float32(beta)), float64(t)))
}

// Release prepares parameter i, which was frozen, to learn: with moments and a step count of 0.
func (a *Adam) Release(i int) { a.state[i] = adamMoments{released: true} }
