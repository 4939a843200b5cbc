package main

import (
	"math"
	"time"
)

// What a phase of training learns from, and what an epoch of it adds up to.

// phase is one training phase: what it learns from and by which plan.
type phase struct {
	name   string // "pretrain" or "finetune"
	config PhaseConfig
	train  *dataset
	held   []example     // for validation; may be empty
	first  bool          // the first phase of the run that trains
	prompt *samplePrompt // of the samples by epoch; nil: none
}

// epochSum gathers the figures of one epoch.
type epochSum struct {
	started time.Time
	steps   int // planned in this epoch

	loss                           lossSum
	norms                          float64
	done, clipped, samples, tokens int
	lr                             float64 // of the last step
	updates                        map[string]jsonFloat
}

func (s *epochSum) add(loss lossSum, norm, lr float64, samples int, clip float64) {
	s.loss.add(loss)
	s.norms += norm
	s.lr = lr
	s.done++
	s.samples += samples
	if clip > 0 && norm > clip {
		s.clipped++
	}
}

// updateRatios is, for every group of tensors, how far the last step moved them: ‖Δw‖ / ‖w‖.
func updateRatios(params []*Param, before snapshot) map[string]jsonFloat {
	moved, size := map[string]float64{}, map[string]float64{}
	for i, p := range params {
		group := paramGroup(p)
		for j, w := range p.W {
			d := float64(w - before[i][j])
			moved[group] += d * d
			size[group] += float64(w) * float64(w)
		}
	}
	ratios := map[string]jsonFloat{}
	for group := range size {
		ratios[group] = jsonFloat(math.Sqrt(moved[group] / size[group]))
	}
	return ratios
}
