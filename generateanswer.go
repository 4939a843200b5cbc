package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"gogpt/internal/kernel"
	"gogpt/internal/strictjson"
	"gogpt/internal/textstream"
)

// One answer to one prompt: its settings, its tokens, and the loop that chooses one token after another until it ends.

// The reasons why an answer ends.
const (
	stopEnd         = "end_of_text" // the model has produced the end of text or another special token
	stopString      = "stop_string" // the text has reached a stop string, which is not part of the answer
	stopMaxTokens   = "max_tokens"
	stopInterrupted = "interrupted"
)

// maxBeams bounds the hypotheses of beam search: each has its own cache.
const maxBeams = 64

// generationConfig holds all settings of an answer.
type generationConfig struct {
	samplingConfig
	MaxTokens int      // the longest answer
	Stops     []string // texts that end an answer
	Beams     int      // hypotheses of beam search, which replaces sampling; 1: off
	Seed      uint64   // of sampling
}

// defaultGeneration returns greedy decoding. The model is small and knows short facts: the same question should get the
// same, likeliest answer, and sampling from the rest of the distribution adds errors only.
func defaultGeneration() generationConfig {
	return generationConfig{samplingConfig: neutralSampling, MaxTokens: 256, Beams: 1, Seed: 1}
}

// validate returns the first value that is out of its range, as a *flagError.
func (c *generationConfig) validate() error {
	switch {
	case c.MaxTokens < 1:
		return &flagError{"max-tokens", c.MaxTokens, "a whole number of at least 1"}
	case c.Beams < 1 || c.Beams > maxBeams:
		return &flagError{"beam", c.Beams, fmt.Sprintf("a whole number from 1 (off) to %d", maxBeams)}
	case c.Beams > 1 && c.samplingConfig != neutralSampling:
		return &flagError{"beam", c.Beams,
			"no temperature, top-k, top-p, min-p or penalty beside it: beam search samples nothing"}
	}
	return c.samplingConfig.validate()
}

// answerToken is one token of an answer with the likeliest tokens in its place.
type answerToken struct {
	tokenProb
	top [topAlternatives]tokenProb
}

// answer is the continuation of a prompt.
type answer struct {
	text        string
	tokens      []answerToken // without the token that ended it
	reason      string        // why it ended
	contextUsed int           // tokens in the context when it ended
	slides      int           // how often the context was full and its older half was dropped
	seconds     float64       // prefill included
	beams       []hypothesis  // of beam search, the best first
}

// tokensPerSec returns the speed of the answer.
func (a *answer) tokensPerSec() float64 { return float64(len(a.tokens)) / max(a.seconds, 1e-9) }

// generator answers prompts with one model. It keeps its window from prompt to prompt: what a prompt shares with the
// one before it, as in a growing conversation, is not run again.
type generator struct {
	config    generationConfig
	model     *LLM
	tokenizer *tokenizer
	decoder   *decoder
	sampler   sampler

	// the current answer
	window *window
	stream textstream.Stream
	tokens []answerToken

	spare []*window // unused windows of beam search
	probs []float32 // [vocab] scratch
}

// newGenerator returns a generator with an empty window.
func newGenerator(m *LLM, t *tokenizer, c generationConfig) *generator {
	g := &generator{model: m, tokenizer: t, decoder: newDecoder(m), window: newWindow(m.ModelConfig)}
	g.configure(c)
	return g
}

// configure changes the settings and restarts the random numbers from their seed.
func (g *generator) configure(c generationConfig) {
	g.config = c
	g.sampler.config, g.sampler.rng = c.samplingConfig, newRNG(c.Seed, sampleStream)
}

// answer continues a prompt of at least one token and passes its text to show, in whole characters, as it grows. After
// ctx is cancelled it ends with the current token.
func (g *generator) answer(ctx context.Context, prompt []int, show func(text []byte)) (*answer, error) {
	started := time.Now()
	a := &answer{}
	var err error
	if g.config.Beams > 1 {
		err = g.search(ctx, a, prompt)
		show([]byte(a.text))
	} else {
		err = g.sample(ctx, a, prompt, show)
	}
	a.seconds = time.Since(started).Seconds()
	return a, err
}

