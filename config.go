package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"

	"gogpt/internal/stats"
)

// Training has two phases: pretraining on plain text, then fine-tuning ("tuning") on questions and their answers. A
// phase consists of epochs, an epoch of optimizer steps, a step of one or more micro-batches, whose gradients add up.

// PhaseConfig is the plan of one training phase.
type PhaseConfig struct {
	Epochs   int     // passes over the training samples; 0 skips the phase
	LR       float64 // peak learning rate, e.g. 1e-4
	MinLR    float64 // learning rate at the end of a cosine cycle; below 0: LR/100
	Patience int     // epochs without improvement before the next stage of the plan begins, or the phase ends; 0: never
	Accum    []int   // micro-batches of a step; several values divide the epochs into equal shares, e.g. 1,2,4
	Restarts int     // cycles of the learning rate after the first one
}

// Config is everything that decides a run. The same Config on the same data gives the same bits.
type Config struct {
	Model ModelConfig

	Pretrain, Finetune PhaseConfig

	// the optimizer's step
	Batch       int     // samples of a micro-batch
	Clip        float64 // limit of the norm of all gradients together; 0: off
	ClipLogits  bool    // for ablations only: Clip bounds the gradient with respect to the logits instead
	WeightDecay float64 // of matrices only: a step subtracts LR·WeightDecay·w
	Beta2       float64 // Adam's β₂, e.g. 0.999
	Warmup      int     // steps of linear warm-up at the start of a phase
	MaxSteps    int     // limit of optimizer steps in a phase; 0: no limit
	MinDelta    float64 // nats that the loss must fall for patience to count anew, e.g. 0.01
	Smoothing   float64 // label smoothing ε
	Dropout     float64 // share of activations that training sets to 0
	Backward    AttentionBackward

	// freezing of attention: of c_attn, which computes Q, K and V, and of the output projection c_proj
	FreezeAttn       bool   // both keep their initial weights
	FreezeAttnEpochs int    // both are frozen for the first epochs, then learn; 0: off
	Unfreeze         string // "layered": c_attn is released block by block, from the last one to the first; "": off

	// data
	PretrainData, ChatData string  // files or folders; empty: the repository's own data
	Tokenizer              string  // kindBPE or kindChar
	ValFraction            float64 // share of the samples held out of training
	TrainOnAll             bool    // in tuning, the loss counts the user's tokens too

	// the run
	Seed    uint64
	Threads int // e.g. the number of cores

	LogSteps        int // steps whose means are logged in one line; 0: none
	LogAttnGradient int // steps between two logged comparisons of the backward passes of attention; 0: none
}

const (
	unfreezeLayered = "layered" // the name of a plan
	minLRShare      = 0.01      // of the peak learning rate, where a cosine cycle ends unless --min-lr says otherwise
)

// Upper limits of numbers that no memory limits. maxExtent and maxWeights limit the size of a model.
const (
	maxCount   = 1 << 30 // of steps and of epochs: products with an extent do not overflow
	maxThreads = 1 << 12
)

// The kinds of vocabulary: frequent sequences of bytes (byte pair encoding), or single characters.
const (
	kindBPE  = "bpe"
	kindChar = "char"
)

// minVocabSize is the size of a vocabulary of the 256 bytes and the three special tokens.
const minVocabSize = 256 + 3

// defaultConfig returns the default configuration. Each default of the program stands here and nowhere else.
func defaultConfig() Config {
	return Config{
		Model:     ModelConfig{Layers: 2, Heads: 8, Dim: 256, Hidden: 512, Context: 128, Vocab: 2048},
		Pretrain:  PhaseConfig{Epochs: 500, LR: 1e-4, MinLR: -1, Patience: 30, Accum: []int{1}},
		Finetune:  PhaseConfig{Epochs: 500, LR: 5e-5, MinLR: -1, Patience: 30, Accum: []int{1, 2, 4}},
		Batch:     1,
		Clip:      1,
		Beta2:     0.999,
		MinDelta:  0.01,
		Tokenizer: kindBPE,
		Seed:      1,
		Threads:   runtime.GOMAXPROCS(0),
	}
}

