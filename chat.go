package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/kernel"
)

// A conversation with a model, in the template of its training:
//
//	<|user|>QUESTION<|assistant|>ANSWER<|endoftext|> …

// chat is a conversation. It remembers every turn. The prompt of a question holds as many of the latest turns as fit
// the context.
type chat struct {
	generator  *generator
	turns      []turn
	firstShown int     // turns[firstShown:] are in the prompt of the next question
	lastAnswer *answer // nil before the first
}

// turn is a question with its answer.
type turn struct {
	pair
	tokens []int // in the template, <|endoftext|> included
}

// newChat returns a conversation without a turn.
func newChat(m *LLM, t *tokenizer, c generationConfig) *chat {
	return &chat{generator: newGenerator(m, t, c)}
}

// answerShare is the share of the context that is kept free for an answer.
const answerShare = 0.25

// ask answers a question, which must not be empty, and remembers the turn. It passes the text of the answer to show as
// it grows. When the model does not see the whole conversation, it passes a remark to note.
func (c *chat) ask(ctx context.Context, question string, show func([]byte), note func(string)) (*answer, error) {
	contextSize, asked := c.generator.model.Context, c.questionTokens(question)
	prompt, dropped := c.prompt(asked)
	if dropped > 0 {
		note(fmt.Sprintf("the context of %d tokens is full: the model no longer sees the oldest %s",
			contextSize, counted(dropped, "turn")))
	}
	tooLong := len(prompt) > contextSize
	if tooLong {
		note(fmt.Sprintf("the question has %d tokens, the context %d: the model sees only its end", len(prompt), contextSize))
	}
	a, err := c.generator.answer(ctx, prompt, show)
	if err != nil {
		return nil, err
	}
	if a.slides > 0 && !tooLong {
		note(fmt.Sprintf("the answer does not fit the context of %d tokens: the model continued with its last half only",
			contextSize))
	}
	c.lastAnswer = a
	c.turns = append(c.turns, turn{pair{question, a.text}, c.turnTokens(asked, a)})
	return a, nil
}

// questionTokens returns the tokens of a question in the template. A model without the tokens of the template continues
// the question as a text.
func (c *chat) questionTokens(question string) []int {
	if t := c.generator.tokenizer; !t.hasChatTokens() {
		return t.encode(question)
	}
	return promptTokens(c.generator.tokenizer, question)
}

// turnTokens returns the tokens of a turn in the template, or nil for a model without its tokens.
func (c *chat) turnTokens(asked []int, a *answer) []int {
	t := c.generator.tokenizer
	if !t.hasChatTokens() {
		return nil
	}
	tokens := slices.Clone(asked)
	for _, x := range a.tokens {
		tokens = append(tokens, x.token)
	}
	return append(tokens, t.endOfText)
}

// prompt returns the tokens of the conversation up to the answer to a question. If they do not fit the context together
// with room for an answer, it drops the oldest turns and returns how many.
func (c *chat) prompt(asked []int) (tokens []int, dropped int) {
	if !c.generator.tokenizer.hasChatTokens() {
		return asked, 0
	}
	contextSize := c.generator.model.Context
	room := contextSize - min(c.generator.config.MaxTokens, int(answerShare*float64(contextSize)))
	used, first := len(asked), len(c.turns)
	for first > c.firstShown && used+len(c.turns[first-1].tokens) <= room {
		first--
		used += len(c.turns[first].tokens)
	}
	dropped, c.firstShown = first-c.firstShown, first
	for _, t := range c.turns[first:] {
		tokens = append(tokens, t.tokens...)
	}
	return append(tokens, asked...), dropped
}

// clear starts a new conversation. The former turns can still be saved.
func (c *chat) clear() { c.firstShown = len(c.turns) }

// answered returns the pairs of the turns whose answer is not blank. Training data must not contain blank answers.
func (c *chat) answered() []pair {
	var pairs []pair
	for _, t := range c.turns {
		if strings.TrimSpace(t.Assistant) != "" {
			pairs = append(pairs, t.pair)
		}
	}
	return pairs
}

