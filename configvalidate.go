package main

import (
	"fmt"

	"gogpt/internal/stats"
)

// The ranges of the configuration's values, which the command line checks before anything runs.

// Upper limits of numbers that no memory limits. maxExtent and maxWeights limit the size of a model.
const (
	maxCount   = 1 << 30 // of steps and of epochs: products with an extent do not overflow
	maxThreads = 1 << 12
)

// flagError is a value that a flag does not accept.
type flagError struct {
	flag  string
	value any
	takes string
}

func (e *flagError) Error() string {
	return fmt.Sprintf("--%s=%v: takes %s", e.flag, e.value, e.takes)
}

// ranges records the first value that is out of its range, as a *flagError.
type ranges struct{ bad error }

func (r *ranges) check(ok bool, flag string, value any, takes string) {
	if !ok && r.bad == nil {
		r.bad = &flagError{flag, value, takes}
	}
}

// count checks a whole number; note says what 0 means.
func (r *ranges) count(flag string, n, least, most int, note string) {
	r.check(n >= least, flag, n, fmt.Sprintf("a whole number of at least %d%s", least, note))
	r.check(n <= most, flag, n, fmt.Sprintf("a whole number of at most %d%s", most, note))
}

// share checks a number from 0 up to, not including, 1.
func (r *ranges) share(flag string, x float64) {
	r.check(x >= 0 && x < 1, flag, x, "a number from 0 up to, not including, 1")
}

// validate returns the first value that is out of its range, as a *flagError.
func (c *Config) validate() error {
	var r ranges
	c.Model.validate(&r)
	r.count("batch", c.Batch, 1, maxExtent, "")
	r.count("threads", c.Threads, 1, maxThreads, "")
	c.Pretrain.validate("pretrain-epochs", "", &r)
	c.Finetune.validate("finetune-epochs", "finetune-", &r)
	r.check(stats.Finite(c.Pretrain.MinLR) && c.Pretrain.minLR() <= c.Pretrain.LR, "min-lr", c.Pretrain.MinLR,
		fmt.Sprintf("a number from 0 to --lr=%g", c.Pretrain.LR))
	r.check(stats.Finite(c.Clip) && c.Clip >= 0, "clip", c.Clip, "a finite number of at least 0 (0: off)")
	r.check(stats.Finite(c.WeightDecay) && c.WeightDecay >= 0, "weight-decay", c.WeightDecay,
		"a finite number of at least 0")
	r.check(stats.Finite(c.MinDelta) && c.MinDelta >= 0, "min-delta", c.MinDelta, "a finite number of at least 0")
	r.share("beta2", c.Beta2)
	r.check(float32(c.Beta2) < 1, "beta2", c.Beta2, "a number from 0 to 0.99999997, which float32 does not round to 1")
	r.share("label-smoothing", c.Smoothing)
	r.share("dropout", c.Dropout)
	r.share("val-fraction", c.ValFraction)
	r.count("warmup-steps", c.Warmup, 0, maxCount, "")
	r.count("max-steps", c.MaxSteps, 0, maxCount, " (0: no limit)")
	r.count("log-steps", c.LogSteps, 0, maxCount, " (0: off)")
	r.count("log-attn-gradient", c.LogAttnGradient, 0, maxCount, " (0: off)")
	c.validateValidation(&r)
	c.validateFreezing(&r)
	r.check(c.Tokenizer == kindBPE || c.Tokenizer == kindChar, "tokenizer", c.Tokenizer, kindBPE+" or "+kindChar)
	return r.bad
}

// validate checks the sizes one by one and the model that they make together.
func (m *ModelConfig) validate(r *ranges) {
	for _, size := range []struct {
		flag  string
		value int
	}{{"layers", m.Layers}, {"heads", m.Heads}, {"dim", m.Dim}, {"hidden", m.Hidden}, {"context", m.Context}} {
		r.count(size.flag, size.value, 1, maxExtent, "")
	}
	r.check(m.Heads < 1 || m.Dim%m.Heads == 0, "heads", m.Heads, fmt.Sprintf("a divisor of --dim=%d", m.Dim))
	r.check(m.Vocab >= minVocabSize, "vocab-size", m.Vocab,
		fmt.Sprintf("at least %d (256 bytes and the special tokens)", minVocabSize))
	r.check(m.Vocab <= maxExtent, "vocab-size", m.Vocab, fmt.Sprintf("at most %d", maxExtent))
	r.check(m.weights() <= maxWeights, "dim", m.Dim, fmt.Sprintf("less: with --layers=%d, --hidden=%d, --context=%d "+
		"and --vocab-size=%d the model has %.2g weights, more than 2^38",
		m.Layers, m.Hidden, m.Context, m.Vocab, m.weights()))
}

