package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/kernel"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

// The bench command measures the speed of a training step (forward, backward, clipping, Adam) on random tokens and, in
// the same run, the floating-point peak of the same threads.

// benchResult is what `gogpt bench --json` prints.
type benchResult struct {
	Params       int              `json:"params"`
	Threads      int              `json:"threads"`
	Kernel       string           `json:"kernel"`
	MSPerStep    strictjson.Float `json:"ms_per_step"`    // milliseconds, median
	MSMin        strictjson.Float `json:"ms_min"`         // milliseconds, fastest step
	TokensPerSec strictjson.Float `json:"tokens_per_sec"` // at the median
	GFLOPS       strictjson.Float `json:"gflops"`         // at the median
	PeakGFLOPS   strictjson.Float `json:"peak_gflops"`    // of multiply-adds in registers, on the same threads
	Efficiency   strictjson.Float `json:"efficiency"`     // gflops / peak_gflops
	RSSMB        strictjson.Float `json:"rss_mb"`         // largest resident memory so far; 0: unknown
}

// gemmResult is what `gogpt bench --gemm=M,N,K --json` prints.
type gemmResult struct {
	M          int              `json:"m"`
	N          int              `json:"n"`
	K          int              `json:"k"`
	Threads    int              `json:"threads"`
	Kernel     string           `json:"kernel"`
	MS         strictjson.Float `json:"ms"`     // milliseconds, median
	MSMin      strictjson.Float `json:"ms_min"` // milliseconds, fastest product
	GFLOPS     strictjson.Float `json:"gflops"` // at the median
	PeakGFLOPS strictjson.Float `json:"peak_gflops"`
	Efficiency strictjson.Float `json:"efficiency"`
}

// benchCommand runs gogpt bench.
func benchCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	cfg := defaultConfig()
	b := benchCases[0]
	name := fs.String("case", "", "sizes by `NAME`: tiny, tiny16, nano, mid or gpt2; size flags win over them")
	machineFlags(fs, &cfg)
	modelFlags(fs, &b.model)
	fs.IntVar(&b.model.Vocab, "vocab", b.model.Vocab, "the same as --vocab-size")
	fs.IntVar(&b.batch, "batch", b.batch, "sequences per step")
	fs.IntVar(&b.seq, "seq", b.seq, "tokens per sequence")
	steps := fs.Int("steps", 50, "steps to time")
	gemm := fs.String("gemm", "", "time one matrix product [M, K]·[K, N] of sizes `M,N,K` instead")
	generate := fs.Bool("generate", false, "time prefill and decode instead of training")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if *name != "" {
		if err := b.setCase(*name); err != nil {
			return err
		}
		if err := parseFlags(c, fs, args); err != nil { // once more: the sizes given as flags win over the case
			return err
		}
	}
	if err := b.validate(&cfg, *steps); err != nil {
		return err
	}
	kernel.SetThreads(cfg.Threads)
	if *gemm != "" {
		return gemmCommand(c, *gemm, *steps, *asJSON)
	}
	if *generate {
		r := b.generate(&cfg, *steps)
		return r.print(c, *asJSON)
	}
	r := b.run(&cfg, *steps)
	if *asJSON {
		return strictjson.Print(c.Out, r)
	}
	_, err := fmt.Fprintf(c.Out, "%d parameters, %d threads, kernel %s\n"+
		"%.3f ms per step (best %.3f), %.0f tokens/s, %.1f GFLOP/s of %.1f (%.0f %%), %.0f MB resident\n",
		r.Params, r.Threads, r.Kernel,
		r.MSPerStep, r.MSMin, r.TokensPerSec, r.GFLOPS, r.PeakGFLOPS, 100*r.Efficiency, r.RSSMB)
	return err
}

// setCase sets b to the case of the given name.
func (b *benchCase) setCase(name string) error {
	i := slices.IndexFunc(benchCases, func(c benchCase) bool { return c.name == name })
	if i < 0 {
		return usagef("--case=%s: takes tiny, tiny16, nano, mid or gpt2", name)
	}
	*b = benchCases[i]
	return nil
}

