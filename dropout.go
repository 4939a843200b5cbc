package main

// Dropout   (Srivastava et al. 2014): y = x ⊙ mask / (1 − rate), each entry kept with probability 1 − rate.
//
//	dx = dy ⊙ mask / (1 − rate)
//
// The mask is a hash of (key, row, column), so that backward repeats it without having stored it, and no thread or block
// size can change it.

// dropout is one place where activations are dropped. Its zero value drops nothing.
type dropout struct {
	C    int     // columns of a row
	rate float64 // share that is dropped; 0: off
	key  uint64  // of this micro-batch and place

	x, y []float32 // [T, C] the rows at work
	kept []float32 // memory of y in backward
}

// set turns dropping on (rate above 0) for the next forward and backward pass.
func (d *dropout) set(rate float64, key uint64) { d.rate, d.key = rate, key }

// inPlace drops from the rows of x and returns them.
func (d *dropout) inPlace(x []float32) []float32 {
	if d.rate > 0 {
		d.x, d.y = x, x
		parallel(len(x)/d.C, d, (*dropout).rows)
	}
	return x
}

// backward returns the gradient by the rows before dropping; dy is only read.
func (d *dropout) backward(dy []float32) []float32 {
	if d.rate == 0 {
		return dy
	}
	d.kept = resized(d.kept, len(dy))
	d.x, d.y = dy, d.kept
	parallel(len(dy)/d.C, d, (*dropout).rows)
	return d.kept
}

func (d *dropout) rows(lo, hi int) {
	for t := lo; t < hi; t++ {
		d.row(d.y[t*d.C:(t+1)*d.C], d.x[t*d.C:(t+1)*d.C], uint64(t))
	}
}

// row drops from one row: y = x ⊙ mask / (1 − rate). y may be x.
func (d *dropout) row(y, x []float32, t uint64) {
	if d.rate == 0 {
		return
	}
	key := mix(d.key + t)
	limit := uint64(d.rate * (1 << 53))
	keep := float32(1 / (1 - d.rate))
	for i, v := range x {
		if mix(key+uint64(i))>>11 < limit {
			y[i] = 0
		} else {
			y[i] = v * keep
		}
	}
}
