package main

import "math"

// EarlyStop watches the monitored loss. It keeps two things apart: the best loss is the lowest one seen; an epoch counts
// as an improvement only when it is at least minDelta below the best before it.
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

// Observe takes the loss of an epoch. lowest: it is the best so far. exhausted: patience is used up.
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

// NextStage starts counting anew.
func (e *EarlyStop) NextStage() { e.waited = 0 }
