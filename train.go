package main

import (
	"context"
	"math"
	"slices"
	"time"

	"gogpt/internal/runlog"
	"gogpt/internal/stats"
	"gogpt/internal/strictjson"
)

// The one training loop. An epoch is one pass over the shuffled samples, in steps of batch · accum samples
// (trainstep.go). After every epoch the trainer measures the validation loss, copies the weights if they are the best
// so far, and decides whether the phase goes on, moves to the next stage of its plan, or stops early. Unless the user
// interrupts the phase, the best weights are restored at its end.

// trainer trains one model, phase by phase.
type trainer struct {
	cfg     *Config
	model   *LLM
	monitor reporter

	// hooks, each of which may be nil
	beforePhase func(s *stepper)                        // lets an ablation change the stepper
	beforeStep  func(step int, samples []example) error // lets an experiment see the samples of a step
	afterStep   func(step int, r stepResult) error      // logs the means of some steps
	afterEpoch  func(r *runlog.Epoch, last bool) error  // logs a sample of the model's text

	// the current phase
	phase    *phase
	stepper  *stepper
	schedule Schedule
	stop     *EarlyStop
	best     snapshot // weights with the lowest monitored loss
	steps    int      // optimizer steps taken
	epochs   int      // epochs begun

	// the position in the plan; early stopping may skip the rest of a stage, and planEpoch is then larger than epochs
	calendar  calendar
	plan      []stage // in order, without gaps
	planEpoch int     // from 0
	stage     int     // index of the current stage
	cooldown  int     // epochs of the cooldown that remain; 0: none

	eval   evaluator
	before snapshot // scratch: the weights before the last step of an epoch
}

func newTrainer(cfg *Config, m *LLM, monitor reporter) *trainer {
	return &trainer{cfg: cfg, model: m, monitor: monitor, eval: evaluator{model: m}}
}

// run trains one phase and returns why it ended, or an error. A cancelled context ends it after the current step.
func (t *trainer) run(ctx context.Context, p *phase) (reason string, err error) {
	t.begin(p)
	params := t.model.Params()
	t.best.save(params)
	for err == nil && reason == "" {
		reason, err = t.epoch(ctx)
	}
	if reason != runlog.Interrupted {
		t.best.restore(params)
	}
	return reason, err
}

// begin prepares a phase: its plan, its schedule, and a stepper with a fresh optimizer.
func (t *trainer) begin(p *phase) {
	t.phase, t.steps, t.epochs, t.planEpoch, t.cooldown = p, 0, 0, 0, 0
	t.stop = newEarlyStop(p.config.Patience, t.cfg.MinDelta)
	t.calendar = newCalendar(p.config.Epochs, p.train.count, t.cfg.Batch, p.config.Accum, t.cfg.MaxSteps)
	t.plan = newPlan(t.calendar, p.config.Epochs, p.config.Accum, t.cfg.freezePlan(t.calendar, p.first))
	t.schedule = Schedule{peak: p.config.LR, min: p.config.minLR(), planned: t.calendar.steps(),
		warmup: t.cfg.Warmup, restarts: p.config.Restarts}
	if t.cfg.FreezeAttn != nil {
		t.model.SetAttentionFreezeUpdates(*t.cfg.FreezeAttn)
	}
	t.model.SetAttentionBackward(t.cfg.Backward)
	clearGrads(t.model.Params())
	t.stepper = newStepper(t.cfg, t.model, p.name, p.stream)
	if t.beforePhase != nil {
		t.beforePhase(t.stepper)
	}
	t.moveTo(0)
	t.monitor.phase(p, t.calendar.steps(), frozenByUser(t.model.Params()))
}

// moveTo begins a stage of the plan: patience counts anew, and the parameters freeze and learn by its rule.
func (t *trainer) moveTo(stage int) {
	t.stage = stage
	t.stop.NextStage()
	applyFreeze(t.stepper.opt, t.plan[stage].frozen)
}

// followPlan moves to the stage of the next step, when the current epoch has done some steps.
func (t *trainer) followPlan(done int) {
	at := t.calendar.step(t.planEpoch, done)
	for t.stage+1 < len(t.plan) && t.plan[t.stage+1].from <= at {
		t.moveTo(t.stage + 1)
	}
}

// epoch trains one epoch and reports it. It returns why the phase ends with this epoch, or "" when it goes on.
func (t *trainer) epoch(ctx context.Context) (reason string, err error) {
	t.epochs++
	t.followPlan(0)
	accum := t.plan[t.stage].accum
	sum, reason, err := t.pass(ctx, accum)
	if err != nil || reason == runlog.Interrupted {
		return reason, err
	}
	if sum.validation, err = t.validate(); err != nil {
		return "", err
	}
	lowest, exhausted := t.stop.Observe(sum.monitored())
	if lowest {
		t.best.save(t.model.Params())
	}
	record := t.record(sum, accum)
	reason = t.advance(reason, exhausted)
	return reason, t.report(record, t.epochsLeft(reason))
}

// pass trains on every sample once. It returns a reason when the phase ends before the next epoch, else "".
func (t *trainer) pass(ctx context.Context, accum int) (sum *epochSum, reason string, err error) {
	samples := t.phase.train.epoch(t.epochs - 1)
	perStep := t.cfg.Batch * accum
	sum = &epochSum{started: time.Now(), steps: stepsOf(len(samples), perStep)}
	for part := range slices.Chunk(samples, perStep) {
		if err := t.step(part, sum); err != nil {
			return nil, "", err
		}
		t.monitor.live(t.epochs, t.phase.config.Epochs, sum)
		switch {
		case ctx.Err() != nil:
			reason = runlog.Interrupted
		case t.steps == t.cfg.MaxSteps:
			reason = runlog.MaxSteps
		}
		if reason != "" {
			break
		}
	}
	// The loss of the next step would show it, but the last step has no next one.
	if firstNonFinite(t.model.Params(), func(p *Param) []float32 { return p.W }) != "" {
		return nil, "", t.stepper.diverged(t.steps, "a weight is not finite")
	}
	return sum, reason, nil
}

