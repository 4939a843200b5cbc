package main

import (
	"fmt"
	"slices"
	"time"

	"gogpt/internal/kernel"
	"gogpt/internal/stats"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

// What the bench command measures: named sizes, their training step, its floating-point operations and its time.

// benchCase is a named set of sizes.
type benchCase struct {
	name  string
	model ModelConfig
	batch int // sequences per step
	seq   int // tokens per sequence
}

// benchCases are the sizes of docs/performance.md.
var benchCases = []benchCase{
	{"tiny", ModelConfig{Layers: 2, Dim: 256, Heads: 8, Hidden: 512, Vocab: 2048, Context: 128}, 1, 24},
	{"tiny16", ModelConfig{Layers: 2, Dim: 256, Heads: 8, Hidden: 512, Vocab: 2048, Context: 128}, 16, 64},
	{"nano", ModelConfig{Layers: 4, Dim: 128, Heads: 4, Hidden: 512, Vocab: 65, Context: 64}, 12, 64},
	{"mid", ModelConfig{Layers: 6, Dim: 384, Heads: 6, Hidden: 1536, Vocab: 4096, Context: 256}, 8, 256},
	{"gpt2", ModelConfig{Layers: 12, Dim: 768, Heads: 12, Hidden: 3072, Vocab: 50257, Context: 1024}, 4, 64},
}

const (
	benchWarmup = 3                      // calls before those that are timed
	peakTime    = 300 * time.Millisecond // duration of one measurement of the peak
)

// newStep returns a new model and a function that takes one training step on random tokens, all sequences in one
// micro-batch.
func (b *benchCase) newStep(cfg *Config) (*LLM, func()) {
	cfg.Model, cfg.Batch = b.model, b.batch
	rng := newRNG(cfg.Seed, benchStream)
	m := newLLM(b.model, newRNG(cfg.Seed, initStream))
	samples := make([]example, b.batch)
	for i := range samples {
		for range b.seq + 1 {
			samples[i].tokens = append(samples[i].tokens, rng.IntN(b.model.Vocab))
		}
	}
	s := newStepper(cfg, m, "bench", benchStream)
	taken := 0
	return m, func() {
		taken++
		if _, err := s.take(taken, samples, cfg.Pretrain.LR); err != nil {
			panic(err) // cannot diverge: random tokens, initial weights
		}
	}
}

// flops returns the floating-point operations of a step:
//
//	6 · tokens · weights of the matrix products, wte once
//	6 · seq² · dim per layer and sequence: the causal half of attention
//
// Work that the program repeats counts once.
func (b *benchCase) flops() float64 {
	m := b.model
	weights := m.Layers*(4*m.Dim*m.Dim+2*m.Dim*m.Hidden) + m.Vocab*m.Dim
	products := 6 * float64(b.batch*b.seq) * float64(weights)
	attention := 6 * float64(b.batch*m.Layers) * float64(b.seq*b.seq) * float64(m.Dim)
	return products + attention
}

// timed returns the median and the shortest time of n calls, in seconds.
func timed(n int, work func()) (median, shortest float64) {
	for range benchWarmup {
		work()
	}
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		work()
		times[i] = time.Since(start).Seconds()
	}
	shortest = slices.Min(times)
	return stats.Median(times), shortest
}

// The speed of generation: prefill runs the whole prompt in one pass; decode runs one token at a time, and its time is
// about that of reading every weight and the keys and values of the prompt once. The memory bandwidth of the same
// threads is measured in the same run.

// generateResult is what `gogpt bench --generate --json` prints.
type generateResult struct {
	Params       int              `json:"params"`
	Threads      int              `json:"threads"`
	Kernel       string           `json:"kernel"`
	Prefill      strictjson.Float `json:"prefill_tokens_per_sec"`
	Decode       strictjson.Float `json:"decode_tokens_per_sec"`
	BytesPerSec  strictjson.Float `json:"bytes_per_sec"`           // weights, keys and values that decoding reads
	Bandwidth    strictjson.Float `json:"bandwidth_bytes_per_sec"` // of a loop that only reads memory
	Efficiency   strictjson.Float `json:"efficiency"`              // bytes_per_sec / bandwidth_bytes_per_sec
	PrefillFLOPS strictjson.Float `json:"prefill_gflops"`
	PeakGFLOPS   strictjson.Float `json:"peak_gflops"`
}

