package main

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
)

// ModelConfig is the shape of the model. Its JSON keys are those of a Hugging Face GPT-2 config.json.
type ModelConfig struct {
	Layers  int `json:"n_layer"`     // blocks, e.g. 2
	Heads   int `json:"n_head"`      // attention heads a block; divides Dim, e.g. 8
	Dim     int `json:"n_embd"`      // C, channels of the residual stream, e.g. 256
	Hidden  int `json:"n_inner"`     // channels inside the feed-forward, e.g. 512
	Context int `json:"n_positions"` // longest sequence in tokens, e.g. 128
	Vocab   int `json:"vocab_size"`  // V, tokens; for training the upper limit of the tokenizer, e.g. 2048
}

// PhaseConfig is the plan of one training phase.
type PhaseConfig struct {
	Epochs   int     // passes over the training samples; 0 skips the phase
	LR       float64 // peak learning rate, e.g. 1e-4
	MinLR    float64 // learning rate at the end of a cosine cycle; below 0: LR/100
	Patience int     // epochs without improvement before the plan moves on; 0: never
	Accum    []int   // micro-batches a step; several values are a ramp over equal shares of the epochs
	Restarts int     // cosine cycles beyond the first
}

// Config is everything that decides a run. The same Config on the same data gives the same bits.
type Config struct {
	Model ModelConfig

	Pretrain, Finetune PhaseConfig

	// the optimizer's step
	Batch       int     // samples a micro-batch
	Clip        float64 // limit of the global gradient norm; 0: off
	ClipLogits  bool    // for ablations only: Clip bounds the gradient by the logits instead, where it hardly ever acts
	WeightDecay float64 // of matrices only, a step's share times the learning rate
	Beta2       float64 // Adam's decay of squared gradients
	Warmup      int     // steps of linear warm-up at the start of a phase
	MaxSteps    int     // optimizer steps a phase; 0: no limit
	Smoothing   float64 // label smoothing ε
	Dropout     float64 // share of activations dropped in training
	Backward    AttentionBackward

	// freezing of Q, K, V and O
	FreezeAttn       bool   // they keep their initial weights
	FreezeAttnEpochs int    // they rest for the first epochs, then learn; 0: off
	Unfreeze         string // "layered": Q, K and V learn block by block from the top down, the rest from the start; "": off

	// data
	PretrainData, ChatData string  // files or folders; empty: the repository's own data
	Tokenizer              string  // kindBPE or kindChar
	ValFraction            float64 // share of the samples held out of training
	TrainOnAll             bool    // tuning counts the user's tokens too

	// the run
	Seed    uint64
	Threads int // by default every core

	LogAttnGradient int // steps from one comparison of the attention backwards to the next; 0: none. Changes no bit
}

// The name of a plan, and the limits of early stopping and of the schedule that no flag changes.
const (
	unfreezeLayered = "layered"

	minDelta   = 0.01 // nats by which an epoch must beat the best loss to count as an improvement
	minLRShare = 0.01 // of the peak learning rate, where a cosine cycle ends unless --min-lr says otherwise
)

// The kinds of vocabulary: merges of bytes, or whole characters.
const (
	kindBPE  = "bpe"
	kindChar = "char"
)

// minVocabSize holds the 256 bytes and the three special tokens.
const minVocabSize = 256 + 3

