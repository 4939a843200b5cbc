package main

import (
	"fmt"
	"slices"
	"time"
)

// How fast a model answers: the prompt in one pass (prefill), then a token at a time (decode), which costs what reading
// every weight and the prompt's keys and values once costs. Beside it the memory bandwidth of the same threads, measured in the same run.

// generateResult is what `gogpt bench --generate --json` prints.
type generateResult struct {
	Params       int       `json:"params"`
	Threads      int       `json:"threads"`
	Kernel       string    `json:"kernel"`
	Prefill      jsonFloat `json:"prefill_tokens_per_sec"`
	Decode       jsonFloat `json:"decode_tokens_per_sec"`
	BytesPerSec  jsonFloat `json:"bytes_per_sec"`           // weights, keys and values read by decoding
	Bandwidth    jsonFloat `json:"bandwidth_bytes_per_sec"` // of reading memory and doing nothing else
	Efficiency   jsonFloat `json:"efficiency"`              // bytes_per_sec / bandwidth_bytes_per_sec
	PrefillFLOPS jsonFloat `json:"prefill_gflops"`
	PeakGFLOPS   jsonFloat `json:"peak_gflops"`
}

const bandwidthFloats = 1 << 26 // numbers read for the bandwidth: 256 MiB, far more than any cache

// generate times prefill and decode on random weights: medians, the bandwidth measured before and after decoding.
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
		if len(w.tokens) == m.Context { // start again behind the prompt, before the window slides
			w.tokens = w.tokens[:len(prompt)]
			w.cache.truncate(len(prompt))
		}
		w.push(1)
		d.advance(w)
	})
	bandwidth := memory.rate(append(times, memory.times()...))
	read := 4 * float64(m.ParamCount()-len(m.embed.wpe.W)+2*m.Layers*m.Dim*len(prompt))
	run := benchCase{model: b.model, batch: 1, seq: len(prompt)}
	run.model.Vocab = 0 // the logits of one row are next to nothing
	gflops := run.flops() / 3 / prefill / 1e9
	return generateResult{Params: m.ParamCount(), Threads: threads(), Kernel: kernelName(),
		Prefill: jsonFloat(float64(len(prompt)) / prefill), Decode: jsonFloat(1 / decode),
		BytesPerSec: jsonFloat(read / decode), Bandwidth: jsonFloat(bandwidth), Efficiency: jsonFloat(read / decode / bandwidth),
		PrefillFLOPS: jsonFloat(gflops), PeakGFLOPS: jsonFloat(measurePeak(peakTime))}
}

const prefillRounds = 5 // timed prompts

// memoryRead reads numbers and keeps nothing but their maximum.
type memoryRead struct {
	x   []float32
	top []float32 // [chunks]
}

const readChunk = 1 << 16

func (r *memoryRead) chunks(lo, hi int) {
	for i := lo; i < hi; i++ {
		r.top[i] = maxOf(r.x[i*readChunk : (i+1)*readChunk])
	}
}

func newMemoryRead() *memoryRead {
	r := &memoryRead{x: make([]float32, bandwidthFloats), top: make([]float32, bandwidthFloats/readChunk)}
	for i := range r.x {
		r.x[i] = float32(i & 1)
	}
	return r
}

// times reads everything by all threads, a few times over.
func (r *memoryRead) times() (seconds []float64) {
	for range 9 {
		start := time.Now()
		parallel(len(r.top), r, (*memoryRead).chunks)
		seconds = append(seconds, time.Since(start).Seconds())
	}
	return seconds
}

// rate is the median rate in bytes a second.
func (r *memoryRead) rate(seconds []float64) float64 {
	slices.Sort(seconds)
	return 4 * bandwidthFloats / seconds[len(seconds)/2]
}

func (r *generateResult) print(c *console, asJSON bool) error {
	if asJSON {
		return printJSON(c.out, r)
	}
	_, err := fmt.Fprintf(c.out, "%d parameters, %d threads, kernel %s\nprefill %.0f tokens/s, %.1f GFLOP/s of %.1f\ndecode %.1f tokens/s, %.2f GB/s of %.2f (%.0f %%)\n",
		r.Params, r.Threads, r.Kernel, r.Prefill, r.PrefillFLOPS, r.PeakGFLOPS, r.Decode, r.BytesPerSec/1e9, r.Bandwidth/1e9, 100*r.Efficiency)
	return err
}
