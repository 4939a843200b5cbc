package main

import "fmt"

// The reasons why a run ends.
const (
	endCompleted   = "completed"
	endEarlyStop   = "early_stop"
	endMaxSteps    = "max_steps"
	endInterrupted = "interrupted"
	endDiverged    = "diverged"
	endFailed      = "failed" // something around the training, such as its log, did
)

// divergence is a run that stopped because a number was no longer finite.
type divergence struct {
	phase string
	step  int // from 1
	what  string
	fault string // the first tensor that is not finite
}

func (d *divergence) Error() string {
	return fmt.Sprintf("diverged: %s at step %d of %s; first at fault: %s; the weights are back at the best epoch before", d.what, d.step, d.phase, d.fault)
}