// defaultConfig is the stable configuration: each default of the program stands here and nowhere else.
func defaultConfig() Config {
	return Config{
		Model:     ModelConfig{Layers: 2, Heads: 8, Dim: 256, Hidden: 512, Context: 128, Vocab: 2048},
		Pretrain:  PhaseConfig{Epochs: 500, LR: 1e-4, MinLR: -1, Patience: 30, Accum: []int{1}},
		Finetune:  PhaseConfig{Epochs: 500, LR: 5e-5, MinLR: -1, Patience: 30, Accum: []int{1, 2, 4}},
		Batch:     1,
		Clip:      1,
		Beta2:     0.999,
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

// minLR is where the phase's cosine ends.
func (p *PhaseConfig) minLR() float64 {
	if p.MinLR < 0 {
		return minLRShare * p.LR
	}
	return p.MinLR
}

// flagError is a value that a flag does not take.
type flagError struct {
	flag  string
	value any
	takes string
}

func (e *flagError) Error() string {
	return fmt.Sprintf("--%s=%v: takes %s", e.flag, e.value, e.takes)
}

// validate returns the first value that is out of its range, as a *flagError.
func (c *Config) validate() error {
	var bad error
	check := func(ok bool, flag string, value any, takes string) {
		if !ok && bad == nil {
			bad = &flagError{flag, value, takes}
		}
	}
	m := &c.Model
	for _, size := range []struct {
		flag  string
		value int
	}{{"layers", m.Layers}, {"heads", m.Heads}, {"dim", m.Dim}, {"hidden", m.Hidden}, {"context", m.Context},
		{"batch", c.Batch}, {"threads", c.Threads}} {
		check(size.value >= 1, size.flag, size.value, "a whole number of at least 1")
	}
	check(m.Heads < 1 || m.Dim%m.Heads == 0, "heads", m.Heads, fmt.Sprintf("a divisor of --dim=%d", m.Dim))
	check(m.Vocab >= minVocabSize, "vocab-size", m.Vocab,
		fmt.Sprintf("at least %d (256 bytes and the special tokens)", minVocabSize))
	c.Pretrain.validate("pretrain-epochs", "", check)
	c.Finetune.validate("finetune-epochs", "finetune-", check)
	check(finite(c.Pretrain.MinLR) && c.Pretrain.minLR() <= c.Pretrain.LR, "min-lr", c.Pretrain.MinLR,
		fmt.Sprintf("a number from 0 to --lr=%g", c.Pretrain.LR))
	check(finite(c.Clip) && c.Clip >= 0, "clip", c.Clip, "a finite number of at least 0 (0: off)")
	check(finite(c.WeightDecay) && c.WeightDecay >= 0, "weight-decay", c.WeightDecay, "a finite number of at least 0")
	for _, share := range []struct {
		flag  string
		value float64
	}{{"beta2", c.Beta2}, {"label-smoothing", c.Smoothing}, {"dropout", c.Dropout}, {"val-fraction", c.ValFraction}} {
		check(share.value >= 0 && share.value < 1, share.flag, share.value, "a number from 0 up to, not including, 1")
	}
	check(c.Warmup >= 0, "warmup-steps", c.Warmup, "a whole number of at least 0")
	check(c.MaxSteps >= 0, "max-steps", c.MaxSteps, "a whole number of at least 0 (0: no limit)")
	check(c.LogAttnGradient >= 0, "log-attn-gradient", c.LogAttnGradient, "a whole number of at least 0 (0: off)")
	check(c.FreezeAttnEpochs >= 0, "freeze-attn-epochs", c.FreezeAttnEpochs, "a whole number of at least 0 (0: off)")
	check(c.Unfreeze == "" || c.Unfreeze == unfreezeLayered, "unfreeze", c.Unfreeze, unfreezeLayered)
	check(c.Unfreeze == "" || !c.FreezeAttn && c.FreezeAttnEpochs == 0, "unfreeze", c.Unfreeze,
		"neither --freeze-attn nor --freeze-attn-epochs beside it: they say different things of the same weights")
	check(!c.FreezeAttn || c.FreezeAttnEpochs == 0, "freeze-attn-epochs", c.FreezeAttnEpochs, "no --freeze-attn beside it, which never releases")
	check(c.Tokenizer == kindBPE || c.Tokenizer == kindChar, "tokenizer", c.Tokenizer, kindBPE+" or "+kindChar)
	return bad
}

// validate checks the plan; prefix stands before the names of its flags.
func (p *PhaseConfig) validate(epochs, prefix string, check func(ok bool, flag string, value any, takes string)) {
	check(p.Epochs >= 0, epochs, p.Epochs, "a whole number of at least 0 (0 skips the phase)")
	check(p.LR > 0 && finite(float64(float32(p.LR))), prefix+"lr", p.LR, "a finite number above 0")
	check(p.Patience >= 0, prefix+"patience", p.Patience, "a whole number of at least 0 (0: never stop early)")
	for _, n := range p.Accum {
		check(n >= 1, prefix+"accum", n, "whole numbers of at least 1, e.g. 4 or 1,2,4")
	}
	check(p.Restarts >= 0, prefix+"restarts", p.Restarts, "a whole number of at least 0")
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// parseModelConfig reads the shape from the JSON of a Hugging Face config.json. A missing n_inner means 4·n_embd.
func parseModelConfig(text string) (ModelConfig, error) {
	var m ModelConfig
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("config: %w", err)
	}
	if m.Hidden == 0 {
		m.Hidden = 4 * m.Dim
	}
	for _, size := range []struct {
		key   string
		value int
	}{{"n_layer", m.Layers}, {"n_head", m.Heads}, {"n_embd", m.Dim}, {"n_inner", m.Hidden}, {"n_positions", m.Context}, {"vocab_size", m.Vocab}} {
		if size.value < 1 || size.value > maxExtent {
			return m, fmt.Errorf("config: %s is %d, not from 1 to %d", size.key, size.value, maxExtent)
		}
	}
	if m.Dim%m.Heads != 0 {
		return m, fmt.Errorf("config: n_head %d does not divide n_embd %d", m.Heads, m.Dim)
	}
	return m, nil
}

// maxExtent bounds every size read from a file, so that products of sizes cannot overflow.
const maxExtent = 1 << 24

// AttentionBackward chooses the backward pass of attention.
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
