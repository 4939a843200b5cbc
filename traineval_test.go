package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
)

func TestEval_PackedSamplesEqualSeparateOnes(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) { p.train = seededDataset(t, mixedCorpus(), 32, 1) })
	samples := r.phase.train.inOrder()
	for len(samples) < 100 {
		samples = append(samples, samples...)
	}
	e := evaluator{model: r.model}
	packed := e.loss(samples)
	var single lossSum
	for _, s := range samples {
		one := e.loss([]example{s})
		single.add(one)
	}
	require.Equal(t, single.targets, packed.targets)
	require.InDelta(t, single.mean(), packed.mean(), 1e-9)
}

func TestEval_BitsPerByteDividesByTheScoredText(t *testing.T) {
	r := newTrial(t, nil)
	tok := byteTokenizer(t)
	c := &corpus{Rows: []string{"中文", "ab"}, Pairs: []pair{{"never counted?", "yes"}}, Streams: []string{"stream"}}
	got, err := evaluate(r.model, tok, c)
	require.NoError(t, err)
	require.Equal(t, (6+1)+(2+1)+(3+1)+(6-1), got.Tokens, "all but the first of a text; of a pair the answer")
	nats := float64(got.AvgLoss) * float64(got.Tokens)
	require.InDelta(t, nats/math.Ln2/(6+2+3+5), float64(got.BitsPerByte), 1e-9)
	require.Equal(t, math.Exp(float64(got.AvgLoss)), float64(got.PPL))
	require.Zero(t, *got.ExactMatch, "the model is not trained")

	got, err = evaluate(r.model, tok, &corpus{Rows: []string{"ab"}})
	require.NoError(t, err)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"avg_loss", "ppl", "bits_per_byte", "tokens"}, keysOf(t, text))
}

func TestEval_AStreamIsScoredButForItsFirstByte(t *testing.T) {
	tok := byteTokenizer(t)
	text := strings.Repeat("中文", 20)
	samples := newDataset(tok, &corpus{Streams: []string{text}}, 7, false, false).inOrder()
	require.Greater(t, len(samples), 1)
	require.Equal(t, len(text)-1, scoredBytes(tok, samples))
}

func TestEval_ExactMatchIsTheShareOfRightAnswers(t *testing.T) {
	pairs := []pair{{"a?", "one"}, {"b?", "two"}}
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain.Epochs, c.Pretrain.LR = 60, 2e-2
		p.train = newDataset(byteTokenizer(t), &corpus{Pairs: pairs}, 32, false, false)
	})
	r.run(t)
	tok := byteTokenizer(t)
	for _, c := range []struct {
		pairs []pair
		want  float64
	}{{pairs, 1}, {[]pair{pairs[0], {"b?", "twofold"}}, 0.5}, {[]pair{{"a?", "one" + strings.Repeat("!", 40)}}, 0}} {
		share, err := exactMatch(r.model, tok, (&corpus{Pairs: c.pairs}).conversations())
		require.NoError(t, err)
		require.Equal(t, c.want, share)
	}
}

// The model answers by position: "b" after four tokens, "dd" after ten.
func TestEval_AsksALaterQuestionAfterTheTurnsBeforeIt(t *testing.T) {
	m, words := timetableModel(t, 32, len("<a?>"), append(saying("b"), saying("....dd")...)...)
	dialogue := []pair{{"a?", "b"}, {"c?", "dd"}}
	require.Len(t, chatExample(words, dialogue, false).tokens, len("<a?>b.<c?>")+len("dd."))
	for _, c := range []struct {
		chats [][]pair
		want  float64
	}{
		{[][]pair{dialogue}, 1}, {[][]pair{dialogue[:1], dialogue[1:]}, 0.5}, {[][]pair{dialogue, {{"a?", "c"}}}, 2.0 / 3},
	} {
		share, err := exactMatch(m, words, c.chats)
		require.NoError(t, err)
		require.InDelta(t, c.want, share, 1e-12)
	}
}

// One of the two answers is right, and it is 20 tokens long.
func TestEval_PrintsExactMatchInPerCent(t *testing.T) {
	answer := strings.Repeat("o", 20)
	m, words := timetableModel(t, 32, len("<a?>"), saying(answer)...)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, saveModel(path, m, words))
	data := textFile(t, "d.json", `[{"user":"a?","assistant":"`+answer+`"},{"user":"b?","assistant":"no"}]`)
	code, out, errText := gogpt(t, "eval", "--model="+path, "--data="+data)
	require.Equal(t, exitOK, code, errText)
	require.Contains(t, out, "  exact match 50.0 % of 2\n")
	code, out, errText = gogpt(t, "eval", "--model="+path, "--data="+data, "--json")
	require.Equal(t, exitOK, code, errText)
	require.Contains(t, out, `"exact_match":0.5`)
}

func TestEval_RefusesABrokenModelAndAnEmptyText(t *testing.T) {
	m, tok, path := savedModel(t)
	one := textFile(t, "one.txt", "a")
	code, out, errText := gogpt(t, "eval", "--model="+path, "--data="+one, "--json")
	require.Equal(t, exitError, code)
	require.Empty(t, out)
	require.Equal(t, "gogpt: "+path+", "+one+": nothing to score: no text of two tokens or more\n", errText)

	for i := range m.lnF.gain.W {
		m.lnF.gain.W[i] = math.MaxFloat32
	}
	for i := range m.embed.wte.W {
		m.embed.wte.W[i] *= 1e4
	}
	_, err := evaluate(m, tok, &corpus{Rows: []string{"ab"}})
	require.ErrorContains(t, err, "the model is broken")
	_, err = exactMatch(m, tok, [][]pair{{{"a?", "b"}}})
	require.ErrorContains(t, err, "the model is broken")
}

