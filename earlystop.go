package main

import "math"

// EarlyStop decides by the loss of every epoch when to stop. The best loss is the lowest so far; an epoch counts as an
// improvement only when its loss is at least minDelta below the best loss before it.
type EarlyStop struct {
	patience int     // epochs without improvement that are allowed; 0: any number
	minDelta float64 // nats

	best      float64 // lowest loss so far
	bestEpoch int
	waited    int // epochs since the last improvement
}

func newEarlyStop(patience int, minDelta float64) *EarlyStop {
	return &EarlyStop{patience: patience, minDelta: minDelta, best: math.Inf(1)}
}

// Observe reports whether the loss of an epoch is the lowest so far, and whether patience is exhausted.
func (e *EarlyStop) Observe(epoch int, loss float64) (lowest, exhausted bool) {
	if loss <= e.best-e.minDelta {
		e.waited = 0
	} else {
		e.waited++
	}
	if loss < e.best {
		e.best, e.bestEpoch, lowest = loss, epoch, true
	}
	return lowest, e.patience > 0 && e.waited >= e.patience
}

// NextStage restarts the count of epochs without improvement.
func (e *EarlyStop) NextStage() { e.waited = 0 }
