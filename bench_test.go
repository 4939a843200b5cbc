package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkTrainingStep times the trainer's step: go test -bench TrainingStep/mid -cpuprofile cpu.prof
func BenchmarkTrainingStep(b *testing.B) {
	for _, c := range benchCases {
		b.Run(c.name+"/"+kernelName(), func(b *testing.B) {
			cfg := defaultConfig()
			_, step := c.step(&cfg)
			step()
			b.ResetTimer()
			for range b.N {
				step()
			}
			b.ReportMetric(c.flops()*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func TestBenchReportsWhatItMeasured(t *testing.T) {
	var out, errOut bytes.Buffer
	code := run([]string{"bench", "--case=tiny", "--layers=1", "--dim=16", "--heads=2", "--hidden=8", "--vocab=11", "--seq=5", "--steps=3", "--json"}, nil, &out, &errOut)
	require.Equal(t, exitOK, code, errOut.String())
	var r map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	for _, key := range []string{"params", "threads", "kernel", "ms_per_step", "ms_min", "tokens_per_sec", "gflops", "peak_gflops", "efficiency", "rss_mb"} {
		require.Contains(t, r, key)
	}
	require.Greater(t, r["ms_per_step"], 0.0)
	require.GreaterOrEqual(t, r["ms_per_step"], r["ms_min"])
}

func TestBenchGenerateReportsWhatItMeasured(t *testing.T) {
	var out, errOut bytes.Buffer
	code := run([]string{"bench", "--generate", "--layers=1", "--dim=16", "--heads=2", "--hidden=8", "--vocab=11", "--context=16", "--seq=5", "--steps=20", "--json"}, nil, &out, &errOut)
	require.Equal(t, exitOK, code, errOut.String())
	var r generateResult
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	for _, rate := range []jsonFloat{r.Prefill, r.Decode, r.BytesPerSec, r.Bandwidth, r.Efficiency, r.PrefillFLOPS, r.PeakGFLOPS} {
		require.Greater(t, float64(rate), 0.0)
	}
}

func TestBenchCountsTheArithmeticOfAStep(t *testing.T) {
	c := benchCase{model: ModelConfig{Layers: 1, Dim: 2, Heads: 1, Hidden: 3, Vocab: 5, Context: 4}, batch: 2, seq: 4}
	weights := 2*6 + 2*2 + 2*3 + 3*2 + 5*2 // c_attn, c_proj, c_fc, c_proj, wte
	scores := 2 * (4 * 4 / 2) * 2 * 2      // Q·K and P·V of two sequences, half of 4×4, two channels
	require.Equal(t, float64(6*8*weights+3*2*scores), c.flops())
}

func TestBenchRefusesSizesThatDoNotFit(t *testing.T) {
	for _, args := range [][]string{{"--case=huge"}, {"--seq=0"}, {"--seq=200"}, {"--heads=3"}, {"--gemm=1,2"}, {"--gemm=0,1,1"}, {"--steps=0"},
		{"--steps=4611686018427387904"}, {"--seq=4611686018427387904"}, {"--vocab=4611686018427387904"}, {"--gemm=4294967296,4294967296,1"},
		{"--gemm=16777216,16777216,1"}, {"--batch=16777216", "--seq=128"}, {"--batch=4611686018427387904"}} {
		var out, errOut bytes.Buffer
		require.Equal(t, exitUsage, run(append([]string{"bench"}, args...), nil, &out, &errOut), args)
		require.Contains(t, errOut.String(), args[0][:6])
	}
}