// applyQuick turns the pretraining plan into the short one: no tuning, 30 epochs. Flags that were given win over it.
func (c *Config) applyQuick(given func(flag string) bool) {
	if !given("pretrain-epochs") {
		c.Pretrain.Epochs = 30
	}
	if !given("patience") {
		c.Pretrain.Patience = 10
	}
	if !given("finetune-epochs") {
		c.Finetune.Epochs = 0
	}
}

// minLR returns the learning rate at the end of a cosine cycle.
func (p *PhaseConfig) minLR() float64 {
	if p.MinLR < 0 {
		return minLRShare * p.LR
	}
	return p.MinLR
}

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
}

// validateFreezing checks the plan of freezing, and that the first phase has enough epochs for its releases.
func (c *Config) validateFreezing(r *ranges) {
	r.count("freeze-attn-epochs", c.FreezeAttnEpochs, 0, maxCount, " (0: off)")
	r.check(c.Unfreeze == "" || c.Unfreeze == unfreezeLayered, "unfreeze", c.Unfreeze, unfreezeLayered)
	r.check(c.Unfreeze == "" || !c.FreezeAttn && c.FreezeAttnEpochs == 0, "unfreeze", c.Unfreeze,
		"neither --freeze-attn nor --freeze-attn-epochs beside it, which freeze the same weights by another plan")
	r.check(!c.FreezeAttn || c.FreezeAttnEpochs == 0, "freeze-attn-epochs", c.FreezeAttnEpochs,
		"no --freeze-attn beside it, which never releases the weights")
	first, flag, other := c.Pretrain.Epochs, "pretrain-epochs", c.Finetune.Epochs
	if first == 0 {
		first, flag, other = c.Finetune.Epochs, "finetune-epochs", 0
	}
	r.check(c.Unfreeze == "" || first == 0 || first > c.Model.Layers, "unfreeze", c.Unfreeze,
		fmt.Sprintf("--%s of at least %d, one more than --layers=%d, and not %d",
			flag, c.Model.Layers+1, c.Model.Layers, first))
	r.check(first == 0 || other > 0 || c.FreezeAttnEpochs < first, "freeze-attn-epochs", c.FreezeAttnEpochs,
		fmt.Sprintf("a number below --%s=%d, or nothing is released", flag, first))
}

// AttentionBackward chooses the backward pass of attention: the exact one or an approximation. attention.go has them.
type AttentionBackward int

const (
	ExactBackward AttentionBackward = iota
	StraightThrough
	StopGradient
)

var attentionBackwardNames = [...]string{"exact", "straight-through", "stop-gradient"}

func (b AttentionBackward) String() string { return attentionBackwardNames[b] }

// Set reads the name of a mode; with String it makes a flag.Value.
func (b *AttentionBackward) Set(name string) error {
	for i, n := range attentionBackwardNames {
		if n == name {
			*b = AttentionBackward(i)
			return nil
		}
	}
	return fmt.Errorf("takes exact, straight-through or stop-gradient")
}

// Everything random follows from the seed of the run. Each use has a stream of random numbers of its own, so that a
// change in one use does not change the numbers of another.

// The streams of a seed.
const (
	initStream    = iota + 1 // initial weights
	splitStream              // which rows are held out
	pretrainOrder            // order and cuts of pretraining samples
	finetuneOrder            // order and joins of tuning samples
	dropoutStream            // dropout masks
	checkStream              // probes and sequences of gradient checks
	benchStream              // random tokens and matrices of benchmarks
	sampleStream             // tokens of answers
)

// newRNG returns the generator of one stream of a seed.
func newRNG(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, mix(stream))) }

// mix is a 64-bit hash: one step of the generator SplitMix64 (Steele et al. 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
