package main

import (
	"fmt"
	"math"
)

// What decides an answer to a prompt, what it is made of, and the step from one token to the next.

// The reasons why an answer ends.
const (
	stopEnd         = "end_of_text" // the model ends it, by the end of text or by handing over to another speaker
	stopString      = "stop_string" // one of the stop strings is complete; the text has none of it
	stopMaxTokens   = "max_tokens"
	stopInterrupted = "interrupted"
)

// maxBeams bounds the hypotheses of beam search: each keeps a cache of its own.
const maxBeams = 64

// generationConfig is everything that decides an answer, besides the model and the prompt.
type generationConfig struct {
	samplingConfig
	MaxTokens int      // the longest answer
	Stops     []string // texts that end an answer
	Beams     int      // hypotheses of beam search, which takes the place of sampling; 1: off
	Seed      uint64   // of what is drawn
}

// defaultGeneration is greedy: the model is small and knows short facts, and whoever asks the same question twice should
// get the same, likeliest answer. Drawing from the rest of the distribution only adds errors; /set temperature= adds it.
func defaultGeneration() generationConfig {
	return generationConfig{samplingConfig: samplingConfig{TopP: 1, Repetition: 1}, MaxTokens: 256, Beams: 1, Seed: 1}
}

// validate returns the first value that is out of its range, as a *flagError.
func (c *generationConfig) validate() error {
	neutral := samplingConfig{TopP: 1, Repetition: 1}
	switch {
	case c.MaxTokens < 1:
		return &flagError{"max-tokens", c.MaxTokens, "a whole number of at least 1"}
	case c.Beams < 1 || c.Beams > maxBeams:
		return &flagError{"beam", c.Beams, fmt.Sprintf("a whole number from 1 (off) to %d", maxBeams)}
	case c.Beams > 1 && c.samplingConfig != neutral:
		return &flagError{"beam", c.Beams, "no temperature, cut or penalty beside it: it looks for the likeliest answer"}
	}
	return c.samplingConfig.validate()
}

// answerToken is one token of an answer, and what else the model thought of at its place.
type answerToken struct {
	tokenChance
	top [runnersUp]tokenChance
}

// answer is what came of a prompt.
type answer struct {
	text    string
	tokens  []answerToken // without the token that ended it
	reason  string
	seen    int // tokens of the context that its last one, or its end, was chosen by
	slides  int // how often the context was full and its older half was given up
	seconds float64
	beams   []hypothesis // of beam search, the best first
}

// tokensPerSec counts the prompt's time too.
func (a *answer) tokensPerSec() float64 { return float64(len(a.tokens)) / max(a.seconds, 1e-9) }

// hypothesis is one answer that beam search considers.
type hypothesis struct {
	tokens  []answerToken // without the token that ended it
	reason  string        // why it ended; "": open
	logProb float64       // sum over its tokens and its end
	score   float64
	seen    int     // as of an answer
	slides  int     // as of an answer
	from    int     // which hypothesis of the step before it continues
	window  *window // of an open one
}

// generator answers prompts with one model. Its window stays from prompt to prompt, so that what a prompt shares with
// the one before it, as a growing conversation does, is not run again.
type generator struct {
	generationConfig
	*decoder
	tokenizer *tokenizer
	window    *window
	spare     []*window // of beam search, for its next one
	sampler   sampler
	stream    textStream
	tokens    []answerToken // of the answer at work
	probs     []float32     // [V] scratch
}

func newGenerator(m *LLM, t *tokenizer, c generationConfig) *generator {
	g := &generator{decoder: newDecoder(m), tokenizer: t, window: newWindow(m.ModelConfig)}
	g.configure(c)
	return g
}

// configure takes new settings and starts drawing anew from their seed.
func (g *generator) configure(c generationConfig) {
	g.generationConfig = c
	g.sampler.samplingConfig, g.sampler.rng = c.samplingConfig, newRNG(c.Seed, sampleStream)
}

// begin sets up an answer to a prompt.
func (g *generator) begin(prompt []int) {
	g.window.set(prompt)
	g.sampler.begin(g.model.Vocab)
	g.stream.begin(g.Stops)
	g.tokens = g.tokens[:0]
}

// next runs the answer's last token, or the prompt before its first, and chooses the one that follows.
func (g *generator) next() (answerToken, error) {
	if n := len(g.tokens); n > 0 {
		g.window.push(g.tokens[n-1].token)
	}
	logits := g.advance(g.window)
	token, err := g.sampler.choose(logits)
	if err != nil {
		return answerToken{}, err
	}
	return g.weigh(token, logits), nil
}

// weigh gives a token its log-probability after logits [V], and the likeliest ones beside it.
func (g *generator) weigh(token int, logits []float32) answerToken {
	logSum := g.logSum(logits)
	t := answerToken{tokenChance: tokenChance{token, float64(logits[token]) - logSum}}
	likeliestTokens(&t.top, logits, logSum)
	return t
}

// logSum is log Σ exp of logits [V], which are only read.
func (g *generator) logSum(logits []float32) float64 {
	g.probs = resized(g.probs, len(logits))
	top := maxOf(logits)
	return float64(top) + math.Log(expSum(g.probs, logits, 1, top))
}