// validate checks the plan; prefix stands before the names of its flags.
func (p *PhaseConfig) validate(epochs, prefix string, r *ranges) {
	r.count(epochs, p.Epochs, 0, maxExtent, " (0 skips the phase)")
	r.check(p.LR > 0 && stats.Finite(float64(float32(p.LR))), prefix+"lr", p.LR, "a finite number above 0")
	r.count(prefix+"patience", p.Patience, 0, maxCount, " (0: never stop early)")
	for _, n := range p.Accum {
		r.check(n >= 1 && n <= maxExtent, prefix+"accum", n,
			fmt.Sprintf("whole numbers of at least 1, at most %d, e.g. 4 or 1,2,4", maxExtent))
	}
	r.count(prefix+"restarts", p.Restarts, 0, maxCount, "")
	r.count(prefix+"cooldown-epochs", p.Cooldown, 0, maxExtent, " (0: none)")
}

// validateValidation checks that a phase validates on a file or on a share of its samples, and that it has epochs.
func (c *Config) validateValidation(r *ranges) {
	for _, phase := range []struct {
		flag, file, epochs string
		config             PhaseConfig
	}{
		{"val-data", c.ValData, "pretrain-epochs", c.Pretrain},
		{"chat-val-data", c.ChatValData, "finetune-epochs", c.Finetune},
	} {
		if phase.file != "" {
			r.check(c.ValFraction == 0, phase.flag, phase.file,
				fmt.Sprintf("no --val-fraction=%g beside it: validation has one source", c.ValFraction))
			r.check(phase.config.Epochs > 0, phase.flag, phase.file,
				fmt.Sprintf("--%s of at least 1 beside it, or there is nothing to validate", phase.epochs))
		}
	}
}

// validateFreezing checks the plan of freezing, and that the first phase has enough epochs for its releases.
func (c *Config) validateFreezing(r *ranges) {
	r.count("freeze-attn-epochs", c.FreezeAttnEpochs, 0, maxCount, " (0: off)")
	r.check(c.Unfreeze == "" || c.Unfreeze == unfreezeLayered, "unfreeze", c.Unfreeze, unfreezeLayered)
	r.count("freeze-attn-steps", c.FreezeAttnSteps, 0, maxCount, " (0: off)")
	r.count("release-warmup", c.ReleaseWarmup, 0, maxCount, " (0: none)")
	frozen := c.FreezeAttn != nil && *c.FreezeAttn
	r.check(c.Unfreeze == "" || !frozen && c.FreezeAttnEpochs == 0 && c.FreezeAttnSteps == 0, "unfreeze", c.Unfreeze,
		"neither --freeze-attn nor another plan of freezing beside it")
	r.check(c.FreezeAttnEpochs == 0 || !frozen, "freeze-attn-epochs", c.FreezeAttnEpochs,
		"no --freeze-attn beside it, which never releases the weights")
	r.check(c.FreezeAttnSteps == 0 || !frozen && c.FreezeAttnEpochs == 0, "freeze-attn-steps", c.FreezeAttnSteps,
		"neither --freeze-attn nor --freeze-attn-epochs beside it")
	first, flag, other := c.Pretrain.Epochs, "pretrain-epochs", c.Finetune.Epochs
	if first == 0 {
		first, flag, other = c.Finetune.Epochs, "finetune-epochs", 0
	}
	r.check(c.Unfreeze == "" || first == 0 || first > c.Model.Layers, "unfreeze", c.Unfreeze,
		fmt.Sprintf("--%s of at least %d, one more than --layers=%d, and not %d",
			flag, c.Model.Layers+1, c.Model.Layers, first))
	r.check(c.Unfreeze == "" || c.MaxSteps == 0 || c.MaxSteps > c.Model.Layers, "unfreeze", c.Unfreeze,
		fmt.Sprintf("--max-steps of at least %d, one more than --layers=%d, and not %d",
			c.Model.Layers+1, c.Model.Layers, c.MaxSteps))
	r.check(c.MaxSteps == 0 || other > 0 || c.FreezeAttnSteps < c.MaxSteps, "freeze-attn-steps", c.FreezeAttnSteps,
		fmt.Sprintf("a number below --max-steps=%d, or nothing is released", c.MaxSteps))
	r.check(first == 0 || other > 0 || c.FreezeAttnEpochs < first, "freeze-attn-epochs", c.FreezeAttnEpochs,
		fmt.Sprintf("a number below --%s=%d, or nothing is released", flag, first))
}
