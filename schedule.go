package main

import (
	"fmt"
	"math"
	"strings"
)

// The learning rate is cosine annealing, with warm restarts where asked for   (arXiv:1608.03983, η of section 3)
//
//	lr(s) = min + (peak − min)/2 · (1 + cos(π·p)),   p in [0, 1) the position in the cycle
//
// after a linear warm-up. Everything in this file is a pure function of the step or of the place in the plan.

// Schedule is the learning rate of one phase.
type Schedule struct {
	peak, min float64 // learning rates
	planned   int     // optimizer steps of the phase, warm-up included
	warmup    int     // steps of linear rise before the first cycle
	restarts  int     // cycles beyond the first
}

// At is the learning rate of step s, counted from 0. Past the plan it stays at the minimum.
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
	p := float64(annealed*cycles%length) / float64(length)
	return s.min + (s.peak-s.min)/2*(1+math.Cos(math.Pi*p))
}

// stage is a stretch of a phase's plan in which nothing changes but the learning rate.
type stage struct {
	from   int               // first place of the plan, in epochs from 0
	accum  int               // micro-batches a step
	frozen func(*Param) bool // what rests
}

// releases lists the parameters that are frozen and learn in the stage.
func (s stage) releases(params []*Param) []string {
	var names []string
	for _, p := range params {
		if p.Frozen && !s.frozen(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

// freezeStep is what rests from a place of the plan onward.
type freezeStep struct {
	from   int
	frozen func(*Param) bool
}

// freezePlan is the freezing that the configuration asks of a phase of the given number of epochs. Releases happen in the
// first phase of a run; by the next one everything has been released.
func (c *Config) freezePlan(epochs int, first bool) []freezeStep {
	layers := c.Model.Layers
	none := freezeStep{0, func(*Param) bool { return false }}
	switch {
	case c.FreezeAttn:
		return []freezeStep{{0, isAttention}}
	case c.FreezeAttnEpochs > 0 && first:
		return []freezeStep{{0, isAttention}, {c.FreezeAttnEpochs, none.frozen}}
	case c.Unfreeze == unfreezeLayered && first: // from the top down, a block a share of the epochs
		var steps []freezeStep
		for released := range layers + 1 {
			steps = append(steps, freezeStep{shareStart(released, layers+1, epochs),
				func(p *Param) bool { return isQKV(p) && attentionBlock(p) < layers-released }})
		}
		return steps
	}
	return []freezeStep{none}
}

// newPlan cuts a phase into stages: wherever the accumulation ramp or the freezing changes, a new one begins.
func newPlan(epochs int, accum []int, freezes []freezeStep) []stage {
	var plan []stage
	ramp, freeze := 0, 0
	for place := range epochs {
		for ramp+1 < len(accum) && shareStart(ramp+1, len(accum), epochs) <= place {
			ramp++
		}
		for freeze+1 < len(freezes) && freezes[freeze+1].from <= place {
			freeze++
		}
		begins := place == 0 || shareStart(ramp, len(accum), epochs) == place || freezes[freeze].from == place
		if begins {
			plan = append(plan, stage{place, accum[ramp], freezes[freeze].frozen})
		}
	}
	return plan
}

// stageAt is which stage of a plan a place belongs to.
func stageAt(plan []stage, place int) int {
	at := 0
	for at+1 < len(plan) && plan[at+1].from <= place {
		at++
	}
	return at
}

// shareStart is where share i begins when the epochs are cut into n equal shares.
func shareStart(i, n, epochs int) int { return (i*epochs + n - 1) / n }

// isAttention tells the parameters of Q, K, V and O: c_attn and c_proj of the attention, weights and biases.
func isAttention(p *Param) bool { return attentionBlock(p) >= 0 }

// isQKV tells the parameters of Q, K and V: c_attn.
func isQKV(p *Param) bool { return isAttention(p) && strings.Contains(p.Name, ".c_attn.") }

// attentionBlock is the block whose Q, K, V or O the parameter is, or -1.
func attentionBlock(p *Param) int {
	var block int
	if n, _ := fmt.Sscanf(p.Name, "h.%d.attn.", &block); n != 1 || !strings.Contains(p.Name, ".attn.") {
		return -1
	}
	return block
}