const (
	prefillRounds   = 5       // prompts to time
	bandwidthFloats = 1 << 26 // numbers that the bandwidth loop reads: 256 MiB, far more than any cache
)

// generate times prefill and decode on random weights and returns medians. It measures the bandwidth before and after
// decoding.
func (b *benchCase) generate(cfg *Config, steps int) generateResult {
	m := newLLM(b.model, newRNG(cfg.Seed, initStream))
	d, w := newDecoder(m), newWindow(m.ModelConfig)
	prompt := make([]int, max(1, m.Context/2))
	prefill, _ := timed(prefillRounds, func() {
		w.cache.truncate(0)
		w.set(prompt)
		d.advance(w)
	})
	memory := newMemoryRead()
	times := memory.times()
	decode, _ := timed(steps, func() {
		if len(w.tokens) == m.Context { // full: go back to the end of the prompt before the window slides
			w.tokens = w.tokens[:len(prompt)]
			w.cache.truncate(len(prompt))
		}
		w.push(1)
		d.advance(w)
	})
	bandwidth := memory.rate(append(times, memory.times()...))
	read := 4 * float64(m.ParamCount()-len(m.embed.wpe.W)+2*m.Layers*m.Dim*len(prompt))
	run := benchCase{model: b.model, batch: 1, seq: len(prompt)}
	run.model.Vocab = 0 // prefill computes logits for one token only; not counted
	gflops := run.flops() / 3 / prefill / 1e9
	return generateResult{Params: m.ParamCount(), Threads: kernel.Threads(), Kernel: kernel.Name(),
		Prefill: strictjson.Float(float64(len(prompt)) / prefill), Decode: strictjson.Float(1 / decode),
		BytesPerSec: strictjson.Float(read / decode), Bandwidth: strictjson.Float(bandwidth),
		Efficiency:   strictjson.Float(read / decode / bandwidth),
		PrefillFLOPS: strictjson.Float(gflops), PeakGFLOPS: strictjson.Float(kernel.Peak(peakTime))}
}

// memoryRead reads numbers from memory and keeps only the maximum of each chunk.
type memoryRead struct {
	x   []float32 // [bandwidthFloats]
	top []float32 // [bandwidthFloats / readChunk]
}

const readChunk = 1 << 16 // numbers that a thread reads at a time

// chunks reads chunks lo … hi.
func (r *memoryRead) chunks(lo, hi int) {
	for i := lo; i < hi; i++ {
		r.top[i] = kernel.Max(r.x[i*readChunk : (i+1)*readChunk])
	}
}

// newMemoryRead allocates the numbers and writes them, so that the system provides the memory.
func newMemoryRead() *memoryRead {
	r := &memoryRead{x: make([]float32, bandwidthFloats), top: make([]float32, bandwidthFloats/readChunk)}
	for i := range r.x {
		r.x[i] = float32(i & 1)
	}
	return r
}

// times reads all numbers nine times, with all threads, and returns the seconds of each time.
func (r *memoryRead) times() (seconds []float64) {
	for range 9 {
		start := time.Now()
		kernel.Parallel(len(r.top), r, (*memoryRead).chunks)
		seconds = append(seconds, time.Since(start).Seconds())
	}
	return seconds
}

// rate returns the bytes per second at the median of the times.
func (r *memoryRead) rate(seconds []float64) float64 {
	return 4 * bandwidthFloats / stats.Median(seconds)
}

// print prints the result as text or as one JSON object.
func (r *generateResult) print(c *terminal.Console, asJSON bool) error {
	if asJSON {
		return strictjson.Print(c.Out, r)
	}
	_, err := fmt.Fprintf(c.Out, "%d parameters, %d threads, kernel %s\n"+
		"prefill %.0f tokens/s, %.1f GFLOP/s of %.1f\ndecode %.1f tokens/s, %.2f GB/s of %.2f (%.0f %%)\n",
		r.Params, r.Threads, r.Kernel,
		r.Prefill, r.PrefillFLOPS, r.PeakGFLOPS, r.Decode, r.BytesPerSec/1e9, r.Bandwidth/1e9, 100*r.Efficiency)
	return err
}
