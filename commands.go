package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
)

// The commands that look at models, texts and logs without training.

// errChecksFailed is the exit code of a check whose table has already told what failed.
var errChecksFailed = errors.New("the check failed")

func versionCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("version", flag.ContinueOnError)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "gogpt %s, %s %s/%s, kernel %s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernelName())
	return err
}

func evalCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("eval", flag.ContinueOnError)
	cfg := defaultConfig()
	model := fs.String("model", "", "saved model, a safetensors `FILE`")
	data := fs.String("data", "", "`FILE` or folder to measure on")
	asJSON := fs.Bool("json", false, "print one JSON object")
	commonFlags(fs, &cfg)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := cmp.Or(required("model", *model), required("data", *data), cfg.validate()); err != nil {
		return err
	}
	setThreads(cfg.Threads)
	m, t, err := loadModel(*model)
	if err != nil {
		return err
	}
	text, err := loadCorpusPath(*data)
	if err != nil {
		return err
	}
	if err := checkSpecials(t, text); err != nil {
		return fmt.Errorf("%s: %w", *model, err)
	}
	r, err := evaluate(m, t, text)
	if err != nil {
		return fmt.Errorf("%s: %w", *data, err)
	}
	if *asJSON {
		return printJSON(c.out, r)
	}
	fmt.Fprintf(c.out, "loss %.4f  ppl %.3f  bits/byte %.4f  tokens %d", float64(r.AvgLoss), float64(r.PPL), float64(r.BitsPerByte), r.Tokens)
	if r.ExactMatch != nil {
		fmt.Fprintf(c.out, "  exact match %.1f %% of %d", 100*float64(*r.ExactMatch), len(text.Pairs))
	}
	fmt.Fprintln(c.out)
	return nil
}

// tokenizeResult is what `gogpt tokenize --json` prints.
type tokenizeResult struct {
	IDs    []int    `json:"ids"`
	Pieces []string `json:"pieces"`         // in byte-level spelling, as vocabulary files hold them: any bytes survive JSON
	Mask   []bool   `json:"mask,omitempty"` // of a conversation: which tokens the loss counts
}

func tokenizeCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("tokenize", flag.ContinueOnError)
	model := fs.String("model", "", "take the tokenizer of a saved model, a safetensors `FILE`")
	vocab := fs.String("vocab", "", "GPT-2's encoder.json, a `FILE`")
	merges := fs.String("merges", "", "GPT-2's vocab.bpe, a `FILE`")
	text := fs.String("text", "", "the `TEXT`; default: standard input")
	mask := fs.Bool("mask", false, "the text is a {\"user\",\"assistant\"} pair: show which tokens the tuning loss counts")
	asJSON := fs.Bool("json", false, "print one JSON object, its pieces as GPT-2's files spell them: a character a byte, Ġ for a space")
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	t, err := chooseTokenizer(*model, *vocab, *merges)
	if err != nil {
		return err
	}
	given := false
	fs.Visit(func(f *flag.Flag) { given = given || f.Name == "text" })
	if !given {
		b, err := io.ReadAll(c.in)
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		*text = string(b)
	}
	r := tokenizeResult{IDs: []int{}, Pieces: []string{}}
	if *mask {
		if r, err = maskedPair(t, *text); err != nil {
			return err
		}
	} else {
		r.IDs = t.appendEncode(r.IDs, *text)
	}
	for _, id := range r.IDs {
		r.Pieces = append(r.Pieces, toByteLevel(t.piece(id)))
	}
	if *asJSON {
		return printJSON(c.out, r)
	}
	for i, id := range r.IDs {
		fmt.Fprintf(c.out, "%6d  %q", id, t.piece(id))
		if r.Mask != nil && r.Mask[i] {
			fmt.Fprint(c.out, "  counts")
		}
		fmt.Fprintln(c.out)
	}
	return nil
}

// chooseTokenizer takes the tokenizer of a model or of GPT-2's two files.
func chooseTokenizer(model, vocab, merges string) (*tokenizer, error) {
	switch {
	case model != "" && vocab == "" && merges == "":
		_, t, err := loadModel(model)
		return t, err
	case model == "" && vocab != "" && merges != "":
		encoder, err := os.ReadFile(vocab)
		if err != nil {
			return nil, err
		}
		bpe, err := os.ReadFile(merges)
		if err != nil {
			return nil, err
		}
		t, err := readGPT2Vocab(encoder, bpe)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", vocab, merges, err)
		}
		return t, nil
	}
	return nil, usagef("tokenize takes either --model=FILE or --vocab=FILE with --merges=FILE")
}

