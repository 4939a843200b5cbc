package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// The one training loop. An epoch is a pass over the shuffled samples, a step takes batch · accum of them:
//
//	for every micro-batch:  gradients += ∂(Σ loss)/targets of the step
//	norm = ‖gradients‖;  gradients ·= min(1, clip/norm);  Adam steps at the schedule's learning rate
//
// After every epoch: validation, the best weights are kept, early stopping or the next stage of the plan. At every
// normal end the best weights are put back.

// trainer trains one model.
type trainer struct {
	cfg     *Config
	model   *LLM
	monitor *monitor

	// the phase at work
	phase    *phase
	opt      *Adam
	schedule Schedule
	plan     []stage
	step     int // optimizer steps of the phase
	best     snapshot

	// scratch
	batch  Batch
	eval   evaluator
	before snapshot
}

func newTrainer(cfg *Config, m *LLM, mon *monitor) *trainer {
	return &trainer{cfg: cfg, model: m, monitor: mon, eval: evaluator{model: m}}
}

// run trains one phase and returns why it ended, unless it failed. A cancelled context ends it after the step at work.
func (t *trainer) run(ctx context.Context, p *phase) (reason string, err error) {
	t.begin(p)
	params := t.model.Params()
	stop := newEarlyStop(p.config.Patience, minDelta)
	t.best.take(params)
	epoch := 1
	for at, place := 0, 0; place < p.config.Epochs; epoch++ {
		if now := stageAt(t.plan, place); now != at {
			at = now
			stop.NextStage()
		}
		t.enter(t.plan[at])
		record, reason, err := t.epoch(ctx, epoch, t.plan[at].accum)
		if err != nil {
			t.best.restore(params)
			return "", err
		}
		if reason == endInterrupted {
			return reason, nil
		}
		lowest, exhausted := stop.Observe(epoch, record.monitored())
		if lowest {
			t.best.take(params)
		}
		record.BestLoss = jsonFloat(stop.best)
		if place++; reason == "" && exhausted {
			if at+1 == len(t.plan) {
				reason = endEarlyStop
			} else {
				place = t.plan[at+1].from
			}
		}
		record.left = t.left(place, epoch, reason)
		if err := t.report(record); err != nil {
			t.best.restore(params)
			return "", err
		}
		if reason != "" {
			t.best.restore(params)
			return reason, nil
		}
	}
	t.best.restore(params)
	return endCompleted, nil
}

// left is how many epochs the plan still holds from a place on, as far as the limit of steps lets it go.
func (t *trainer) left(place, epoch int, reason string) int {
	if reason != "" {
		return 0
	}
	left := t.phase.config.Epochs - place
	if t.cfg.MaxSteps > 0 {
		left = min(left, ((t.cfg.MaxSteps-t.step)*epoch+t.step-1)/t.step) // rounded up
	}
	return left
}

// report hands the epoch to the monitor and, where it is due, a sample after it.
func (t *trainer) report(r *epochRecord) error {
	err := t.monitor.epoch(r)
	if p := t.phase.prompt; err == nil && p.due(r.Epoch, r.left == 0) {
		err = t.monitor.write(sampleRecord{"sample", r.Phase, r.Epoch, p.text, p.continuation(t.model)})
	}
	return err
}

// begin sets up optimizer, plan and schedule of a phase.
func (t *trainer) begin(p *phase) {
	t.phase, t.step = p, 0
	t.opt = newAdam(t.model.Params(), t.cfg.Beta2, t.cfg.WeightDecay)
	t.plan = newPlan(p.config.Epochs, p.config.Accum, t.cfg.freezePlan(p.config.Epochs, p.first))
	planned := 0
	for place := 0; place < p.config.Epochs && (t.cfg.MaxSteps == 0 || planned < t.cfg.MaxSteps); place++ {
		perStep := t.cfg.Batch * t.plan[stageAt(t.plan, place)].accum
		planned += (p.train.count(place) + perStep - 1) / perStep
	}
	if t.cfg.MaxSteps > 0 {
		planned = min(planned, t.cfg.MaxSteps)
	}
	t.schedule = Schedule{peak: p.config.LR, min: p.config.minLR(), planned: planned,
		warmup: t.cfg.Warmup, restarts: p.config.Restarts}
	var released []string
	if p.first { // nothing is frozen yet but in a loaded model; the plan decides what rests from here on
		released = t.plan[0].releases(t.model.Params())
	}
	t.monitor.phase(p, planned, released)
	t.model.SetAttentionBackward(t.cfg.Backward)
	clearGrads(t.model.Params())
}

// enter freezes and releases what a stage says. What is released starts with moments of its own.
func (t *trainer) enter(s stage) {
	for i, p := range t.model.Params() {
		was := p.Frozen
		p.Frozen = s.frozen(p)
		if was && !p.Frozen {
			t.opt.Reset(i)
		}
	}
}

