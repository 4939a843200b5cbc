package main

import (
	"math"

	"gogpt/internal/kernel"
)

// The loss of a token is the cross-entropy between the target distribution q and p = softmax(l), where l is its row of
// logits. u and v run over the vocabulary, max is the largest logit, ε the label smoothing:
//
//	log p_v = l_v − max − log Σ_u exp(l_u − max)
//	plain    = −log p_target
//	smoothed = −Σ_v q_v log p_v,   q = (1−ε)·onehot(target) + ε/vocab        (arXiv:1512.00567, section 7)
//
//	∂smoothed/∂l_v = p_v − q_v
//
// Sums and means are over targets, not over samples: every target of an optimizer step has the same weight.

// CrossEntropy computes the loss of packed logits and, in their place, its gradient.
type CrossEntropy struct {
	smoothing float64 // ε

	// kept from forward
	targets []int     // [T] borrowed
	exps    []float32 // [T, vocab] exp(l − max), in the memory of the logits, borrowed
	total   []float64 // [T] Σ exp(l − max)

	// results
	plain    []float64 // [T] −log p_target, 0 where ignored
	smoothed []float64 // [T] undefined where ignored
	weight   float32   // of one target in the gradient
}

// lossSum is the loss summed over targets. Sums can be added; their mean comes last.
type lossSum struct {
	plain, smoothed float64 // nats
	targets         int
}

func (s *lossSum) add(other lossSum) {
	s.plain += other.plain
	s.smoothed += other.smoothed
	s.targets += other.targets
}

// mean returns the plain loss per target, in nats. Without targets it returns NaN.
func (s *lossSum) mean() float64 { return s.plain / float64(s.targets) }

// Forward returns the loss summed over the targets that count. It overwrites the logits [T, vocab], T = len(targets).
func (ce *CrossEntropy) Forward(logits []float32, targets []int) lossSum {
	T := len(targets)
	ce.targets, ce.exps = targets, logits
	ce.total = kernel.Resized(ce.total, T)
	ce.plain, ce.smoothed = kernel.Resized(ce.plain, T), kernel.Resized(ce.smoothed, T)
	kernel.Parallel(T, ce, (*CrossEntropy).forwardRows)
	var s lossSum
	for t, target := range targets {
		if target != ignored {
			s.add(lossSum{ce.plain[t], ce.smoothed[t], 1})
		}
	}
	return s
}

func (ce *CrossEntropy) forwardRows(lo, hi int) {
	vocab := len(ce.exps) / len(ce.targets)
	for t := lo; t < hi; t++ {
		target := ce.targets[t]
		if target == ignored {
			continue
		}
		l := ce.exps[t*vocab : (t+1)*vocab]
		chosen, mean := float64(l[target]), 0.0
		if ce.smoothing > 0 {
			mean = kernel.Sum(l) / float64(vocab)
		}
		top := kernel.Max(l)
		ce.total[t] = kernel.ExpSum(l, l, 1, top)
		logSum := float64(top) + math.Log(ce.total[t])
		ce.plain[t] = logSum - chosen
		ce.smoothed[t] = logSum - (1-ce.smoothing)*chosen - ce.smoothing*mean
	}
}

// Backward returns d(Σ smoothed · weight)/d(logits) [T, vocab], in the memory of the logits given to Forward.
// With weight = 1 / targets of the optimizer step, gradients of micro-batches add up to that of the mean loss.
func (ce *CrossEntropy) Backward(weight float64) []float32 {
	ce.weight = float32(weight)
	kernel.Parallel(len(ce.targets), ce, (*CrossEntropy).backwardRows)
	return ce.exps
}

func (ce *CrossEntropy) backwardRows(lo, hi int) {
	vocab := len(ce.exps) / len(ce.targets)
	uniform := float32(ce.smoothing/float64(vocab)) * ce.weight
	for t := lo; t < hi; t++ {
		dl := ce.exps[t*vocab : (t+1)*vocab] // exp(l − max) at first
		target := ce.targets[t]
		if target == ignored {
			clear(dl)
			continue
		}
		// forward: smoothed = −Σ_v q_v log p_v, p = exp(l − max)/total;   backward: dl = weight·(p − q)
		kernel.Scale(dl, float32(float64(ce.weight)/ce.total[t]))
		if uniform > 0 {
			for v := range dl {
				dl[v] -= uniform
			}
		}
		dl[target] -= float32(1-ce.smoothing) * ce.weight
	}
}

// gradNorm returns ‖d(Σ smoothed)/d(logits)‖ = √Σ_tv (p_v − q_v)², after Forward and before Backward.
func (ce *CrossEntropy) gradNorm() float64 {
	vocab := len(ce.exps) / len(ce.targets)
	uniform := ce.smoothing / float64(vocab)
	var squares float64
	for t, target := range ce.targets {
		if target == ignored {
			continue
		}
		for v, e := range ce.exps[t*vocab : (t+1)*vocab] {
			d := float64(e)/ce.total[t] - uniform
			if v == target {
				d -= 1 - ce.smoothing
			}
			squares += d * d
		}
	}
	return math.Sqrt(squares)
}