// maskedPair tokenizes a JSON pair by the conversation's template.
func maskedPair(t *tokenizer, text string) (tokenizeResult, error) {
	if !t.speaks() {
		return tokenizeResult{}, usagef("--mask: this vocabulary has no tokens for a conversation")
	}
	p, err := parsePairText(text)
	if err != nil {
		return tokenizeResult{}, usagef("--mask: the text is not a {\"user\":…,\"assistant\":…} pair: %v", err)
	}
	e := chatExample(t, []pair{p}, false)
	return tokenizeResult{IDs: e.tokens, Mask: e.counts}, nil
}

func gradcheckCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("gradcheck", flag.ContinueOnError)
	cfg := defaultConfig()
	golden := fs.String("golden", "", "compare with a golden case, a safetensors `FILE`, instead")
	asJSON := fs.Bool("json", false, "print one JSON object")
	mode := fs.String("attn-backward", "all", "`MODE` to check beside exact: all, exact, straight-through or stop-gradient")
	commonFlags(fs, &cfg)
	modelFlags(fs, &cfg.Model)
	dataFlags(fs, &cfg)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	setThreads(cfg.Threads)
	if *golden != "" {
		return goldenCommand(c, *golden, *asJSON)
	}
	modes := []AttentionBackward{StraightThrough, StopGradient}
	if *mode != "all" {
		modes = modes[:1]
		if err := modes[0].Set(*mode); err != nil {
			return usagef("--attn-backward=%s: takes all, exact, straight-through or stop-gradient", *mode)
		}
	}
	m, b, err := checkSubject(&cfg)
	if err != nil {
		return err
	}
	tell := c.liveLine()
	rows := checkGradients(m, b, cfg.Seed, tell, modes...)
	tell("")
	return printGradRows(c, rows, *asJSON)
}

func goldenCommand(c *console, path string, asJSON bool) error {
	g, err := loadGolden(path)
	if err != nil {
		return err
	}
	r, err := g.check()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if asJSON {
		err = printJSON(c.out, r)
	} else {
		_, err = fmt.Fprint(c.out, r)
	}
	if err == nil && !r.OK {
		err = fmt.Errorf("%s: %w", path, errChecksFailed)
	}
	return err
}

// checkTokens are the lengths of the sequences of a gradient check: two, of different lengths.
var checkTokens = []int{5, 3}

// checkSubject is a fresh model and a small batch of the first samples of its data.
func checkSubject(cfg *Config) (*LLM, *Batch, error) {
	s := &session{cfg: cfg}
	if _, err := s.prepare(); err != nil {
		return nil, nil, err
	}
	b := &Batch{}
	samples := s.phases[0].train.inOrder()
	for i, n := range checkTokens {
		e := samples[i%len(samples)]
		b.add(e.part(0, min(n, len(e.tokens)-1, cfg.Model.Context)))
	}
	return s.model, b, nil
}

// printGradRows prints the table, worst rows told by their last column; it fails when a backward pass breaks its rule.
func printGradRows(c *console, rows []gradRow, asJSON bool) error {
	ok := true
	for _, r := range rows {
		ok = ok && r.OK
	}
	if asJSON {
		if err := printJSON(c.out, map[string]any{"rows": rows, "ok": ok}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "%-16s %-32s %10s %9s %9s %10s\n", "mode", "tensor", "rel err", "cosine", "norm", "rule err")
		for _, r := range rows {
			verdict := "ok"
			if !r.OK {
				verdict = "FAILED"
			}
			fmt.Fprintf(c.out, "%-16s %-32s %10.1e %9s %9s %10.1e  %s\n", r.Mode, r.Tensor, float64(r.RelErr),
				r.Cosine.orDash("%.6f"), r.NormRatio.orDash("%.4f"), float64(r.RuleErr), verdict)
		}
		fmt.Fprintf(c.out, "\nexact: rel err is against central differences in float64 (limit %.0e, zero gradients %.0e absolute).\n"+
			"others: rel err, cosine and norm are against the exact gradient, rule err against differences of what the mode assumes.\n"+
			"-: the exact gradient is zero, and rel err the largest entry of the mode's.\n", gradLimit, zeroLimit)
	}
	if !ok {
		return errChecksFailed
	}
	return nil
}

func reportCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	out := fs.String("o", "", "write the page to `FILE.html`")
	files, err := parseFlagsAndFiles(c, fs, args)
	if err != nil {
		return err
	}
	if *out == "" || len(files) == 0 {
		return usagef("report takes -o FILE.html and the logs of one or several runs, as --log-json writes them")
	}
	var runs []*runLog
	for _, path := range files {
		l, err := readRunLog(path)
		if err != nil {
			return err
		}
		runs = append(runs, l)
	}
	return writePage(*out, "report", newReportPage(runs))
}
