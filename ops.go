package main

import (
	"math"

	"gogpt/internal/kernel"
)

// Operations that several layers share. softmaxRow and moments work on one row; the layers that call them divide their
// rows among the threads.

// softmaxRow replaces the scores s by the probabilities p, in place, and returns log Σ_j exp(factor·s_j); factor > 0.
//
//	p_i = exp(factor·(s_i − max)) / Σ_j exp(factor·(s_j − max))
func softmaxRow(s []float32, factor float32) (logSum float64) {
	top := factor * kernel.Max(s)
	total := kernel.ExpSum(s, s, factor, top)
	kernel.Scale(s, float32(1/total))
	return float64(top) + math.Log(total)
}

// moments returns the mean and the variance of x (divided by len(x), as LayerNorm does). The difference of the two
// sums loses digits, but float64 has more than twice as many as the float32 values.
func moments(x []float32) (mean, variance float64) {
	n := float64(len(x))
	s, squares := kernel.Sums(x)
	mean = s / n
	return mean, max(0, squares/n-mean*mean)
}

// adder adds long slices with all threads. It keeps its operands in fields, because kernel.Parallel takes a receiver.
type adder struct{ z, x, y []float32 }

// add computes z = x + y and returns z, which may be x or y.
func (a *adder) add(z, x, y []float32) []float32 {
	a.z, a.x, a.y = z, x, y
	kernel.Parallel((len(z)+addChunk-1)/addChunk, a, (*adder).chunks)
	return z
}

// addChunk is the number of additions that one thread makes in less time than another one needs to start.
const addChunk = 1 << 12

func (a *adder) chunks(lo, hi int) {
	lo, hi = lo*addChunk, min(hi*addChunk, len(a.z))
	kernel.Add(a.z[lo:hi], a.x[lo:hi], a.y[lo:hi])
}
