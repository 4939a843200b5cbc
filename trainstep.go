package main

import (
	"fmt"

	"gogpt/internal/stats"
)

// One optimizer step on batch · accum samples:
//
//	for every micro-batch:  gradients += ∂(Σ loss)/targets of the step
//	norm = ‖gradients‖;  gradients ·= min(1, clip/norm);  Adam steps at the learning rate

// stepper takes the optimizer steps of one phase.
type stepper struct {
	model *LLM
	opt   *Adam
	phase string // name of the phase, for errors

	batchSize  int // samples of a micro-batch
	smoothing  float64
	clip       float64 // limit of the gradient norm; 0: off
	dropout    float64
	dropoutKey uint64 // from which the masks of the phase follow

	// weigh returns a factor on the weight of the loss, after the forward pass; nil except in one ablation
	weigh func(weight float64) float64

	batch Batch // scratch
}

// stepResult is what one step adds to the figures of its epoch.
type stepResult struct {
	loss            lossSum
	norm            float64 // of all gradients together, before clipping
	clipped         bool
	lr              float64
	samples, tokens int
}

// newStepper makes a stepper with a fresh optimizer. The dropout masks follow from the seed and the stream.
func newStepper(cfg *Config, m *LLM, phase string, stream uint64) *stepper {
	opt := newAdam(m.Params(), cfg.Beta2, cfg.WeightDecay)
	opt.releaseWarmup = cfg.ReleaseWarmup
	return &stepper{model: m, opt: opt, phase: phase,
		batchSize: cfg.Batch, smoothing: cfg.Smoothing, clip: cfg.Clip, dropout: cfg.Dropout,
		dropoutKey: mix(mix(cfg.Seed) + mix(dropoutStream) + stream)}
}

// take takes one step, numbered from 1, on at least one sample. lr is the learning rate.
func (s *stepper) take(step int, samples []example, lr float64) (stepResult, error) {
	r := stepResult{lr: lr, samples: len(samples)}
	weight := 1 / float64(countTargets(samples))
	for lo := 0; lo < len(samples); lo += s.batchSize {
		s.setDropout(step, lo)
		loss := s.model.Loss(s.batch.pack(samples[lo:min(lo+s.batchSize, len(samples))]), s.smoothing)
		if !stats.Finite(loss.plain) {
			return r, s.diverged(step, "loss is %g", loss.mean())
		}
		if s.weigh != nil {
			s.model.Backward(weight * s.weigh(weight))
		} else {
			s.model.Backward(weight)
		}
		r.loss.add(loss)
		r.tokens += len(s.batch.Inputs)
	}
	r.norm = s.opt.GradNorm()
	if !stats.Finite(r.norm) {
		return r, s.diverged(step, "gradient norm is %g", r.norm)
	}
	r.clipped = s.clip > 0 && r.norm > s.clip
	s.opt.Step(lr, clipFactor(r.norm, s.clip))
	return r, nil
}

// setDropout chooses the dropout masks of the micro-batch that begins with the given sample of the step.
func (s *stepper) setDropout(step, sample int) {
	s.model.SetDropout(s.dropout, mix(s.dropoutKey+uint64(step))+uint64(sample))
}

// diverged returns the error for a step in which a number is not finite. It names the first tensor whose weights are
// not finite, or else the first layer whose output is not, or else the first tensor whose gradient is not.
func (s *stepper) diverged(step int, what string, values ...any) error {
	d := &divergence{phase: s.phase, step: step, what: fmt.Sprintf(what, values...), fault: "the logits"}
	params := s.model.Params()
	if name := firstNonFinite(params, func(p *Param) []float32 { return p.W }); name != "" {
		d.fault = "weights of " + name
	} else if name := s.model.firstNonFiniteOutput(); name != "" {
		d.fault = "output of " + name
	} else if name := firstNonFinite(params, func(p *Param) []float32 { return p.Grad }); name != "" {
		d.fault = "gradient of " + name
	}
	return d
}

// divergence is the error of a run that stopped because a number was not finite.
type divergence struct {
	phase string
	step  int    // from 1
	what  string // e.g. "loss is NaN"
	fault string // e.g. "output of h.0.attn"
}

func (d *divergence) Error() string {
	return fmt.Sprintf("diverged: %s at step %d of %s; first at fault: %s; the weights of the best epoch are restored",
		d.what, d.step, d.phase, d.fault)
}
