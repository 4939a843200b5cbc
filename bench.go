package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// How fast a training step is: the trainer's own step (forward, backward, clipping, Adam) on random tokens, beside the
// floating-point peak of the same threads, measured in the same run.

// benchResult is what `gogpt bench --json` prints.
type benchResult struct {
	Params       int       `json:"params"`
	Threads      int       `json:"threads"`
	Kernel       string    `json:"kernel"`
	MSPerStep    jsonFloat `json:"ms_per_step"` // median
	MSMin        jsonFloat `json:"ms_min"`
	TokensPerSec jsonFloat `json:"tokens_per_sec"` // at the median
	GFLOPS       jsonFloat `json:"gflops"`         // at the median
	PeakGFLOPS   jsonFloat `json:"peak_gflops"`    // of a loop of multiply-adds in registers, on the same threads
	Efficiency   jsonFloat `json:"efficiency"`     // gflops / peak_gflops
	RSSMB        jsonFloat `json:"rss_mb"`         // most memory resident so far; 0 where the system does not tell
}

// gemmResult is what `gogpt bench --gemm=M,N,K --json` prints.
type gemmResult struct {
	M          int       `json:"m"`
	N          int       `json:"n"`
	K          int       `json:"k"`
	Threads    int       `json:"threads"`
	Kernel     string    `json:"kernel"`
	MS         jsonFloat `json:"ms"` // median
	MSMin      jsonFloat `json:"ms_min"`
	GFLOPS     jsonFloat `json:"gflops"` // at the median
	PeakGFLOPS jsonFloat `json:"peak_gflops"`
	Efficiency jsonFloat `json:"efficiency"`
}

func benchCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	cfg := defaultConfig()
	b := benchCases[0]
	name := fs.String("case", "", "sizes by `NAME`: tiny, tiny16, nano, mid or gpt2; flags beside it win")
	fs.IntVar(&cfg.Threads, "threads", cfg.Threads, "threads")
	fs.IntVar(&b.model.Layers, "layers", b.model.Layers, "transformer blocks")
	fs.IntVar(&b.model.Heads, "heads", b.model.Heads, "attention heads a block; divides dim")
	fs.IntVar(&b.model.Dim, "dim", b.model.Dim, "channels of the residual stream")
	fs.IntVar(&b.model.Hidden, "hidden", b.model.Hidden, "channels inside the feed-forward")
	fs.IntVar(&b.model.Vocab, "vocab", b.model.Vocab, "tokens")
	fs.IntVar(&b.model.Context, "context", b.model.Context, "longest sequence in tokens")
	fs.IntVar(&b.batch, "batch", b.batch, "sequences a step")
	fs.IntVar(&b.seq, "seq", b.seq, "tokens a sequence")
	steps := fs.Int("steps", 50, "timed steps")
	gemm := fs.String("gemm", "", "time one product of `M,N,K` instead")
	generate := fs.Bool("generate", false, "time prefill and decode instead of training")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := applyCase(fs, *name, &b); err != nil {
		return err
	}
	if err := b.validate(&cfg, *steps); err != nil {
		return err
	}
	setThreads(cfg.Threads)
	if *gemm != "" {
		return gemmCommand(c, *gemm, *steps, *asJSON)
	}
	if *generate {
		r := b.generate(&cfg, *steps)
		return r.print(c, *asJSON)
	}
	r := b.run(&cfg, *steps)
	if *asJSON {
		return printJSON(c.out, r)
	}
	_, err := fmt.Fprintf(c.out, "%d parameters, %d threads, kernel %s\n%.3f ms a step (best %.3f), %.0f tokens/s, %.1f GFLOP/s of %.1f (%.0f %%), %.0f MB resident\n",
		r.Params, r.Threads, r.Kernel, r.MSPerStep, r.MSMin, r.TokensPerSec, r.GFLOPS, r.PeakGFLOPS, 100*r.Efficiency, r.RSSMB)
	return err
}

