package main

import "math"

// Row operations that more than one layer needs. Each is for one row; the layers cut their rows among the threads.

// softmaxRow turns scores into probabilities in place and returns log Σ exp of the scores:
//
//	p_i = exp(s_i − max) / Σ_j exp(s_j − max)
func softmaxRow(s []float32) (logSum float64) {
	top := maxOf(s)
	total := expSum(s, s, top)
	scale(s, float32(1/total))
	return float64(top) + math.Log(total)
}

// moments returns the mean and the variance of x (divided by len(x), as LayerNorm does), in float64, whose precision is far
// beyond what the difference of the two sums can lose on float32 values.
func moments(x []float32) (mean, variance float64) {
	n := float64(len(x))
	mean = sum(x) / n
	return mean, max(0, sumSquares(x)/n-mean*mean)
}

// resized returns a slice of n floats, in the memory of buf where that is large enough. Its contents are undefined.
func resized(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}

// sumChunk is how many values one partial sum covers: fixed, so that the result does not depend on the threads.
const sumChunk = 1 << 14

// squareSum adds up squares of long slices by all threads.
type squareSum struct {
	x    []float32
	part []float64 // [chunks]
}

// of returns Σ x² in float64, summed in the same order for any number of threads.
func (s *squareSum) of(x []float32) float64 {
	chunks := (len(x) + sumChunk - 1) / sumChunk
	if cap(s.part) < chunks {
		s.part = make([]float64, chunks)
	}
	s.x, s.part = x, s.part[:chunks]
	parallel(chunks, s, (*squareSum).chunks)
	var total float64
	for _, p := range s.part {
		total += p
	}
	return total
}

func (s *squareSum) chunks(lo, hi int) {
	for i := lo; i < hi; i++ {
		s.part[i] = sumSquares(s.x[i*sumChunk : min(len(s.x), (i+1)*sumChunk)])
	}
}

// adder is z = x + y of long slices by all threads.
type adder struct{ z, x, y []float32 }

// add returns z = x + y. z must not be y.
func (a *adder) add(z, x, y []float32) []float32 {
	a.z, a.x, a.y = z, x, y
	parallel(len(z), a, (*adder).span)
	return z
}

func (a *adder) span(lo, hi int) {
	copy(a.z[lo:hi], a.x[lo:hi])
	add(a.z[lo:hi], a.y[lo:hi])
}
