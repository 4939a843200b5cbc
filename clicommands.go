package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"gogpt/internal/kernel"
	"gogpt/internal/strictjson"
	"gogpt/internal/survey"
	"gogpt/internal/terminal"
)

// The commands eval, data and tokenize.

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

// dataResult is what `gogpt data --json` prints.
type dataResult struct {
	Model     string `json:"model,omitempty"` // whose tokenizer counts the tokens
	Tokenizer string `json:"tokenizer"`       // bpe or char
	Vocab     int    `json:"vocab"`
	Context   int    `json:"context"`
	*survey.Survey
}

// dataCommand runs gogpt data.
func dataCommand(c *terminal.Console, args []string) error {
	fs := flag.NewFlagSet("data [PATH…]", flag.ContinueOnError)
	cfg := defaultConfig()
	model := fs.String("model", "", "use the tokenizer and the context of a saved model, a safetensors `FILE`")
	asJSON := fs.Bool("json", false, "print one JSON object, which lists every sample that is cut or occurs twice")
	fs.IntVar(&cfg.Model.Context, "context", cfg.Model.Context, "longest sequence, in tokens")
	fs.IntVar(&cfg.Model.Vocab, "vocab-size", cfg.Model.Vocab, "largest vocabulary in tokens")
	fs.StringVar(&cfg.Tokenizer, "tokenizer", cfg.Tokenizer, "`bpe` or char, learned from the data")
	fs.StringVar(&cfg.ValData, "val-data", cfg.ValData, "held-out `FILE` or folder, compared with the other data")
	fs.Float64Var(&cfg.ValFraction, "val-fraction", cfg.ValFraction, "share of the samples held out, as in training")
	fs.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "seed of the choice of --val-fraction")
	paths, err := parseFlagsAndFiles(c, fs, args)
	if err != nil {
		return err
	}
	for _, name := range []string{"context", "vocab-size", "tokenizer"} {
		if *model != "" && given(fs, name) {
			return usagef("--%s=%s: takes no --model=%s beside it: a model has its own", name, fs.Lookup(name).Value, *model)
		}
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	train, held, err := surveyedSamples(&cfg, paths)
	if err != nil {
		return err
	}
	r, err := newDataResult(&cfg, *model, train, held)
	if err != nil {
		return err
	}
	if *asJSON {
		return strictjson.Print(c.Out, r)
	}
	r.print(c.Out)
	return nil
}

// surveyedSamples returns the samples of the paths, or of the built-in data, and those held out: of --val-data or
// --val-fraction or, for the built-in data, the held-out questions.
func surveyedSamples(cfg *Config, paths []string) (train, held []survey.Sample, err error) {
	if len(paths) > 0 {
		train, err = loadSamples(pathFS{}, paths...)
	} else {
		train, err = loadSamples(repositoryData, pretrainingFile, chatFile)
	}
	if err != nil {
		return nil, nil, err
	}
	switch {
	case cfg.ValData != "":
		held, err = loadSamples(pathFS{}, cfg.ValData)
	case cfg.ValFraction > 0:
		train, held, err = splitSamples(train, cfg.ValFraction, cfg.Seed)
	case len(paths) == 0:
		held, err = loadSamples(repositoryData, heldoutFile)
	}
	return train, held, err
}

// newDataResult tokenizes the samples, by a tokenizer that learns from the training part or that of a saved model, and
// describes them.
func newDataResult(cfg *Config, model string, train, held []survey.Sample) (*dataResult, error) {
	r := &dataResult{Model: model, Context: cfg.Model.Context}
	var t *tokenizer
	var err error
	if model == "" {
		t, err = buildTokenizer(cfg, corpusOfSamples(train))
	} else {
		var m *LLM
		if m, t, err = loadModel(model); err == nil {
			r.Context = m.Context
			if err = requireSpecialTokens(t, corpusOfSamples(slices.Concat(train, held))); err != nil {
				err = fmt.Errorf("%s: %w", model, err)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	r.Tokenizer, r.Vocab = t.kind, t.size()
	for _, samples := range [][]survey.Sample{train, held} {
		measureSamples(t, r.Context, samples)
	}
	r.Survey = survey.New(r.Context, train, held)
	return r, nil
}

// print writes the result as text.
func (r *dataResult) print(out io.Writer) {
	source := "learned from the training part"
	if r.Model != "" {
		source = "of " + r.Model
	}
	fmt.Fprintf(out, "vocabulary %d (%s), %s; context %d tokens: longer samples are cut into windows\n\n",
		r.Vocab, r.Tokenizer, source, r.Context)
	r.Survey.Print(out, r.Context)
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
