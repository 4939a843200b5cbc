package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// sampleVocabulary is a tokenizer with tokens for both speakers.
func sampleVocabulary(t *testing.T) *tokenizer {
	tok, err := trainBPE([]string{"What is the sun? It is a star. 太阳是什么？"}, 300)
	require.NoError(t, err)
	return tok
}

func TestTheSampleOfAConversationIsItsWholeFirstQuestion(t *testing.T) {
	tok := sampleVocabulary(t)
	d := newDataset(tok, &corpus{Pairs: []pair{{"太阳是什么？", "A star."}, {"What?", "That."}}}, 64, true, false)
	p := newSamplePrompt(tok, d)
	require.Equal(t, promptTokens(tok, "太阳是什么？"), p.tokens)
	require.Equal(t, "太阳是什么？", p.text)
}

func TestTheSampleOfATextIsItsBeginning(t *testing.T) {
	tok := sampleVocabulary(t)
	for _, c := range []*corpus{{Rows: []string{"What is the sun?"}}, {Streams: []string{"What is the sun? It is a star."}}} {
		p := newSamplePrompt(tok, newDataset(tok, c, 64, false, true))
		require.LessOrEqual(t, len(p.tokens), samplePromptTokens)
		require.NotEmpty(t, p.text)
		require.Regexp(t, "^"+p.text, "What is the sun?")
	}
}

func TestSample_ThePromptOfATextIsAThirdOfItAndNeverLong(t *testing.T) {
	const text = "The sun is a star, and so are many of the lights that we see at night."
	// Every byte is a token, with an end of text before and one behind; with the former the prompt has at most twelve.
	for _, c := range []struct{ length, want int }{
		{1, 1}, {4, 2}, {7, 3}, {13, 5}, {28, 10}, {31, 11}, {len(text), 11},
	} {
		tok := byteTokenizer(t)
		p := newSamplePrompt(tok, newDataset(tok, &corpus{Rows: []string{text[:c.length]}}, 128, false, true))
		require.Equal(t, text[:c.want], p.text, "of %d bytes", c.length)
	}
}

func TestSample_AQuestionThatFillsTheContextStillHasAnAnswer(t *testing.T) {
	tok := byteTokenizer(t)
	question := promptTokens(tok, "What is the sun?")
	for _, context := range []int{len(question) - 1, len(question), len(question) + 1} {
		d := newDataset(tok, &corpus{Pairs: []pair{{"What is the sun?", "A star."}}}, context, true, true)
		p := newSamplePrompt(tok, d)
		require.Equal(t, question[:min(len(question), context)], p.tokens, "a context of %d", context)
		m := roughModel(ModelConfig{Layers: 1, Heads: 1, Dim: 8, Hidden: 8, Context: context, Vocab: tok.size()}, 1)
		_, err := greedy(m, p.tokens, 1, tok.endOfText)
		require.NoError(t, err)
	}
}

func TestASampleFollowsEpochsFartherAndFartherApart(t *testing.T) {
	p := &samplePrompt{}
	var due []int
	for epoch := 1; epoch <= 40; epoch++ {
		if p.due(epoch, false) {
			due = append(due, epoch)
		}
	}
	require.Equal(t, []int{1, 2, 4, 8, 16, 32}, due)
	require.False(t, (*samplePrompt)(nil).due(1, true), "none asked for")
}

func TestTheLastEpochOfAPhaseIsFollowedByASample(t *testing.T) {
	for _, c := range []struct {
		end    string
		config func(*Config)
		want   []int
	}{
		{endCompleted, func(c *Config) { c.Pretrain.Epochs = 5 }, []int{1, 2, 4, 5}},
		{endCompleted, func(c *Config) { c.Pretrain.Epochs = 4 }, []int{1, 2, 4}},
		{endMaxSteps, func(c *Config) { c.Pretrain.Epochs, c.MaxSteps = 9, 30 }, []int{1, 2, 3}}, // ten steps an epoch
		{endEarlyStop, func(c *Config) { c.Pretrain.Epochs, c.Pretrain.LR, c.Pretrain.Patience = 9, 1e-30, 2 }, []int{1, 2, 3}},
	} {
		seen := &collector{}
		r := newTrial(t, func(cfg *Config, p *phase) {
			c.config(cfg)
			p.prompt = newSamplePrompt(byteTokenizer(t), p.train)
		})
		r.monitor.observers = append(r.monitor.observers, seen)
		require.Equal(t, c.end, r.run(t))
		var sampled []int
		for _, record := range seen.records {
			if s, ok := record.(sampleRecord); ok {
				sampled = append(sampled, s.Epoch)
			}
		}
		require.Equal(t, c.want, sampled, c.end)
	}
}

func TestASampleIsTheModelsAnswerAndChangesNoBit(t *testing.T) {
	tok := sampleVocabulary(t)
	c := ModelConfig{Layers: 1, Heads: 2, Dim: 16, Hidden: 16, Context: 32, Vocab: tok.size()}
	m := roughModel(c, 1)
	p := newSamplePrompt(tok, newDataset(tok, &corpus{Pairs: []pair{{"What?", "That."}}}, 32, true, false))
	before := slices.Clone(m.Params()[0].W)
	m.SetDropout(0.5, 1)
	text := p.continuation(m)
	want, err := greedy(roughModel(c, 1), promptTokens(tok, "What?"), sampleTokens, tok.endOfText)
	require.NoError(t, err)
	require.Equal(t, tok.readable(want), text, "that of a model without dropout")
	requireSameBits(t, before, m.Params()[0].W)

	m.Params()[0].W[0] = float32(math.NaN())
	require.Contains(t, p.continuation(m), "(", "a reason, no error: training reports it")
}