// printStats prints figures of the model, the context and the last answer.
func (c *chat) printStats(out io.Writer) {
	m := c.generator.model
	fmt.Fprintf(out, "model: %d parameters, %d layers, vocabulary %d, kernel %s, %s\n",
		m.ParamCount(), m.Layers, m.Vocab, kernel.Name(), counted(kernel.Threads(), "thread"))
	fmt.Fprintf(out, "conversation: %s, of which the model sees %d\n",
		counted(len(c.turns), "turn"), len(c.turns)-c.firstShown)
	if a := c.lastAnswer; a != nil {
		fmt.Fprintf(out, "last answer: %s, %.0f per second, ended by %s, %d of %s of the context in use\n",
			counted(len(a.tokens), "token"), a.tokensPerSec(), a.reason, a.contextUsed, counted(m.Context, "token"))
	}
}

// printWhy prints every token of the last answer with its probability and the likeliest alternatives.
func (c *chat) printWhy(out io.Writer) error {
	a, t := c.lastAnswer, c.generator.tokenizer
	if a == nil {
		return errors.New("there is no answer yet")
	}
	for _, token := range a.tokens {
		fmt.Fprintf(out, "  %6.2f %%  %-14s", 100*math.Exp(token.logProb), strconv.Quote(t.piece(token.token)))
		for _, other := range token.top {
			if other.token >= 0 && other.token != token.token {
				fmt.Fprintf(out, "  %s %.2f %%", strconv.Quote(t.piece(other.token)), 100*math.Exp(other.logProb))
			}
		}
		fmt.Fprintln(out)
	}
	for _, b := range c.generator.result(a).Beams {
		fmt.Fprintf(out, "  beam: score %.3f, log-probability %.3f  %q\n", float64(b.Score), float64(b.LogProb), b.Text)
	}
	fmt.Fprintf(out, "  ended by %s\n", a.reason)
	return nil
}

// set changes a setting by the name of its flag.
func (c *chat) set(name, value string) error {
	next := c.generator.config
	next.Stops = slices.Clone(next.Stops)
	fs := settingFlags(&next)
	if fs.Lookup(name) == nil {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return fmt.Errorf("no setting %q%s", name, didYouMean(name, names, ""))
	}
	if err := fs.Set(name, value); err != nil {
		return fmt.Errorf("%s=%s: takes %s", name, value, takes(fs, name))
	}
	if err := next.validate(); err != nil {
		return err
	}
	c.generator.configure(next)
	return nil
}

// settingFlags returns the settings of a conversation as flags.
func settingFlags(c *generationConfig) *flag.FlagSet {
	fs := flag.NewFlagSet("/set", flag.ContinueOnError)
	generationFlags(fs, c)
	return fs
}

// generationFlags defines a flag for every setting of an answer.
func generationFlags(fs *flag.FlagSet, c *generationConfig) {
	fs.Float64Var(&c.Temperature, "temperature", c.Temperature, "divides the logits; 0: always the likeliest token")
	fs.IntVar(&c.TopK, "top-k", c.TopK, "draw from the k likeliest tokens; 0: all")
	fs.Float64Var(&c.TopP, "top-p", c.TopP, "draw from the fewest tokens that hold this share of the probability; 1: all")
	fs.Float64Var(&c.MinP, "min-p", c.MinP, "draw from tokens at least this share as likely as the likeliest; 0: all")
	fs.Float64Var(&c.Repetition, "repetition-penalty", c.Repetition,
		"above 1: tokens that the answer contains become less likely; 1: off")
	fs.Float64Var(&c.Frequency, "frequency-penalty", c.Frequency,
		"subtracted from a token's logit each time that the answer contains it; 0: off")
	fs.Var((*textList)(&c.Stops), "stop", "end the answer before this `TEXT`; may be given several times")
	fs.IntVar(&c.MaxTokens, "max-tokens", c.MaxTokens, "longest answer in tokens")
	fs.IntVar(&c.Beams, "beam", c.Beams, "hypotheses of beam search, which replaces sampling; 1: off")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "seed of sampling")
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

// counted returns a number with its noun, in the plural unless it is 1.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
