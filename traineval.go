package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gogpt/internal/runlog"
	"gogpt/internal/stats"
	"gogpt/internal/strictjson"
)

// Measuring a model on data that it does not train on: losses, answers, and a sample of its text after some epochs.

// evalResult is what `gogpt eval` prints.
type evalResult struct {
	AvgLoss     strictjson.Float  `json:"avg_loss"` // nats per token
	PPL         strictjson.Float  `json:"ppl"`
	BitsPerByte strictjson.Float  `json:"bits_per_byte"` // of the UTF-8 text that is scored
	Tokens      int               `json:"tokens"`        // scored
	ExactMatch  *strictjson.Float `json:"exact_match,omitempty"`
}

// evaluate measures a model on a corpus: all tokens of rows and streams, of conversations those of the answers. It also
// answers every question greedily and counts the answers that equal the reference. A corpus without
// targets and a loss that is not finite are errors.
func evaluate(m *LLM, t *tokenizer, c *corpus) (evalResult, error) {
	e := evaluator{model: m}
	samples := newDataset(t, c, m.Context, false, false).inOrder()
	s := e.loss(samples)
	switch {
	case s.targets == 0:
		return evalResult{}, errors.New("nothing to score: no text of two tokens or more")
	case !stats.Finite(s.plain):
		return evalResult{}, fmt.Errorf("the loss is %g: the model is broken", s.plain)
	}
	r := evalResult{AvgLoss: strictjson.Float(s.mean()), PPL: strictjson.Float(math.Exp(s.mean())),
		BitsPerByte: strictjson.Float(s.plain / math.Ln2 / float64(scoredBytes(t, samples))), Tokens: s.targets}
	if chats := c.conversations(); len(chats) > 0 {
		share, err := exactMatch(m, t, chats)
		if err != nil {
			return evalResult{}, err
		}
		exact := strictjson.Float(share)
		r.ExactMatch = &exact
	}
	return r, nil
}

// scoredBytes returns the number of bytes of text in the targets that the loss counts. The first token of a stream is
// no target, and a special token has no text.
func scoredBytes(t *tokenizer, samples []example) int {
	n := 0
	for _, s := range samples {
		for i, id := range s.tokens {
			if i > 0 && (s.lossMask == nil || s.lossMask[i]) && !t.isSpecial(id) {
				n += len(t.piece(id))
			}
		}
	}
	return n
}

// exactMatch returns the share of questions, 0…1, whose greedy answer equals the reference answer. The prompt of a
// question holds the turns before it with their reference answers.
func exactMatch(m *LLM, t *tokenizer, chats [][]pair) (float64, error) {
	var prompts [][]int
	var references []string
	for _, turns := range chats {
		for i, p := range turns {
			before := chatExample(t, turns[:i], false).tokens
			prompts = append(prompts, append(before, promptTokens(t, p.User)...))
			references = append(references, p.Assistant)
		}
	}
	answers, err := greedyAll(m, prompts, m.Context, t.endOfText)
	if err != nil {
		return 0, err
	}
	right := 0
	for i, reference := range references {
		if t.decode(answers[i]) == reference {
			right++
		}
	}
	return float64(right) / float64(len(references)), nil
}

// The length of a sample, in tokens.
const (
	samplePromptTokens = 12 // of a running text, at the most; a question is asked whole
	sampleTokens       = 48 // of the continuation, at the most
)

// samplePrompt is the fixed prompt of a phase.
type samplePrompt struct {
	tokenizer *tokenizer
	tokens    []int
	text      string
}

// newSamplePrompt returns a prompt from the first sample of a dataset: the first question of a conversation, or the
// first third of a text.
func newSamplePrompt(t *tokenizer, d *dataset) *samplePrompt {
	tokens := d.inOrder()[0].tokens
	p := &samplePrompt{tokenizer: t}
	if end := slices.Index(tokens, t.assistant); end >= 0 {
		p.tokens = tokens[:min(end+1, d.context)]
	} else {
		p.tokens = tokens[:min(1+len(tokens)/3, samplePromptTokens, d.context)]
	}
	p.text = t.readable(p.tokens)
	return p
}

// readable returns the text of tokens without special tokens. Bytes that are no whole character become U+FFFD.
func (t *tokenizer) readable(tokens []int) string {
	plain := slices.DeleteFunc(slices.Clone(tokens), func(id int) bool {
		return id == t.endOfText || id == t.user || id == t.assistant
	})
	return strings.ToValidUTF8(t.decode(plain), "\uFFFD")
}

// due reports whether a sample is logged after an epoch: after 1, 2, 4, 8 and so on, because learning is fastest at
// the start, and after the last.
func (p *samplePrompt) due(epoch int, last bool) bool {
	return p != nil && (last || epoch&(epoch-1) == 0)
}

// continuation returns the greedy continuation of the prompt, or in parentheses the error of the model. It is not an
// error of the log: training finds a divergence by itself.
func (p *samplePrompt) continuation(m *LLM) string {
	out, err := greedy(m, p.tokens, sampleTokens, p.tokenizer.endOfText)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return p.tokenizer.readable(out)
}

// logSteps makes a trainer log the figures of every n optimizer steps.
func logSteps(n int, t *trainer, write func(record any) error) {
	var sum epochSum
	frozen, released := 0, 0
	t.afterStep = func(step int, r stepResult) error {
		now := len(frozenNames(t.model.Params()))
		if step == 1 { // of the phase; the last steps of the phase before it may have been fewer than n
			sum, frozen, released = epochSum{}, now, 0
		}
		if now < frozen {
			released = step - 1
		}
		frozen = now
		sum.add(r)
		if sum.done < n {
			return nil
		}
		record := runlog.Steps{Event: "steps", Phase: t.phase.name, Step: step, Steps: n,
			AvgLoss: strictjson.Float(sum.loss.mean()), AvgGradNorm: strictjson.Float(sum.norms / float64(n)),
			MaxGradNorm: strictjson.Float(sum.maxNorm), ClippedShare: strictjson.Float(float64(sum.clipped) / float64(n)),
			LR: strictjson.Float(sum.lr), ReleasedAfter: released}
		sum, released = epochSum{}, 0
		return write(record)
	}
}

// logSamples makes a trainer log, after the epochs that are due, how the model continues the prompt of the phase.
func logSamples(t *trainer, prompts map[string]*samplePrompt, write func(record any) error) {
	t.afterEpoch = func(r *runlog.Epoch, last bool) error {
		p := prompts[r.Phase]
		if !p.due(r.Epoch, last) {
			return nil
		}
		return write(runlog.Sample{
			Event: "sample", Phase: r.Phase, Epoch: r.Epoch, Prompt: p.text, Text: p.continuation(t.model)})
	}
}