// step takes one optimizer step. It measures how much the last step of an epoch changes the weights.
func (t *trainer) step(samples []example, sum *epochSum) error {
	t.followPlan(sum.done)
	t.steps++
	if t.beforeStep != nil {
		if err := t.beforeStep(t.steps, samples); err != nil {
			return err
		}
	}
	last := sum.done+1 == sum.steps || t.steps == t.cfg.MaxSteps
	if last {
		t.before.save(t.model.Params())
	}
	result, err := t.stepper.take(t.steps, samples, t.schedule.At(t.steps-1))
	if err != nil {
		return err
	}
	sum.add(result)
	if t.afterStep != nil {
		err = t.afterStep(t.steps, result)
	}
	if last {
		sum.updates = updateRatios(t.model.Params(), t.before)
	}
	return err
}

// validate returns the mean loss over the held-out samples, or nil when there are none.
func (t *trainer) validate() (*strictjson.Float, error) {
	if len(t.phase.held) == 0 {
		return nil, nil
	}
	loss := t.eval.loss(t.phase.held)
	mean := strictjson.Float(loss.mean())
	if !stats.Finite(loss.mean()) {
		return nil, t.stepper.diverged(t.steps, "validation loss is %g", loss.mean())
	}
	return &mean, nil
}

// advance moves to the plan's next epoch, or to its next stage when patience is exhausted. It returns why the phase
// ends, or "".
func (t *trainer) advance(reason string, exhausted bool) string {
	t.planEpoch++
	switch {
	case reason != "":
		return reason
	case t.cooldown > 1:
		t.cooldown--
		return ""
	case t.cooldown == 1:
		return runlog.EarlyStop
	case exhausted && t.stage+1 == len(t.plan):
		return t.beginCooldown()
	case exhausted:
		t.moveTo(t.stage + 1)
		t.planEpoch = max(t.planEpoch, t.calendar.epochOf(t.plan[t.stage].from))
	}
	if t.planEpoch == t.phase.config.Epochs {
		return runlog.Completed
	}
	return ""
}

// beginCooldown begins the cooldown, which is at most as long as the rest of the plan. It returns EarlyStop when there
// is none.
func (t *trainer) beginCooldown() (reason string) {
	t.cooldown = min(t.phase.config.Cooldown, t.phase.config.Epochs-t.planEpoch)
	if t.cooldown == 0 {
		return runlog.EarlyStop
	}
	perStep := t.cfg.Batch * t.plan[t.stage].accum
	t.schedule.cooldown = t.steps
	for epoch := range t.cooldown {
		t.schedule.cooldownSteps += stepsOf(t.phase.train.count(t.epochs+epoch), perStep)
	}
	if limit := t.cfg.MaxSteps; limit > 0 {
		t.schedule.cooldownSteps = min(t.schedule.cooldownSteps, limit-t.steps)
	}
	return ""
}

// epochsLeft returns how many epochs of the plan remain. With a limit of steps, it estimates from the steps per epoch
// so far how many the limit allows.
func (t *trainer) epochsLeft(reason string) int {
	if reason != "" {
		return 0
	}
	left := t.phase.config.Epochs - t.planEpoch
	if t.cooldown > 0 {
		left = t.cooldown
	}
	if limit := t.cfg.MaxSteps; limit > 0 {
		left = min(left, ((limit-t.steps)*t.epochs+t.steps-1)/t.steps) // rounded up
	}
	return left
}

// record returns the figures of the epoch, for the monitor and the log.
func (t *trainer) record(s *epochSum, accum int) *runlog.Epoch {
	seconds := time.Since(s.started).Seconds()
	maxNorm := strictjson.Float(s.maxNorm)
	r := &runlog.Epoch{
		Event: "epoch", Phase: t.phase.name, Epoch: t.epochs, Epochs: t.phase.config.Epochs, Step: t.steps,
		AvgLoss: strictjson.Float(s.loss.mean()), PPL: strictjson.Float(math.Exp(s.loss.mean())),
		ValLoss: s.validation, BestLoss: strictjson.Float(t.stop.best),
		AvgGradNorm: strictjson.Float(s.norms / float64(s.done)), MaxGradNorm: &maxNorm, LR: strictjson.Float(s.lr),
		SamplesPerSec: strictjson.Float(float64(s.samples) / seconds),
		TokensPerSec:  strictjson.Float(float64(s.tokens) / seconds),
		Accum:         accum, Frozen: frozenNames(t.model.Params()),
		Cooldown: t.cooldown > 0, ClippedShare: strictjson.Float(float64(s.clipped) / float64(s.done)),
		UpdateRatio: s.updates, ElapsedSec: strictjson.Float(t.monitor.elapsed()),
	}
	if t.cfg.Smoothing > 0 {
		smoothed := strictjson.Float(s.loss.smoothed / float64(s.loss.targets))
		r.SmoothedLoss = &smoothed
	}
	return r
}

// report shows and logs the epoch.
func (t *trainer) report(r *runlog.Epoch, epochsLeft int) error {
	err := t.monitor.epoch(r, epochsLeft)
	if err == nil && t.afterEpoch != nil {
		err = t.afterEpoch(r, epochsLeft == 0)
	}
	return err
}