// sample fills a, one sampled token after another.
func (g *generator) sample(ctx context.Context, a *answer, prompt []int, show func(text []byte)) error {
	var text []byte
	emit := func(b []byte) {
		text = append(text, b...)
		show(b)
	}
	g.begin(prompt)
	for a.reason == "" {
		token, err := g.next()
		switch {
		case err != nil:
			return err
		case g.tokenizer.isSpecial(token.token):
			a.reason = stopEnd
		default:
			g.tokens = append(g.tokens, token)
			piece, stopped := g.stream.Add(g.tokenizer.piece(token.token))
			emit(piece)
			switch {
			case stopped:
				a.reason = stopString
			case len(g.tokens) == g.config.MaxTokens:
				a.reason = stopMaxTokens
			case ctx.Err() != nil:
				a.reason = stopInterrupted
			}
		}
	}
	emit(g.stream.End())
	a.text, a.contextUsed, a.slides = string(text), len(g.window.tokens), g.window.slides
	a.tokens = append([]answerToken(nil), g.tokens...)
	return nil
}

// begin prepares an answer to a prompt.
func (g *generator) begin(prompt []int) {
	g.window.set(prompt)
	g.sampler.begin(g.model.Vocab)
	g.stream.Begin(g.config.Stops)
	g.tokens = g.tokens[:0]
}

// next runs the answer's last token, or the prompt if there is none yet, and samples the token after it.
func (g *generator) next() (answerToken, error) {
	if n := len(g.tokens); n > 0 {
		g.window.push(g.tokens[n-1].token)
	}
	logits := g.decoder.advance(g.window)
	token, err := g.sampler.choose(logits)
	if err != nil {
		return answerToken{}, err
	}
	return g.withProbabilities(token, logits), nil
}

// withProbabilities returns a token with its log-probability, and the likeliest tokens, for logits [vocab].
func (g *generator) withProbabilities(token int, logits []float32) answerToken {
	logSum := g.logSum(logits)
	t := answerToken{tokenProb: tokenProb{token, float64(logits[token]) - logSum}}
	likeliestTokens(&t.top, logits, logSum)
	return t
}

// logSum returns log Σ exp(logits) of logits [vocab].
func (g *generator) logSum(logits []float32) float64 {
	g.probs = kernel.Resized(g.probs, len(logits))
	top := kernel.Max(logits)
	return float64(top) + math.Log(kernel.ExpSum(g.probs, logits, 1, top))
}

// answerResult is an answer as --json prints it.
type answerResult struct {
	Text         string             `json:"text"`
	Tokens       []int              `json:"tokens"`   // a stop string's included, without the special token at the end
	LogProbs     []strictjson.Float `json:"logprobs"` // of each token, before temperature, filters and penalties
	StopReason   string             `json:"stop_reason"`
	TokensPerSec strictjson.Float   `json:"tokens_per_sec"`
	Beams        []beamResult       `json:"beams,omitempty"`
}

// beamResult is one hypothesis of beam search.
type beamResult struct {
	Text    string           `json:"text"`
	LogProb strictjson.Float `json:"logprob"` // sum over the answer, the token that ended it included
	Score   strictjson.Float `json:"score"`   // LogProb with length normalization
}

// result returns an answer in the form that --json prints.
func (g *generator) result(a *answer) answerResult {
	r := answerResult{Text: a.text, Tokens: []int{}, LogProbs: []strictjson.Float{}, StopReason: a.reason,
		TokensPerSec: strictjson.Float(a.tokensPerSec())}
	for _, t := range a.tokens {
		r.Tokens, r.LogProbs = append(r.Tokens, t.token), append(r.LogProbs, strictjson.Float(t.logProb))
	}
	for _, h := range a.beams {
		text, _ := g.textOf(h.tokens)
		r.Beams = append(r.Beams, beamResult{text, strictjson.Float(h.logProb), strictjson.Float(h.score)})
	}
	return r
}
