package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

// A conversation with a model, by the template of its training:
//
//	<|user|>QUESTION<|assistant|>ANSWER<|endoftext|> …

// chat is a conversation. It remembers every turn, and gives the model as many of the latest as the context holds.
type chat struct {
	*generator
	turns []turn
	first int // the turn from which on the model is given them
	last  *answer
}

// turn is one exchange.
type turn struct {
	pair
	tokens []int // by the template, with the end
}

func newChat(m *LLM, t *tokenizer, c generationConfig) *chat {
	return &chat{generator: newGenerator(m, t, c)}
}

// answerRoom is the share of the context that is kept free for an answer.
const answerRoom = 0.25

// prompt returns the tokens before the answer to a question. Where the conversation, the question and the room for an
// answer do not fit the context, it lets the oldest turns go and returns how many. A model without the tokens of the
// template continues each text by itself.
func (c *chat) prompt(question string) (tokens []int, dropped int) {
	if !c.tokenizer.speaks() {
		return c.tokenizer.encode(question), 0
	}
	asked := promptTokens(c.tokenizer, question)
	room := c.model.Context - min(c.MaxTokens, int(answerRoom*float64(c.model.Context)))
	held := len(asked)
	first := len(c.turns)
	for first > c.first && held+len(c.turns[first-1].tokens) <= room {
		first--
		held += len(c.turns[first].tokens)
	}
	dropped, c.first = first-c.first, first
	for _, t := range c.turns[first:] {
		tokens = append(tokens, t.tokens...)
	}
	return append(tokens, asked...), dropped
}

// ask answers a question, not empty, shows the text as it comes and remembers the turn. note is told what the model no
// longer sees.
func (c *chat) ask(ctx context.Context, question string, show func([]byte), note func(string)) (*answer, error) {
	tokens, dropped := c.prompt(question)
	if dropped > 0 {
		note(fmt.Sprintf("the context of %d tokens is full: the model no longer sees the oldest %s", c.model.Context, counted(dropped, "turn")))
	}
	if len(tokens) > c.model.Context {
		note(fmt.Sprintf("the question has %d tokens, the context %d: the model sees only its end", len(tokens), c.model.Context))
	}
	cut := len(tokens) > c.model.Context
	a, err := c.answer(ctx, tokens, show)
	if err != nil {
		return nil, err
	}
	if a.slides > 0 && !cut {
		note(fmt.Sprintf("the answer outgrew the context of %d tokens: the model went on from the later half of what it saw", c.model.Context))
	}
	c.last = a
	t := turn{pair: pair{question, a.text}}
	if c.tokenizer.speaks() {
		t.tokens = promptTokens(c.tokenizer, question)
		for _, x := range a.tokens {
			t.tokens = append(t.tokens, x.token)
		}
		t.tokens = append(t.tokens, c.tokenizer.endOfText)
	}
	c.turns = append(c.turns, t)
	return a, nil
}

// forget begins a new conversation; the old turns are still there to be saved.
func (c *chat) forget() { c.first = len(c.turns) }

// counted is a number and its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// textList is a flag that may be given several times; an empty value clears the list.
type textList []string

func (l *textList) String() string { return strings.Join(*l, " ") }

func (l *textList) Set(text string) error {
	if text == "" {
		*l = nil
	} else {
		*l = append(*l, text)
	}
	return nil
}

// generationFlags binds what decides an answer. The names are also those of /set.
func generationFlags(fs *flag.FlagSet, c *generationConfig) {
	fs.Float64Var(&c.Temperature, "temperature", c.Temperature, "divides the logits; 0: always the likeliest token")
	fs.IntVar(&c.TopK, "top-k", c.TopK, "draw from the k likeliest tokens; 0: all")
	fs.Float64Var(&c.TopP, "top-p", c.TopP, "draw from the fewest tokens that hold this share of the probability; 1: all")
	fs.Float64Var(&c.MinP, "min-p", c.MinP, "draw from tokens at least this share as likely as the likeliest; 0: all")
	fs.Float64Var(&c.Repetition, "repetition-penalty", c.Repetition, "makes tokens of the answer less likely to return; 1: off")
	fs.Float64Var(&c.Frequency, "frequency-penalty", c.Frequency, "takes this from a logit for each time its token is in the answer; 0: off")
	fs.Var((*textList)(&c.Stops), "stop", "end the answer before this `TEXT`; may be given several times")
	fs.IntVar(&c.MaxTokens, "max-tokens", c.MaxTokens, "longest answer in tokens")
	fs.IntVar(&c.Beams, "beam", c.Beams, "hypotheses of beam search, in place of drawing; 1: off")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "seed of what is drawn")
}

// answerResult is what `gogpt chat --json` prints for an answer.
type answerResult struct {
	Text         string       `json:"text"`
	Tokens       []int        `json:"tokens"`   // ids, those of a stop string included, the one that ends the answer not
	LogProbs     []jsonFloat  `json:"logprobs"` // of each token by the model, before temperature, penalties and cuts
	StopReason   string       `json:"stop_reason"`
	TokensPerSec jsonFloat    `json:"tokens_per_sec"`
	Beams        []beamResult `json:"beams,omitempty"`
}

// beamResult is one hypothesis of beam search.
type beamResult struct {
	Text    string    `json:"text"`
	LogProb jsonFloat `json:"logprob"` // of the whole answer, its end included
	Score   jsonFloat `json:"score"`   // with length normalisation
}

func (c *chat) result(a *answer) answerResult {
	r := answerResult{Text: a.text, Tokens: []int{}, LogProbs: []jsonFloat{}, StopReason: a.reason, TokensPerSec: jsonFloat(a.tokensPerSec())}
	for _, t := range a.tokens {
		r.Tokens, r.LogProbs = append(r.Tokens, t.token), append(r.LogProbs, jsonFloat(t.logProb))
	}
	for _, h := range a.beams {
		text, _ := c.textOf(h.tokens)
		r.Beams = append(r.Beams, beamResult{text, jsonFloat(h.logProb), jsonFloat(h.score)})
	}
	return r
}
