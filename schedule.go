package main

import "math"

// The learning rate falls along a cosine, once or, with warm restarts, several times   (arXiv:1608.03983, section 3)
//
//	lr(s) = min + (peak − min)/2 · (1 + cos(π·p)),   p in [0, 1) the position in the cycle
//
// after a warm-up, in which it rises linearly to the peak. It depends on the step s alone.

// Schedule is the learning rate of one phase.
type Schedule struct {
	peak, min float64 // learning rates
	planned   int     // optimizer steps of the phase, warm-up included
	warmup    int     // steps of linear rise before the first cycle
	restarts  int     // cycles beyond the first
}

// At returns the learning rate of a step, counted from 0. After the planned steps it stays at the minimum.
func (s Schedule) At(step int) float64 {
	if step < s.warmup {
		return s.peak * float64(step+1) / float64(s.warmup)
	}
	annealed := step - s.warmup
	length := s.planned - s.warmup
	if annealed >= length {
		return s.min
	}
	cycles := s.restarts + 1
	p := float64(annealed*cycles%length) / float64(length) // the fraction of cycles·annealed/length
	return s.min + (s.peak-s.min)/2*(1+math.Cos(math.Pi*p))
}

// shareStart returns the first epoch of share i, from 0, when the epochs are divided into n equal shares.
func shareStart(i, n, epochs int) int { return (i*epochs + n - 1) / n }
