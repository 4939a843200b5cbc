package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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
	Cooldown int     // epochs in which, once patience is exhausted, the learning rate falls to its minimum; 0: none
}

// Config is everything that decides a run. The same Config on the same data gives the same bits.
type Config struct {
	Model              ModelConfig
	InitFrom           string // saved model whose weights and tokenizer the run starts from; empty: new ones
	Pretrain, Finetune PhaseConfig

	// the optimizer's step
	Batch       int     // samples of a micro-batch
	Clip        float64 // limit of the norm of all gradients together; 0: off
	ClipLogits  bool    // for comparisons: Clip bounds the gradient with respect to the logits instead
	KeepMoments bool    // for ablations only: what a plan freezes has gradients and moments, only its weights rest
	WeightDecay float64 // of matrices only: a step subtracts LR·WeightDecay·w
	Beta2       float64 // Adam's β₂, e.g. 0.999
	Warmup      int     // steps of linear warm-up at the start of a phase
	MaxSteps    int     // limit of optimizer steps in a phase; 0: no limit
	MinDelta    float64 // nats that the loss must fall for patience to count anew, e.g. 0.01
	Smoothing   float64 // label smoothing ε
	Dropout     float64 // share of activations that training sets to 0
	Backward    AttentionBackward

	// freezing of attention: of c_attn, which computes Q, K and V, and of the output projection c_proj
	FreezeAttn       *bool  // the user freezes both or releases them; nil: as in the model
	FreezeAttnEpochs int    // both are frozen for the first epochs, then learn; 0: off
	FreezeAttnSteps  int    // both are frozen for the first optimizer steps, then learn; 0: off
	Unfreeze         string // "layered": c_attn is released block by block, from the last one to the first; "": off
	ReleaseWarmup    int    // steps over which the learning rate of a released weight rises linearly; 0: none

	// data
	PretrainData, ChatData string  // files or folders; empty: the repository's own data
	Tokenizer              string  // kindBPE or kindChar
	ValData, ChatValData   string  // files or folders that validate the phases and are not trained on
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
