package main

import (
	"math"
	"slices"
	"time"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// What a phase of training consists of: its samples, its plan, the figures of an epoch, and measuring without training.

// phase is one training phase.
type phase struct {
	name   string // "pretrain" or "finetune"
	config PhaseConfig
	train  trainingSamples
	held   []example // the validation samples; may be empty
	first  bool      // the first phase of the run
	stream uint64    // number of a stream of the seed (config.go), for dropout masks
}

// trainingSamples returns the samples of a phase, epoch by epoch, from 0. A dataset (dataset.go) makes them from texts.
type trainingSamples interface {
	epoch(epoch int) []example // in the order of training
	count(epoch int) int       // how many epoch returns
	inOrder() []example        // in the order of the data, for measurements
}

// reporter shows and logs what a trainer does. In a run it is a monitor (trainmonitor.go).
type reporter interface {
	phase(p *phase, planned int, frozen []string) // before the first step; frozen: by the user
	live(epoch, epochs int, s *epochSum)          // after each step
	epoch(r *runlog.Epoch, left int) error        // after each epoch, with its record; left: epochs that remain
	elapsed() float64                             // seconds since the run began
}

// stage is a part of a phase in which nothing changes but the learning rate.
type stage struct {
	from   int               // its first step of the plan, from 0
	accum  int               // micro-batches of a step; the epoch during which a stage begins keeps its number
	frozen func(*Param) bool // reports whether the plan freezes a parameter
}

// newPlan divides a phase into stages: a new one begins wherever the number of micro-batches or the freezing changes.
func newPlan(planned calendar, epochs int, accum []int, freezes []freezeStep) (plan []stage) {
	var ramp, begins []int // first steps of the shares, of the stages
	for i := range accum {
		ramp = append(ramp, planned.start(shareStart(i, len(accum), epochs)))
	}
	for _, f := range freezes {
		begins = append(begins, f.from)
	}
	begins = append(begins, ramp...)
	slices.Sort(begins)
	share, freeze := 0, 0
	for _, from := range slices.Compact(begins) {
		for share+1 < len(ramp) && ramp[share+1] <= from {
			share++
		}
		for freeze+1 < len(freezes) && freezes[freeze+1].from <= from {
			freeze++
		}
		if from < planned.steps() {
			plan = append(plan, stage{from, accum[share], freezes[freeze].frozen})
		}
	}
	return plan
}

// epochSum gathers the figures of the steps of an epoch.
type epochSum struct {
	started time.Time
	steps   int // planned in this epoch

	// sums over the steps
	loss            lossSum
	norms, maxNorm  float64 // of the gradients
	done, clipped   int     // steps
	samples, tokens int

	// the end of the epoch
	lr         float64                     // of the last step
	updates    map[string]strictjson.Float // updateRatios of the last step
	validation *strictjson.Float           // loss; nil without held-out samples
}

func (s *epochSum) add(r stepResult) {
	s.loss.add(r.loss)
	s.norms += r.norm
	s.maxNorm = max(s.maxNorm, r.norm)
	s.lr = r.lr
	s.done++
	s.samples += r.samples
	s.tokens += r.tokens
	if r.clipped {
		s.clipped++
	}
}

// monitored returns the loss that decides about early stopping: of validation, or else of training.
func (s *epochSum) monitored() float64 {
	if s.validation != nil {
		return float64(*s.validation)
	}
	return s.loss.mean()
}

// updateRatios returns, for every group of tensors, how much a step changed them: ‖w − before‖ / ‖w‖.
func updateRatios(params []*Param, before snapshot) map[string]strictjson.Float {
	moved, size := map[string]float64{}, map[string]float64{}
	for i, p := range params {
		group := p.Part.group()
		for j, w := range p.W {
			d := float64(w - before[i][j])
			moved[group] += d * d
			size[group] += float64(w) * float64(w)
		}
	}
	ratios := map[string]strictjson.Float{}
	for group := range size {
		ratios[group] = strictjson.Float(math.Sqrt(moved[group] / size[group]))
	}
	return ratios
}

// evalTokens limits the tokens of one forward pass of a measurement, unless a single sample has more.
const evalTokens = 512

// evaluator measures without training. It keeps its memory between calls.
type evaluator struct {
	model *LLM
	batch Batch
}

// loss returns the loss of all samples, without dropout and label smoothing.
func (e *evaluator) loss(samples []example) lossSum {
	var total lossSum
	e.model.SetDropout(0, 0)
	for len(samples) > 0 {
		n, tokens := 0, 0
		for n < len(samples) && (n == 0 || tokens+len(samples[n].tokens) <= evalTokens) {
			tokens += len(samples[n].tokens)
			n++
		}
		total.add(e.model.Loss(e.batch.pack(samples[:n]), 0))
		samples = samples[n:]
	}
	return total
}
