package main

import "math"

// Row operations that more than one layer needs. Each is for one row; the layers cut their rows among the threads.

// softmaxRow turns factor · scores, factor > 0, into probabilities in place and returns log Σ exp of factor · scores:
//
//	p_i = exp(factor·(s_i − max)) / Σ_j exp(factor·(s_j − max))
func softmaxRow(s []float32, factor float32) (logSum float64) {
	top := factor * maxOf(s)
	total := expSum(s, s, factor, top)
	scale(s, float32(1/total))
	return float64(top) + math.Log(total)
}

// moments returns the mean and the variance of x (divided by len(x), as LayerNorm does), in float64, whose precision is far
// beyond what the difference of the two sums can lose on float32 values.
func moments(x []float32) (mean, variance float64) {
	n := float64(len(x))
	s, squares := sums(x)
	mean = s / n
	return mean, max(0, squares/n-mean*mean)
}

// resized returns a slice of n floats, in the memory of buf where that is large enough. Its contents are undefined.
func resized(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}

// adder is z = x + y of long slices by all threads.
type adder struct{ z, x, y []float32 }

// add returns z = x + y.
func (a *adder) add(z, x, y []float32) []float32 {
	a.z, a.x, a.y = z, x, y
	parallel((len(z)+addChunk-1)/addChunk, a, (*adder).chunks)
	return z
}

// addChunk is the least that is worth a thread of its own.
const addChunk = 1 << 12

func (a *adder) chunks(lo, hi int) {
	lo, hi = lo*addChunk, min(hi*addChunk, len(a.z))
	add(a.z[lo:hi], a.x[lo:hi], a.y[lo:hi])
}
