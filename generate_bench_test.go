package main

import (
	"fmt"
	"testing"
)

// BenchmarkDecode reports what one more token costs, and how fast the weights are read for it; BenchmarkMemory reads as
// much by the same threads without computing.
func BenchmarkDecode(b *testing.B) {
	for _, bc := range benchCases {
		if bc.name == "tiny" || bc.name == "mid" || bc.name == "gpt2" {
			b.Run(bc.name, func(b *testing.B) {
				m := newLLM(bc.model, newRNG(1, initStream))
				d, w := newDecoder(m), newWindow(m.ModelConfig)
				w.set(make([]int, m.Context/4))
				d.advance(w)
				for b.Loop() {
					if len(w.tokens) == m.Context/2 {
						w.tokens = w.tokens[:m.Context/4]
						w.cache.truncate(m.Context / 4)
					}
					w.push(1)
					d.advance(w)
				}
				seconds := b.Elapsed().Seconds() / float64(b.N)
				b.ReportMetric(1/seconds, "tokens/s")
				b.ReportMetric(4*float64(m.ParamCount())/seconds/1e9, "GB/s")
			})
		}
	}
}

// BenchmarkPrefill reports the rate of a prompt that fills half of the context.
func BenchmarkPrefill(b *testing.B) {
	for _, bc := range benchCases {
		if bc.name == "tiny" || bc.name == "gpt2" {
			b.Run(fmt.Sprintf("%s/%d", bc.name, bc.model.Context/2), func(b *testing.B) {
				m := newLLM(bc.model, newRNG(1, initStream))
				d, w := newDecoder(m), newWindow(m.ModelConfig)
				for b.Loop() {
					w.cache.truncate(0)
					w.set(make([]int, m.Context/2))
					d.advance(w)
				}
				b.ReportMetric(float64(m.Context/2)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

type memoryReader struct {
	x   []float32
	sum [64]float64
}

func (r *memoryReader) span(lo, hi int) { r.sum[lo%64] = sum(r.x[lo:hi]) }

func BenchmarkMemory(b *testing.B) {
	r := &memoryReader{x: make([]float32, 1<<27)}
	for i := range r.x {
		r.x[i] = 1
	}
	for b.Loop() {
		parallel(len(r.x), r, (*memoryReader).span)
	}
	b.ReportMetric(4*float64(len(r.x))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
}
