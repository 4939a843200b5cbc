package main

import (
	"math"
	"slices"
)

// The learning rate falls along a cosine, once or, with warm restarts, several times   (arXiv:1608.03983, section 3)
//
//	lr(s) = min + (peak − min)/2 · (1 + cos(π·p)),   p in [0, 1) the position in the cycle
//
// after a warm-up, in which it rises linearly to the peak. It depends on the step s alone. A cooldown replaces the rest
// of the cosine by a straight line from the rate of the last step down to min   (arXiv:2405.18392, section 3).

// Schedule is the learning rate of one phase.
type Schedule struct {
	peak, min float64 // learning rates
	planned   int     // optimizer steps of the phase, warm-up included
	warmup    int     // steps of linear rise before the first cycle
	restarts  int     // cycles beyond the first

	cooldown, cooldownSteps int // first step of the cooldown, and their number; 0: none
}

// At returns the learning rate of a step, counted from 0. After the planned steps it stays at the minimum.
func (s Schedule) At(step int) float64 {
	if s.cooldownSteps > 0 && step >= s.cooldown {
		start := s.cosine(s.cooldown - 1)
		return start + min(0, s.min-start)*min(1, float64(step-s.cooldown+1)/float64(s.cooldownSteps))
	}
	return s.cosine(step)
}

// cosine returns the learning rate of a step without a cooldown.
func (s Schedule) cosine(step int) float64 {
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

// calendar holds the planned epochs of a phase, in optimizer steps from 0.
type calendar struct {
	starts []int // [epochs+1] first step of each epoch, and the number of all steps
	cut    bool  // the limit of steps ends the phase before its epochs are done
}

// newCalendar plans the epochs of a phase. samples returns the number of samples of an epoch; accum holds the
// micro-batches of a step, a value for each of equal shares of the epochs; limit is that of the steps (0: none).
func newCalendar(epochs int, samples func(epoch int) int, batch int, accum []int, limit int) calendar {
	c, ramp := calendar{starts: []int{0}}, 0
	for epoch := 0; epoch < epochs && !c.cut; epoch++ {
		for ramp+1 < len(accum) && shareStart(ramp+1, len(accum), epochs) <= epoch {
			ramp++
		}
		end := c.steps() + stepsOf(samples(epoch), batch*accum[ramp])
		if limit > 0 && end >= limit {
			c.cut = end > limit || epoch+1 < epochs
			end = limit
		}
		c.starts = append(c.starts, end)
	}
	return c
}

// stepsOf returns the number of optimizer steps for some samples. The last step may have fewer than perStep.
func stepsOf(samples, perStep int) int { return (samples + perStep - 1) / perStep }

// steps returns the number of planned steps.
func (c calendar) steps() int { return c.starts[len(c.starts)-1] }

// start returns the first step of an epoch, from 0, or the number of all steps for an epoch that is not planned.
func (c calendar) start(epoch int) int { return c.starts[min(epoch, len(c.starts)-1)] }

// share returns the first step of share i, from 0, when the phase is divided into n equal shares: of its epochs, or of
// its steps when their limit cuts the phase.
func (c calendar) share(i, n int) int {
	if c.cut {
		return shareStart(i, n, c.steps())
	}
	return c.start(shareStart(i, n, len(c.starts)-1))
}

// step returns the planned step that an epoch has reached after some steps of its own: at most its last one, because
// the epoch that is trained in its place may have more samples.
func (c calendar) step(epoch, done int) int {
	return min(c.start(epoch)+done, max(0, c.start(epoch+1)-1))
}

// epochOf returns the epoch to which a planned step belongs.
func (c calendar) epochOf(step int) int {
	after, _ := slices.BinarySearch(c.starts, step+1)
	return after - 1
}

// shareStart returns the first epoch or step of share i, from 0, when total of them are divided into n equal shares.
func shareStart(i, n, total int) int { return (i*total + n - 1) / n }
