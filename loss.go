package main

import "math"

// The loss is the cross-entropy between the target distribution q and softmax(logits), by log-softmax + NLL:
//
//	log p_v = l_v − max − log Σ_u exp(l_u − max)
//	plain    = −log p_target
//	smoothed = −Σ_v q_v log p_v,   q = (1−ε)·onehot(target) + ε/V        (arXiv:1512.00567, section 7)
//
//	∂smoothed/∂l_v = p_v − q_v
//
// The mean is over targets: every target of an optimizer step weighs the same.

// ignored is the target of a position that does not count.
const ignored = -1

// CrossEntropy computes the loss of packed logits and, in their place, its gradient.
type CrossEntropy struct {
	smoothing float64 // ε

	// kept from forward
	targets []int     // [T]
	exps    []float32 // [T, V] the logits' memory, which holds exp(l − max) between forward and backward
	total   []float64 // [T] Σ exp(l − max)

	// results
	plain    []float64 // [T] −log p_target, 0 where ignored
	smoothed []float64 // [T]
	weight   float32   // of one target in the gradient
}

// lossSum is the loss summed over targets, ready to be added to others.
type lossSum struct {
	plain, smoothed float64 // nats, summed
	targets         int
}

func (s *lossSum) add(o lossSum) {
	s.plain += o.plain
	s.smoothed += o.smoothed
	s.targets += o.targets
}

// mean is the plain loss a target, in nats. Without a target it is NaN.
func (s *lossSum) mean() float64 { return s.plain / float64(s.targets) }

// Forward returns the loss summed over the targets that count. It overwrites the logits [T, V], T = len(targets).
func (ce *CrossEntropy) Forward(logits []float32, targets []int) lossSum {
	T := len(targets)
	ce.targets, ce.exps = targets, logits
	if cap(ce.total) < T {
		ce.total, ce.plain, ce.smoothed = make([]float64, T), make([]float64, T), make([]float64, T)
	}
	ce.total, ce.plain, ce.smoothed = ce.total[:T], ce.plain[:T], ce.smoothed[:T]
	parallel(T, ce, (*CrossEntropy).forwardRows)
	var s lossSum
	for t, target := range targets {
		if target != ignored {
			s.add(lossSum{ce.plain[t], ce.smoothed[t], 1})
		}
	}
	return s
}

func (ce *CrossEntropy) forwardRows(lo, hi int) {
	V := len(ce.exps) / len(ce.targets)
	for t := lo; t < hi; t++ {
		target := ce.targets[t]
		if target == ignored {
			continue
		}
		l := ce.exps[t*V : (t+1)*V]
		chosen, mean := float64(l[target]), 0.0
		if ce.smoothing > 0 {
			mean = sum(l) / float64(V)
		}
		top := maxOf(l)
		ce.total[t] = expSum(l, l, 1, top)
		logSum := float64(top) + math.Log(ce.total[t])
		ce.plain[t] = logSum - chosen
		ce.smoothed[t] = logSum - (1-ce.smoothing)*chosen - ce.smoothing*mean
	}
}

// gradNorm returns ‖d(Σ smoothed)/d(logits)‖ = √Σ_tv (p_v − q_v)², after Forward and before Backward.
func (ce *CrossEntropy) gradNorm() float64 {
	V := len(ce.exps) / len(ce.targets)
	uniform := ce.smoothing / float64(V)
	var squares float64
	for t, target := range ce.targets {
		if target == ignored {
			continue
		}
		for v, e := range ce.exps[t*V : (t+1)*V] {
			d := float64(e)/ce.total[t] - uniform
			if v == target {
				d -= 1 - ce.smoothing
			}
			squares += d * d
		}
	}
	return math.Sqrt(squares)
}

// Backward returns d(Σ smoothed · weight)/d(logits) [T, V], in the memory of the logits given to Forward.
// With weight = 1 / targets of the optimizer step, gradients of micro-batches add up to that of the mean loss.
func (ce *CrossEntropy) Backward(weight float64) []float32 {
	ce.weight = float32(weight)
	parallel(len(ce.targets), ce, (*CrossEntropy).backwardRows)
	return ce.exps
}

func (ce *CrossEntropy) backwardRows(lo, hi int) {
	V := len(ce.exps) / len(ce.targets)
	uniform := float32(ce.smoothing/float64(V)) * ce.weight
	for t := lo; t < hi; t++ {
		dl := ce.exps[t*V : (t+1)*V]
		target := ce.targets[t]
		if target == ignored {
			clear(dl)
			continue
		}
		scale(dl, float32(float64(ce.weight)/ce.total[t]))
		if uniform > 0 {
			for v := range dl {
				dl[v] -= uniform
			}
		}
		dl[target] -= float32(1-ce.smoothing) * ce.weight
	}
}
