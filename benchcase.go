package main

import (
	"slices"
	"time"
)

// What is benchmarked: sizes by name, their training step, their arithmetic, and the clock.

// benchCase is one named set of sizes.
type benchCase struct {
	name       string
	model      ModelConfig
	batch, seq int
}

// benchCases are the sizes that docs/performance.md speaks of.
var benchCases = []benchCase{
	{"tiny", ModelConfig{Layers: 2, Dim: 256, Heads: 8, Hidden: 512, Vocab: 2048, Context: 128}, 1, 24},
	{"tiny16", ModelConfig{Layers: 2, Dim: 256, Heads: 8, Hidden: 512, Vocab: 2048, Context: 128}, 16, 64},
	{"nano", ModelConfig{Layers: 4, Dim: 128, Heads: 4, Hidden: 512, Vocab: 65, Context: 64}, 12, 64},
	{"mid", ModelConfig{Layers: 6, Dim: 384, Heads: 6, Hidden: 1536, Vocab: 4096, Context: 256}, 8, 256},
	{"gpt2", ModelConfig{Layers: 12, Dim: 768, Heads: 12, Hidden: 3072, Vocab: 50257, Context: 1024}, 4, 64},
}

const (
	benchWarmup = 3                      // steps before the clock counts
	peakTime    = 300 * time.Millisecond // that the peak is measured for
)

// step returns a model of the case and one training step on random tokens, all sequences in one micro-batch.
func (b *benchCase) step(cfg *Config) (*LLM, func()) {
	cfg.Model, cfg.Batch = b.model, b.batch
	rng := newRNG(cfg.Seed, benchStream)
	m := newLLM(b.model, newRNG(cfg.Seed, initStream))
	samples := make([]example, b.batch)
	for i := range samples {
		for range b.seq + 1 {
			samples[i].tokens = append(samples[i].tokens, rng.IntN(b.model.Vocab))
		}
	}
	t := newTrainer(cfg, m, nil)
	t.phase, t.opt = &phase{train: &dataset{}}, newAdam(m.Params(), cfg.Beta2, cfg.WeightDecay)
	t.schedule = Schedule{peak: cfg.Pretrain.LR, min: cfg.Pretrain.LR, planned: 1}
	var sum epochSum
	return m, func() {
		if err := t.optimize(samples, &sum); err != nil {
			panic(err) // random tokens and initial weights are finite
		}
	}
}

// flops counts the arithmetic of a step: 6 · tokens · (weights of products, wte once), and the causal half of attention,
// 6 · seq² · dim a layer and sequence. What is computed twice counts once.
func (b *benchCase) flops() float64 {
	m := b.model
	weights := m.Layers*(4*m.Dim*m.Dim+2*m.Dim*m.Hidden) + m.Vocab*m.Dim
	return 6*float64(b.batch*b.seq)*float64(weights) + 6*float64(b.batch*m.Layers)*float64(b.seq*b.seq)*float64(m.Dim)
}

// timed returns the median and the least time of n calls, in seconds.
func timed(n int, work func()) (median, least float64) {
	for range benchWarmup {
		work()
	}
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		work()
		times[i] = time.Since(start).Seconds()
	}
	slices.Sort(times)
	return times[n/2], times[0]
}
