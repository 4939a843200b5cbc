package main

import (
	"slices"
	"strings"
)

// Samples by epoch: what the model makes of one fixed prompt as it learns. They go to the observers alone.

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

// newSamplePrompt takes the phase's first sample: of a conversation its first question, of a text its first third.
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

// readable is the text of tokens without the special ones and without halves of characters.
func (t *tokenizer) readable(tokens []int) string {
	plain := slices.DeleteFunc(slices.Clone(tokens), func(id int) bool {
		return id == t.endOfText || id == t.user || id == t.assistant
	})
	return strings.ToValidUTF8(t.decode(plain), "\uFFFD")
}

// due tells whether a sample follows an epoch: 1, 2, 4, 8 and so on, as learning is fastest at the start, and the last.
func (p *samplePrompt) due(epoch int, last bool) bool {
	return p != nil && (last || epoch&(epoch-1) == 0)
}

// continuation is what the model makes of the prompt, the likeliest token each time, or why it makes nothing of it: that
// a model diverged is for training to report.
func (p *samplePrompt) continuation(m *LLM) string {
	out, err := greedy(m, p.tokens, sampleTokens, p.tokenizer.endOfText)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return p.tokenizer.readable(out)
}
