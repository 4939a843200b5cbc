package main

import "gogpt/internal/kernel"

// Dropout   (Srivastava et al. 2014)
//
//	y = x ⊙ mask / (1 − rate),   an entry of the mask is 1 with probability 1 − rate, else 0
//
//	dx = dy ⊙ mask / (1 − rate)
//
// The mask is a hash of (key, row, column). So backward computes it again instead of storing it, and it does not depend
// on the number of threads.

// dropout drops activations at one place of the model. Its zero value drops nothing.
type dropout struct {
	C    int     // channels; not set in attention, which calls row alone
	rate float64 // share of entries to drop; 0: off
	key  uint64  // of this place and micro-batch

	x, y []float32 // [T, C] borrowed: what rows reads and what it writes
	dx   []float32 // [T, C] scratch
}

// set chooses the rate and the masks of the passes that follow.
func (d *dropout) set(rate float64, key uint64) { d.rate, d.key = rate, key }

// inPlace is the forward pass. It overwrites x [T, C] with y and returns it.
func (d *dropout) inPlace(x []float32) []float32 {
	if d.rate > 0 {
		d.x, d.y = x, x
		kernel.Parallel(len(x)/d.C, d, (*dropout).rows)
	}
	return x
}

// backward returns dx [T, C]. dy [T, C] is only read.
func (d *dropout) backward(dy []float32) []float32 {
	if d.rate == 0 {
		return dy
	}
	// forward: y = x ⊙ mask / (1 − rate)
	d.dx = kernel.Resized(d.dx, len(dy))
	d.x, d.y = dy, d.dx
	kernel.Parallel(len(dy)/d.C, d, (*dropout).rows)
	return d.dx
}

func (d *dropout) rows(lo, hi int) {
	for t := lo; t < hi; t++ {
		d.row(d.y[t*d.C:(t+1)*d.C], d.x[t*d.C:(t+1)*d.C], uint64(t))
	}
}

// row computes row t: y = x ⊙ mask / (1 − rate). y may be x.
func (d *dropout) row(y, x []float32, t uint64) {
	if d.rate == 0 {
		return
	}
	key := mix(d.key + t)
	limit := uint64(d.rate * (1 << 53)) // the upper 53 bits of a hash are below limit with probability rate
	scale := float32(1 / (1 - d.rate))
	for i, v := range x {
		if mix(key+uint64(i))>>11 < limit {
			y[i] = 0
		} else {
			y[i] = v * scale
		}
	}
}
