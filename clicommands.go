package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"gogpt/internal/kernel"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

// The commands eval, tokenize and gradcheck.

// errChecksFailed is the error of a check that failed. The printed rows say what failed.
var errChecksFailed = errors.New("the check failed")

// evalCommand runs gogpt eval.
func evalCommand(c *terminal.Console, args []string) error {
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
	kernel.SetThreads(cfg.Threads)
	m, t, err := loadModel(*model)
	if err != nil {
		return err
	}
	text, err := readCorpus(pathFS{}, *data, (*corpus).addTextOrDialogue)
	if err != nil {
		return err
	}
	if err := requireSpecialTokens(t, text); err != nil {
		return fmt.Errorf("%s: %w", *model, err)
	}
	r, err := evaluate(m, t, text)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", *model, *data, err)
	}
	if *asJSON {
		return strictjson.Print(c.Out, r)
	}
	fmt.Fprintf(c.Out, "loss %.4f  ppl %.3f  bits/byte %.4f  tokens %d",
		float64(r.AvgLoss), float64(r.PPL), float64(r.BitsPerByte), r.Tokens)
	if r.ExactMatch != nil {
		answers := len(slices.Concat(text.conversations()...))
		fmt.Fprintf(c.Out, "  exact match %.1f %% of %d", 100*float64(*r.ExactMatch), answers)
	}
	fmt.Fprintln(c.Out)
	return nil
}

// tokenizeResult is what `gogpt tokenize --json` prints.
type tokenizeResult struct {
	IDs    []int    `json:"ids"`            // [n] of n tokens
	Pieces []string `json:"pieces"`         // [n] in byte-level spelling, so that JSON keeps any bytes
	Mask   []bool   `json:"mask,omitempty"` // [n] of a conversation: true for the tokens that the loss counts
}

// tokenizeCommand runs gogpt tokenize.
func tokenizeCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("tokenize", flag.ContinueOnError)
	model := fs.String("model", "", "use the tokenizer of a saved model, a safetensors `FILE`")
	vocab := fs.String("vocab", "", "GPT-2's encoder.json, a `FILE`")
	merges := fs.String("merges", "", "GPT-2's vocab.bpe, a `FILE`")
	text := fs.String("text", "", "the `TEXT`; default: standard input")
	mask := fs.Bool("mask", false, "the text is "+aConversation+": show which tokens the tuning loss counts")
	asJSON := fs.Bool("json", false,
		"print one JSON object, its pieces spelled as in GPT-2's files: one character per byte, Ġ for a space")
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	t, err := loadTokenizer(*model, *vocab, *merges)
	if err != nil {
		return err
	}
	if !given(fs, "text") {
		b, err := io.ReadAll(c.In)
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		*text = string(b)
	}
	r := tokenizeResult{IDs: []int{}, Pieces: []string{}}
	if *mask {
		if r, err = tokenizeChat(t, *text); err != nil {
			return err
		}
	} else {
		r.IDs = t.appendEncode(r.IDs, *text)
	}
	for _, id := range r.IDs {
		r.Pieces = append(r.Pieces, toByteLevel(t.piece(id)))
	}
	if *asJSON {
		return strictjson.Print(c.Out, r)
	}
	for i, id := range r.IDs {
		fmt.Fprintf(c.Out, "%6d  %q", id, t.piece(id))
		if r.Mask != nil && r.Mask[i] {
			fmt.Fprint(c.Out, "  counts")
		}
		fmt.Fprintln(c.Out)
	}
	return nil
}

// loadTokenizer loads the tokenizer of a saved model or of GPT-2's two files.
func loadTokenizer(model, vocab, merges string) (*tokenizer, error) {
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

// tokenizeChat tokenizes a {"user","assistant"} pair or a dialogue as training does.
func tokenizeChat(t *tokenizer, text string) (tokenizeResult, error) {
	if !t.hasChatTokens() {
		return tokenizeResult{}, usagef("--mask: this vocabulary has no tokens for a conversation")
	}
	turns, err := parseChatText(text)
	if err != nil {
		return tokenizeResult{}, usagef("--mask: the text is not %s: %v", aConversation, err)
	}
	e := chatExample(t, turns, false)
	return tokenizeResult{IDs: e.tokens, Mask: e.lossMask}, nil
}

// gradcheckCommand runs gogpt gradcheck.
func gradcheckCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("gradcheck", flag.ContinueOnError)
	cfg := defaultConfig()
	golden := fs.String("golden", "", "compare with a golden case, a safetensors `FILE`, instead")
	asJSON := fs.Bool("json", false, "print one JSON object")
	mode := fs.String("attn-backward", "all",
		"`MODE` to check beside exact: all, exact, straight-through or stop-gradient")
	commonFlags(fs, &cfg)
	modelFlags(fs, &cfg.Model)
	dataFlags(fs, &cfg)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	kernel.SetThreads(cfg.Threads)
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
	showProgress := c.LiveLine()
	rows := checkGradients(m, b, cfg.Seed, showProgress, modes...)
	showProgress("")
	return printGradRows(c, rows, *asJSON)
}

// goldenCommand compares losses, gradients and a training run with a golden case that PyTorch computed.
func goldenCommand(c *terminal.Console, path string, asJSON bool) error {
	g, err := loadGolden(path)
	if err != nil {
		return err
	}
	r, err := g.check()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if asJSON {
		err = strictjson.Print(c.Out, r)
	} else {
		_, err = fmt.Fprint(c.Out, r)
	}
	if err == nil && !r.OK {
		err = fmt.Errorf("%s: %w", path, errChecksFailed)
	}
	return err
}

// checkTokens lists the lengths, in tokens, of the sequences of a gradient check.
var checkTokens = []int{5, 3}

// checkSubject returns a new model and a small batch of the first samples of its data.
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

// printGradRows prints the rows of a gradient check. It returns errChecksFailed when a row failed.
func printGradRows(c *terminal.Console, rows []gradRow, asJSON bool) error {
	ok := true
	for _, r := range rows {
		ok = ok && r.OK
	}
	if asJSON {
		if err := strictjson.Print(c.Out, map[string]any{"rows": rows, "ok": ok}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.Out, "%-16s %-32s %10s %9s %9s %10s\n", "mode", "tensor", "rel err", "cosine", "norm", "rule err")
		for _, r := range rows {
			verdict := "ok"
			if !r.OK {
				verdict = "FAILED"
			}
			fmt.Fprintf(c.Out, "%-16s %-32s %10.1e %9s %9s %10.1e  %s\n", r.Mode, r.Tensor, float64(r.RelErr),
				r.Cosine.OrDash("%.6f"), r.NormRatio.OrDash("%.4f"), float64(r.RuleErr), verdict)
		}
		fmt.Fprintf(c.Out, "\nexact: rel err compares with central differences in float64 "+
			"(limit %.0e, for zero gradients %.0e absolute).\n"+
			"others: rel err, cosine and norm compare with the exact gradient, "+
			"rule err with differences of what the mode assumes.\n"+
			"-: the exact gradient is zero; rel err is the largest entry of the mode's gradient.\n", gradLimit, zeroLimit)
	}
	if !ok {
		return errChecksFailed
	}
	return nil
}
