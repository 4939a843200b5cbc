package main

import "math"

// EarlyStop decides by the loss of every epoch when to stop. An epoch improves when its loss is lower than the
// reference, the loss of the last epoch that improved, by at least minDelta. So small gains add up until they count.
// The best loss, whose weights are kept, is simply the lowest.
type EarlyStop struct {
	patience int     // epochs without improvement that are allowed; 0: any number
	minDelta float64 // nats

	reference float64 // loss of the last epoch that improved
	waited    int     // epochs since then
	best      float64 // lowest loss so far
}

func newEarlyStop(patience int, minDelta float64) *EarlyStop {
	return &EarlyStop{patience: patience, minDelta: minDelta, reference: math.Inf(1), best: math.Inf(1)}
}

// Observe reports whether the loss of an epoch is the lowest so far, and whether patience is exhausted.
func (e *EarlyStop) Observe(loss float64) (lowest, exhausted bool) {
	if loss < e.reference && loss <= e.reference-e.minDelta {
		e.reference, e.waited = loss, 0
	} else {
		e.waited++
	}
	if loss < e.best {
		e.best, lowest = loss, true
	}
	return lowest, e.patience > 0 && e.waited >= e.patience
}

// NextStage begins the count anew: the first epoch of the stage improves, whatever its loss.
func (e *EarlyStop) NextStage() { e.reference = math.Inf(1) }