// validate returns the first flag that is out of its range, as a *flagError. It sets the sizes in cfg.
func (b *benchCase) validate(cfg *Config, steps int) error {
	var r ranges
	r.count("vocab-size", b.model.Vocab, 1, maxExtent, "")
	r.count("seq", b.seq, 1, maxExtent, "")
	r.count("steps", steps, 1, maxExtent, "")
	cfg.Model = b.model
	cfg.Model.Vocab = max(cfg.Model.Vocab, minVocabSize) // random tokens need no vocabulary of bytes
	cfg.Batch = b.batch
	if err := cmp.Or(r.bad, cfg.validate()); err != nil {
		return err
	}
	r.check(b.seq <= b.model.Context, "seq", b.seq, fmt.Sprintf("at most --context=%d", b.model.Context))
	logits := float64(b.batch) * float64(b.seq) * float64(b.model.Vocab)
	r.check(logits <= maxWeights, "batch", b.batch,
		fmt.Sprintf("less: with --seq=%d and --vocab-size=%d a step has %.2g logits, more than 2^38",
			b.seq, b.model.Vocab, logits))
	return r.bad
}

// run times training steps on random tokens.
func (b *benchCase) run(cfg *Config, steps int) benchResult {
	m, step := b.newStep(cfg)
	median, shortest := timed(steps, step)
	peak := kernel.Peak(peakTime)
	gflops := b.flops() / median / 1e9
	return benchResult{Params: m.ParamCount(), Threads: kernel.Threads(), Kernel: kernel.Name(),
		MSPerStep: strictjson.Float(1e3 * median), MSMin: strictjson.Float(1e3 * shortest),
		TokensPerSec: strictjson.Float(float64(b.batch*b.seq) / median),
		GFLOPS:       strictjson.Float(gflops), PeakGFLOPS: strictjson.Float(peak),
		Efficiency: strictjson.Float(gflops / peak), RSSMB: strictjson.Float(residentMB())}
}

// gemmCommand times the product [M, K]·[K, N] of random matrices and prints the result. extents is "M,N,K".
func gemmCommand(c *terminal.Console, extents string, steps int, asJSON bool) error {
	var sizes intList
	if err := sizes.Set(extents); err != nil || len(sizes) != 3 || slices.Min(sizes) < 1 || slices.Max(sizes) > maxExtent {
		return usagef("--gemm=%s: takes three whole numbers M,N,K from 1 to %d", extents, maxExtent)
	}
	M, N, K := sizes[0], sizes[1], sizes[2]
	if float64(max(M, K))*float64(max(K, N)) > maxWeights {
		return usagef("--gemm=%s: takes matrices of at most 2^38 numbers", extents)
	}
	rng := newRNG(1, benchStream)
	random := func(rows, cols int) kernel.Matrix {
		data := make([]float32, rows*cols)
		for i := range data {
			data[i] = float32(rng.NormFloat64())
		}
		return kernel.RowMajor(data, rows, cols)
	}
	x, y, z := random(M, K), random(K, N), random(M, N)
	median, shortest := timed(steps, func() { kernel.MatMul(z, x, y) })
	peak := kernel.Peak(peakTime)
	gflops := 2 * float64(M) * float64(N) * float64(K) / median / 1e9
	r := gemmResult{M: M, N: N, K: K, Threads: kernel.Threads(), Kernel: kernel.Name(),
		MS: strictjson.Float(1e3 * median), MSMin: strictjson.Float(1e3 * shortest),
		GFLOPS: strictjson.Float(gflops), PeakGFLOPS: strictjson.Float(peak), Efficiency: strictjson.Float(gflops / peak)}
	if asJSON {
		return strictjson.Print(c.Out, r)
	}
	_, err := fmt.Fprintf(c.Out, "%d×%d×%d: %.3f ms (best %.3f), %.1f GFLOP/s of %.1f (%.0f %%)\n",
		M, N, K, r.MS, r.MSMin, r.GFLOPS, r.PeakGFLOPS, 100*r.Efficiency)
	return err
}

// residentMB returns the largest resident memory of the program so far, in MB of 10⁶ bytes, as Linux reports it; 0 on
// other systems.
func residentMB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return 0
			}
			return kib * 1024 / 1e6
		}
	}
	return 0
}