// applyCase takes the sizes of a named case, except those given as flags.
func applyCase(fs *flag.FlagSet, name string, b *benchCase) error {
	if name == "" {
		return nil
	}
	i := slices.IndexFunc(benchCases, func(c benchCase) bool { return c.name == name })
	if i < 0 {
		return usagef("--case=%s: takes tiny, tiny16, nano, mid or gpt2", name)
	}
	given := map[string]string{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = f.Value.String() })
	*b = benchCases[i]
	var err error
	for flag, value := range given {
		err = errors.Join(err, fs.Set(flag, value))
	}
	return err
}

func (b *benchCase) validate(cfg *Config, steps int) error {
	var r ranges
	r.count("vocab", b.model.Vocab, 1, maxExtent, "")
	r.count("seq", b.seq, 1, maxExtent, "")
	r.count("steps", steps, 1, maxExtent, "")
	cfg.Model = b.model
	cfg.Model.Vocab = max(cfg.Model.Vocab, minVocabSize) // random tokens need no bytes
	cfg.Batch = b.batch
	if err := cmp.Or(r.bad, cfg.validate()); err != nil {
		return err
	}
	r.check(b.seq <= b.model.Context, "seq", b.seq, fmt.Sprintf("at most --context=%d", b.model.Context))
	logits := float64(b.batch) * float64(b.seq) * float64(b.model.Vocab)
	r.check(logits <= maxWeights, "batch", b.batch, fmt.Sprintf("less: with --seq=%d and --vocab=%d a step has %.2g logits, more than 2^38",
		b.seq, b.model.Vocab, logits))
	return r.bad
}

// run times the trainer's step on random tokens.
func (b *benchCase) run(cfg *Config, steps int) benchResult {
	m, step := b.step(cfg)
	median, least := timed(steps, step)
	peak := measurePeak(peakTime)
	gflops := b.flops() / median / 1e9
	return benchResult{Params: m.ParamCount(), Threads: threads(), Kernel: kernelName(),
		MSPerStep: jsonFloat(1e3 * median), MSMin: jsonFloat(1e3 * least),
		TokensPerSec: jsonFloat(float64(b.batch*b.seq) / median), GFLOPS: jsonFloat(gflops), PeakGFLOPS: jsonFloat(peak),
		Efficiency: jsonFloat(gflops / peak), RSSMB: jsonFloat(residentMB())}
}

// gemmCommand times C = A·B of the given extents.
func gemmCommand(c *console, extents string, steps int, asJSON bool) error {
	var sizes intList
	if err := sizes.Set(extents); err != nil || len(sizes) != 3 || slices.Min(sizes) < 1 || slices.Max(sizes) > maxExtent {
		return usagef("--gemm=%s: takes three whole numbers M,N,K from 1 to %d", extents, maxExtent)
	}
	M, N, K := sizes[0], sizes[1], sizes[2]
	if float64(max(M, K))*float64(max(K, N)) > maxWeights {
		return usagef("--gemm=%s: takes matrices of at most 2^38 numbers", extents)
	}
	rng := newRNG(1, benchStream)
	random := func(rows, cols int) matrix {
		data := make([]float32, rows*cols)
		for i := range data {
			data[i] = float32(rng.NormFloat64())
		}
		return rowMajor(data, rows, cols)
	}
	x, y, z := random(M, K), random(K, N), random(M, N)
	median, least := timed(steps, func() { matmul(z, x, y) })
	peak := measurePeak(peakTime)
	gflops := 2 * float64(M) * float64(N) * float64(K) / median / 1e9
	r := gemmResult{M: M, N: N, K: K, Threads: threads(), Kernel: kernelName(), MS: jsonFloat(1e3 * median), MSMin: jsonFloat(1e3 * least),
		GFLOPS: jsonFloat(gflops), PeakGFLOPS: jsonFloat(peak), Efficiency: jsonFloat(gflops / peak)}
	if asJSON {
		return printJSON(c.out, r)
	}
	_, err := fmt.Fprintf(c.out, "%d×%d×%d: %.3f ms (best %.3f), %.1f GFLOP/s of %.1f (%.0f %%)\n",
		M, N, K, r.MS, r.MSMin, r.GFLOPS, r.PeakGFLOPS, 100*r.Efficiency)
	return err
}

// residentMB is the most memory that was resident, in MB of 10⁶ bytes, as Linux tells it; 0 elsewhere.
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