// sampleVocabulary is a tokenizer with the special tokens of a conversation.
func sampleVocabulary(t *testing.T) *tokenizer {
	tok, err := trainBPE([]string{"What is the sun? It is a star. 太阳是什么？"}, 300)
	require.NoError(t, err)
	return tok
}

func TestSample_ThePromptOfATextIsItsBeginning(t *testing.T) {
	tok := sampleVocabulary(t)
	const text = "What is the sun? It is a star."
	for _, c := range []*corpus{{Rows: []string{text[:16]}}, {Streams: []string{text}}} {
		p := newSamplePrompt(tok, newDataset(tok, c, 64, false, true))
		require.LessOrEqual(t, len(p.tokens), samplePromptTokens)
		require.NotEmpty(t, p.text)
		require.True(t, strings.HasPrefix(text[:16], p.text), p.text)
	}
}

func TestSample_ThePromptOfATextIsAThirdOfItAndNeverLong(t *testing.T) {
	const text = "The sun is a star, and so are many of the lights that we see at night."
	// Every byte is a token, and an <|endoftext|> stands at both ends. The prompt has at most twelve tokens, of which the
	// first is an <|endoftext|>.
	for _, c := range []struct{ length, want int }{
		{1, 1}, {4, 2}, {7, 3}, {13, 5}, {28, 10}, {31, 11}, {len(text), 11},
	} {
		tok := byteTokenizer(t)
		p := newSamplePrompt(tok, newDataset(tok, &corpus{Rows: []string{text[:c.length]}}, 128, false, true))
		require.Equal(t, text[:c.want], p.text, "of %d bytes", c.length)
	}
}

func TestSample_ThePromptOfAConversationIsItsFirstQuestion(t *testing.T) {
	tok := sampleVocabulary(t)
	d := newDataset(tok, &corpus{Pairs: []pair{{"太阳是什么？", "A star."}, {"What?", "That."}}}, 64, true, false)
	p := newSamplePrompt(tok, d)
	require.Equal(t, promptTokens(tok, "太阳是什么？"), p.tokens)
	require.Equal(t, "太阳是什么？", p.text)
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

func TestSample_EpochsWithASampleAreEverFartherApart(t *testing.T) {
	p := &samplePrompt{}
	var due []int
	for epoch := 1; epoch <= 40; epoch++ {
		if p.due(epoch, false) {
			due = append(due, epoch)
		}
	}
	require.Equal(t, []int{1, 2, 4, 8, 16, 32}, due)
	require.False(t, (*samplePrompt)(nil).due(1, true), "without a prompt no epoch has a sample")
}

func TestSample_FollowsTheLastEpochOfAPhase(t *testing.T) {
	for _, c := range []struct {
		end    string
		config func(*Config)
		want   []int
	}{
		{runlog.Completed, func(c *Config) { c.Pretrain.Epochs = 5 }, []int{1, 2, 4, 5}},
		{runlog.Completed, func(c *Config) { c.Pretrain.Epochs = 4 }, []int{1, 2, 4}},
		{runlog.MaxSteps, func(c *Config) { c.Pretrain.Epochs, c.MaxSteps = 9, 30 }, []int{1, 2, 3}}, // ten steps an epoch
		{runlog.EarlyStop, func(c *Config) {
			c.Pretrain.Epochs, c.Pretrain.LR, c.Pretrain.Patience = 9, 1e-30, 2
		}, []int{1, 2, 3}},
	} {
		seen := &collector{}
		r := newTrial(t, func(cfg *Config, _ *phase) { c.config(cfg) })
		prompts := map[string]*samplePrompt{"pretrain": newSamplePrompt(byteTokenizer(t), dataOf(r.phase))}
		logSamples(r.trainer, prompts, r.monitor.write)
		r.monitor.observers = append(r.monitor.observers, seen)
		require.Equal(t, c.end, r.run(t))
		var sampled []int
		for _, record := range seen.records {
			if s, ok := record.(runlog.Sample); ok {
				sampled = append(sampled, s.Epoch)
			}
		}
		require.Equal(t, c.want, sampled, c.end)
	}
}

func TestSample_IsTheModelsAnswerAndChangesNoBit(t *testing.T) {
	tok := sampleVocabulary(t)
	c := ModelConfig{Layers: 1, Heads: 2, Dim: 16, Hidden: 16, Context: 32, Vocab: tok.size()}
	m := roughModel(c, 1)
	p := newSamplePrompt(tok, newDataset(tok, &corpus{Pairs: []pair{{"What?", "That."}}}, 32, true, false))
	before := slices.Clone(m.Params()[0].W)
	m.SetDropout(0.5, 1)
	text := p.continuation(m)
	want, err := greedy(roughModel(c, 1), promptTokens(tok, "What?"), sampleTokens, tok.endOfText)
	require.NoError(t, err)
	require.Equal(t, tok.readable(want), text, "the sample is drawn without dropout")
	requireSameBits(t, before, m.Params()[0].W)

	m.Params()[0].W[0] = float32(math.NaN())
	require.Contains(t, p.continuation(m), "(", "the sample states the reason, and training goes on")
}
