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

	squares squareSum
	task    adamTask
}

// moments2 is what Adam remembers of one tensor: its first and second moment.
type moments2 struct {
	m, v []float32 // [len(W)]; nil until the first step
	t    int       // steps taken
}

func newAdam(params []*Param, beta2, weightDecay float64) *Adam {
	return &Adam{beta2: beta2, weightDecay: weightDecay, params: params, state: make([]moments2, len(params))}
}

// GradNorm is the global L2 norm of the gradients of everything that trains: √Σ g², frozen parameters left out.
func (a *Adam) GradNorm() float64 {
	var total float64
	for _, p := range a.params {
		if !p.Frozen {
			total += a.squares.of(p.Grad)
		}
	}
	return math.Sqrt(total)
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
		a.task = adamTask{p: p, s: s, step: adamStep{
			lr: float32(lr), beta1: adamBeta1, beta2: float32(a.beta2), eps: adamEps, decay: float32(decay),
			correction1: biasCorrection(adamBeta1, s.t),
			correction2: biasCorrection(a.beta2, s.t),
			gradScale:   float32(gradScale),
		}}
		parallel(len(p.W), &a.task, (*adamTask).span)
	}
}

// biasCorrection is 1 − βᵗ for the β that the moments decay by, which is rounded to float32.
func biasCorrection(beta float64, t int) float32 {
	return float32(1 - math.Pow(float64(float32(beta)), float64(t)))
}

// Reset drops the moments of parameter i, which starts afresh with its next step.
func (a *Adam) Reset(i int) { a.state[i] = moments2{} }

// adamTask is the update of one tensor, cut among the threads.
type adamTask struct {
	p    *Param
	s    *moments2
	step adamStep
}

// adamChunk is how many weights are updated before their gradients are cleared: few enough to be in the cache still.
const adamChunk = 1 << 11

func (t *adamTask) span(lo, hi int) {
	for ; lo < hi; lo += adamChunk {
		end := min(lo+adamChunk, hi)
		g := t.p.Grad[lo:end]
		adamUpdate(t.p.W[lo:end], t.s.m[lo:end], t.s.v[lo:end], g, &t.step)
		clear(g)
	}
}
