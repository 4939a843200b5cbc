package main

import (
	"bytes"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

// BenchmarkTrainingStep times the trainer's step: go test -bench TrainingStep/mid -cpuprofile cpu.prof
func BenchmarkTrainingStep(b *testing.B) {
	for _, c := range benchCases {
		b.Run(c.name+"/"+kernel.Name(), func(b *testing.B) {
			cfg := defaultConfig()
			_, step := c.newStep(&cfg)
			step()
			b.ResetTimer()
			for range b.N {
				step()
			}
			b.ReportMetric(c.flops()*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// benchLine is a small case. Its sizes all differ, so that a test notices when one is used for another. A sequence may
// fill the context.
var benchLine = []string{"bench", "--layers=3", "--dim=16", "--heads=2", "--hidden=24", "--vocab-size=11",
	"--context=10", "--json"}

// benchParams is the number of parameters of benchLine: embeddings, blocks of two norms, attention and feed-forward,
// and the last norm.
const benchParams = 11*16 + 10*16 + 3*(2*2*16+16*48+48+16*16+16+16*24+24+24*16+16) + 2*16

// benchFields runs the command line and returns the numbers that it prints.
func benchFields(t *testing.T, args ...string) map[string]float64 {
	code, out, errOut := gogpt(t, args...)
	require.Equal(t, exitOK, code, errOut)
	var fields map[string]any
	onlyJSON(t, out, &fields)
	require.Equal(t, kernel.Name(), fields["kernel"])
	delete(fields, "kernel")
	numbers := map[string]float64{}
	for name, value := range fields {
		if name != "rss_mb" || runtime.GOOS == "linux" {
			require.Greater(t, value, 0.0, name)
		}
		numbers[name] = value.(float64)
	}
	return numbers
}

// requireRatio compares got, a product of rounded figures, with the exact result.
func requireRatio(t *testing.T, want, got float64) {
	t.Helper()
	require.InEpsilon(t, want, got, 1e-12)
}

// Every rate follows from one time: the median step.
func TestBench_FiguresOfAStepAgree(t *testing.T) {
	r := benchFields(t, append(benchLine, "--batch=3", "--seq=10", "--steps=200", "--threads=2")...)
	require.Equal(t, float64(benchParams), r["params"])
	require.Equal(t, 2.0, r["threads"])
	require.Greater(t, r["ms_per_step"], r["ms_min"], "of 200 steps the median is not the fastest")
	seconds := r["ms_per_step"] / 1e3
	requireRatio(t, 3*10, r["tokens_per_sec"]*seconds)
	const products = 3*(16*48+16*16+2*16*24) + 11*16 // weights that are multiplied by
	const causal = 3 * (10 * 10 / 2) * 16            // multiply-adds of Q·K, and as many of P·V, in each sequence
	requireRatio(t, 3*2*3*(10*products+2*causal), r["gflops"]*1e9*seconds)
	requireRatio(t, r["gflops"], r["efficiency"]*r["peak_gflops"])
}

func TestBench_FlagsWinOverACase(t *testing.T) {
	for _, vocab := range []string{
		"--vocab-size=11", "--vocab=11", "--vocab=12 --vocab-size=11", "--vocab-size=12 --vocab=11", // the last one wins
	} {
		r := benchFields(t, append([]string{"bench", "--layers=1", "--dim=8", "--case=tiny16", "--heads=2", "--hidden=12",
			"--seq=4", "--steps=1", "--json"}, strings.Fields(vocab)...)...)
		require.Equal(t, float64(11*8+128*8+(2*2*8+8*24+24+8*8+8+8*12+12+12*8+8)+2*8), r["params"], vocab)
		requireRatio(t, 16*4, r["tokens_per_sec"]*r["ms_per_step"]/1e3) // batch 16 is the case's
		require.Equal(t, r["ms_min"], r["ms_per_step"], "of one step the median is the fastest")
	}
}

func TestBench_FiguresOfAProductAgree(t *testing.T) {
	r := benchFields(t, "bench", "--gemm=50,70,120", "--steps=3", "--json")
	require.Equal(t, []float64{50, 70, 120}, []float64{r["m"], r["n"], r["k"]})
	require.GreaterOrEqual(t, r["ms"], r["ms_min"])
	requireRatio(t, 2*50*70*120, r["gflops"]*1e9*r["ms"]/1e3) // a multiplication and an addition for each m, n, k
	requireRatio(t, r["gflops"], r["efficiency"]*r["peak_gflops"])
}

// A decoded token reads every weight but the positions, and the keys and values of the prompt, half a context long.
func TestBench_FiguresOfGenerationAgree(t *testing.T) {
	r := benchFields(t, append(benchLine, "--generate", "--seq=5", "--steps=20")...)
	require.Equal(t, float64(benchParams), r["params"])
	const keysAndValues = 3 * 2 * 16 * 5
	requireRatio(t, 4*(benchParams-10*16+keysAndValues), r["bytes_per_sec"]/r["decode_tokens_per_sec"])
	requireRatio(t, r["bytes_per_sec"], r["efficiency"]*r["bandwidth_bytes_per_sec"])
	const products = 3 * (16*48 + 16*16 + 2*16*24) // of a token, without its logits
	const causal = 3 * 5 * 16 / 2.0                // multiply-adds of Q·K, and as many of P·V, of a token on average
	requireRatio(t, 2*(products+2*causal), r["prefill_gflops"]*1e9/r["prefill_tokens_per_sec"])
}

// peakResident returns the largest resident memory of this process so far, in bytes, as Linux reports it.
func peakResident(t *testing.T) float64 {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	match := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, match)
	kib, err := strconv.ParseFloat(string(match[1]), 64)
	require.NoError(t, err)
	return kib * 1024
}

// A megabyte is 10⁶ bytes, not 2²⁰, which are 4.9 % more. Linux counts its pages within less than 1 %.
func TestBench_ResidentMemoryIsInMegabytes(t *testing.T) {
	if runtime.GOOS != "linux" {
		require.Zero(t, residentMB())
		return
	}
	before := peakResident(t)
	bytes := residentMB() * 1e6
	require.GreaterOrEqual(t, bytes, 0.99*before)
	require.LessOrEqual(t, bytes, 1.01*peakResident(t))
}

// The first calls are not timed. The median depends neither on one slow call nor on the order.
func TestBench_ReportsTheMedianStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // only time.Sleep moves the clock here
		durations := []time.Duration{700, 800, 900, 9, 2, 4, 100, 3} // ms, warm-up first
		calls := 0
		median, least := timed(5, func() {
			time.Sleep(durations[calls] * time.Millisecond)
			calls++
		})
		require.Equal(t, len(durations), calls)
		require.Equal(t, []float64{0.004, 0.002}, []float64{median, least})
	})
}

func TestBench_CountsTheArithmeticOfAStep(t *testing.T) {
	c := benchCase{model: ModelConfig{Layers: 1, Dim: 2, Heads: 1, Hidden: 3, Vocab: 5, Context: 4}, batch: 2, seq: 4}
	weights := 2*6 + 2*2 + 2*3 + 3*2 + 5*2 // c_attn, c_proj, c_fc, c_proj, wte
	scores := 2 * (4 * 4 / 2) * 2 * 2      // Q·K and P·V of two sequences, half of 4×4, two channels
	require.Equal(t, float64(6*8*weights+3*2*scores), c.flops())
}

func TestBench_RefusesSizesThatDoNotFit(t *testing.T) {
	for line, want := range map[string]string{
		"--case=huge": "--case=huge: ", "--seq=0": "--seq=0: ", "--seq=200": "--seq=200: ", "--seq=129": "--seq=129: ",
		"--seq=11 --context=10": "--seq=11: takes at most --context=10", "--heads=3": "--heads=3: ",
		"--gemm=1,2": "--gemm=1,2: ", "--gemm=0,1,1": "--gemm=0,1,1: ", "--steps=0": "--steps=0: ",
		"--steps=4611686018427387904":    "--steps=4611686018427387904: ",
		"--seq=4611686018427387904":      "--seq=4611686018427387904: ",
		"--vocab=4611686018427387904":    "--vocab-size=4611686018427387904: ",
		"--vocab-size=0":                 "--vocab-size=0: ",
		"--gemm=4294967296,4294967296,1": "--gemm=4294967296,4294967296,1: ",
		"--gemm=16777216,16777216,1":     "--gemm=16777216,16777216,1: ",
		"--batch=16777216 --seq=128":     "--batch=16777216: takes less: with --seq=128 and --vocab-size=2048 ",
		"--batch=4611686018427387904":    "--batch=4611686018427387904: ",
	} {
		var out, errOut bytes.Buffer
		require.Equal(t, exitUsage, run(append([]string{"bench"}, strings.Fields(line)...), nil, &out, &errOut), line)
		require.Contains(t, errOut.String(), want)
		require.Empty(t, out.String())
	}
}