// epoch trains one epoch, numbered from 1. A reason ends the phase here.
func (t *trainer) epoch(ctx context.Context, epoch, accum int) (*epochRecord, string, error) {
	samples := t.phase.train.epoch(epoch - 1)
	perStep := t.cfg.Batch * accum
	sum := epochSum{started: time.Now(), steps: (len(samples) + perStep - 1) / perStep}
	reason := ""
	for done := 0; done < len(samples) && reason == ""; {
		n := min(perStep, len(samples)-done)
		last := done+n == len(samples) || t.step+1 == t.cfg.MaxSteps
		if last {
			t.before.take(t.model.Params())
		}
		if err := t.optimize(samples[done:done+n], &sum); err != nil {
			return nil, "", err
		}
		if last {
			sum.updates = updateRatios(t.model.Params(), t.before)
		}
		done += n
		t.monitor.live(epoch, t.phase.config.Epochs, &sum)
		switch {
		case ctx.Err() != nil:
			reason = endInterrupted
		case t.step == t.cfg.MaxSteps && t.cfg.MaxSteps > 0:
			reason = endMaxSteps
		}
	}
	if firstNonFinite(t.model.Params(), func(p *Param) []float32 { return p.W }) != "" { // the last step has no loss after it
		return nil, "", t.diverged("a weight is not finite")
	}
	r := sum.record(t, epoch, accum)
	if len(t.phase.held) > 0 && reason != endInterrupted {
		loss := t.eval.loss(t.phase.held)
		val := jsonFloat(loss.mean())
		r.ValLoss = &val
		if !finite(loss.mean()) {
			return nil, "", t.diverged("validation loss is %g", loss.mean())
		}
	}
	return r, reason, nil
}

// optimize takes one optimizer step on samples of at most batch · accum.
func (t *trainer) optimize(samples []example, sum *epochSum) error {
	t.step++
	targets := 0
	for _, s := range samples {
		targets += s.targets()
	}
	if every := t.cfg.LogAttnGradient; every > 0 && t.step%every == 0 {
		if err := t.compareAttention(samples); err != nil {
			return err
		}
	}
	var loss lossSum
	for lo := 0; lo < len(samples); lo += t.cfg.Batch {
		micro := samples[lo:min(lo+t.cfg.Batch, len(samples))]
		t.model.SetDropout(t.cfg.Dropout, t.dropoutKey(lo))
		part := t.model.Loss(t.batch.pack(micro), t.cfg.Smoothing)
		if !finite(part.plain) {
			return t.diverged("loss is %g", part.mean())
		}
		weight := 1 / float64(targets)
		t.model.Backward(weight * t.logitsClip(weight))
		loss.add(part)
		sum.tokens += len(t.batch.Inputs)
	}
	norm := t.opt.GradNorm()
	if !finite(norm) {
		return t.diverged("gradient norm is %g", norm)
	}
	lr, clip := t.schedule.At(t.step-1), t.cfg.Clip
	if t.cfg.ClipLogits {
		clip = 0
	}
	t.opt.Step(lr, clipFactor(norm, clip))
	sum.add(loss, norm, lr, len(samples), clip)
	return nil
}

// compareAttention logs how far the approximate attention backwards are off on the samples of the step at work. Nothing
// that is trained changes.
func (t *trainer) compareAttention(samples []example) error {
	t.model.SetDropout(t.cfg.Dropout, t.dropoutKey(0))
	rows := attentionDistances(t.model, samples, t.cfg.Smoothing)
	t.model.SetAttentionBackward(t.cfg.Backward)
	return t.monitor.write(attnGradientRecord{"attn_gradient", t.phase.name, t.step, rows})
}

// logitsClip is the factor of the classic mistake: it bounds the gradient by the logits, which bounds no parameter's.
// It is 1 unless an ablation asks for the mistake.
func (t *trainer) logitsClip(weight float64) float64 {
	if !t.cfg.ClipLogits {
		return 1
	}
	return clipFactor(weight*t.model.loss.gradNorm(), t.cfg.Clip)
}

// dropoutKey is the key of the masks of one micro-batch.
func (t *trainer) dropoutKey(micro int) uint64 {
	key := mix(t.cfg.Seed) + mix(dropoutStream)
	return mix(mix(key+t.phase.train.stream)+uint64(t.step)) + uint64(micro)
}

// diverged names the first tensor whose weights are not finite, or else the first layer whose output is not, or else the
// first tensor whose gradient is not.
func (t *trainer) diverged(what string, values ...any) error {
	d := &divergence{phase: t.phase.name, step: t.step, what: fmt.Sprintf(what, values...), fault: "the logits"}
	if name := firstNonFinite(t.model.Params(), func(p *Param) []float32 { return p.W }); name != "" {
		d.fault = "weights of " + name
	} else if name := t.model.firstNonFiniteOutput(); name != "" {
		d.fault = "output of " + name
	} else if name := firstNonFinite(t.model.Params(), func(p *Param) []float32 { return p.Grad }); name != "" {
		d.fault = "gradient of " + name
	}
	return d
}

// record turns the sums into what the monitor shows and logs.
func (s *epochSum) record(t *trainer, epoch, accum int) *epochRecord {
	seconds := time.Since(s.started).Seconds()
	r := &epochRecord{
		Event: "epoch", Phase: t.phase.name, Epoch: epoch, Epochs: t.phase.config.Epochs, Step: t.step,
		AvgLoss: jsonFloat(s.loss.mean()), PPL: jsonFloat(math.Exp(s.loss.mean())),
		AvgGradNorm: jsonFloat(s.norms / float64(s.done)), LR: jsonFloat(s.lr),
		SamplesPerSec: jsonFloat(float64(s.samples) / seconds), TokensPerSec: jsonFloat(float64(s.tokens) / seconds),
		Accum: accum, Frozen: frozenNames(t.model),
		ClippedShare: jsonFloat(float64(s.clipped) / float64(s.done)), UpdateRatio: s.updates,
	}
	if t.cfg.Smoothing > 0 {
		smoothed := jsonFloat(s.loss.smoothed / float64(s.loss.targets))
		r.SmoothedLoss = &smoothed
	}
	return r
}
