package main

import "math"

// Adam with decoupled weight decay, AdamW   (arXiv:1412.6980, arXiv:1711.05101)
//
//	m ← β₁ m + (1−β₁) g          v ← β₂ v + (1−β₂) g²
//	w ← w − lr · ( m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε) + decay·w )
//
// g is the gradient after clipping; t counts the steps of each tensor for itself, so that a tensor that was frozen
// starts with a bias correction of its own. Decay is for matrices only.

// The constants of Adam that no flag changes, as PyTorch's defaults.
const (
	adamBeta1 = 0.9
	adamEps   = 1e-8
)

// Adam holds the moments of every parameter of one model.
type Adam struct {
	beta2, weightDecay float64

	params []*Param
	state  []moments2 // of params, in their order

	// all weights in pieces, which the threads share out
	pieces  []piece
	squares []float64  // of the gradients of each piece
	steps   []adamStep // of params, in their order
}

// piece is a stretch of one tensor.
type piece struct{ param, lo, hi int }

// adamPiece is the most weights of a piece: few enough that gradients are still in the cache when they are cleared. It is
// fixed, so that the norm does not depend on the threads.
const adamPiece = 1 << 12

// moments2 is what Adam remembers of one tensor: its first and second moment.
type moments2 struct {
	m, v []float32 // [len(W)]; nil until the first step
	t    int       // steps taken
}

func newAdam(params []*Param, beta2, weightDecay float64) *Adam {
	a := &Adam{beta2: beta2, weightDecay: weightDecay, params: params,
		state: make([]moments2, len(params)), steps: make([]adamStep, len(params))}
	for i, p := range params {
		for lo := 0; lo < len(p.W); lo += adamPiece {
			a.pieces = append(a.pieces, piece{i, lo, min(lo+adamPiece, len(p.W))})
		}
	}
	a.squares = make([]float64, len(a.pieces))
	return a
}

// GradNorm is the global L2 norm of the gradients of everything that trains: √Σ g², frozen parameters left out.
func (a *Adam) GradNorm() float64 {
	parallel(len(a.pieces), a, (*Adam).squarePieces)
	var total float64
	for _, squares := range a.squares {
		total += squares
	}
	return math.Sqrt(total)
}

func (a *Adam) squarePieces(lo, hi int) {
	for i, at := range a.pieces[lo:hi] {
		a.squares[lo+i] = 0
		if p := a.params[at.param]; !p.Frozen {
			a.squares[lo+i] = sumSquares(p.Grad[at.lo:at.hi])
		}
	}
}

// Step moves every parameter that is not frozen, its gradient multiplied by gradScale (what clipping asks for), and sets
// the gradient to zero for the next step.
func (a *Adam) Step(lr, gradScale float64) {
	for i, p := range a.params {
		if p.Frozen {
			continue
		}
		s := &a.state[i]
		if s.m == nil {
			s.m, s.v = make([]float32, len(p.W)), make([]float32, len(p.W))
		}
		s.t++
		decay := 0.0
		if p.isMatrix() {
			decay = a.weightDecay
		}
		a.steps[i] = adamStep{
			lr: float32(lr), beta1: adamBeta1, beta2: float32(a.beta2), eps: adamEps, decay: float32(decay),
			correction1: biasCorrection(adamBeta1, s.t),
			correction2: biasCorrection(a.beta2, s.t),
			gradScale:   float32(gradScale),
		}
	}
	parallel(len(a.pieces), a, (*Adam).stepPieces)
}

func (a *Adam) stepPieces(lo, hi int) {
	for _, at := range a.pieces[lo:hi] {
		p, s := a.params[at.param], &a.state[at.param]
		if p.Frozen {
			continue
		}
		g := p.Grad[at.lo:at.hi]
		adamUpdate(p.W[at.lo:at.hi], s.m[at.lo:at.hi], s.v[at.lo:at.hi], g, &a.steps[at.param])
		clear(g)
	}
}

// biasCorrection is 1 − βᵗ for the β that the moments decay by, which is rounded to float32.
func biasCorrection(beta float64, t int) float32 {
	return float32(1 - math.Pow(float64(float32(beta)), float64(t)))
}

// Reset drops the moments of parameter i, which starts afresh with its next step.
func (a *Adam) Reset(i int) { a.state[i] = moments2{} }
