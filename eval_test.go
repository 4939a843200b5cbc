package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackedMeasurementEqualsOneByOne(t *testing.T) {
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

func TestMeasuringIsWithoutDropout(t *testing.T) {
	r := newTrial(t, nil)
	e := evaluator{model: r.model}
	want := e.loss(r.phase.train.rows)
	r.model.SetDropout(0.5, 1)
	require.Equal(t, want, e.loss(r.phase.train.rows))
}

func TestBitsPerByteDividesByTheScoredText(t *testing.T) {
	r := newTrial(t, nil)
	tok := byteTokenizer(t)
	c := &corpus{Rows: []string{"中文", "ab"}, Pairs: []pair{{"never counted?", "yes"}}, Streams: []string{"stream"}}
	got, err := evaluate(r.model, tok, c)
	require.NoError(t, err)
	require.Equal(t, (6+1)+(2+1)+(3+1)+(6-1), got.Tokens, "every token but the first of a sample; of pairs the answer")
	nats := float64(got.AvgLoss) * float64(got.Tokens)
	require.InDelta(t, nats/math.Ln2/(6+2+3+5), float64(got.BitsPerByte), 1e-9)
	require.Equal(t, math.Exp(float64(got.AvgLoss)), float64(got.PPL))
	require.Zero(t, *got.ExactMatch, "a model that learned nothing")

	got, err = evaluate(r.model, tok, &corpus{Rows: []string{"ab"}})
	require.NoError(t, err)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"avg_loss", "ppl", "bits_per_byte", "tokens"}, keysOf(t, text))
}

func TestExactMatchIsTheShareOfLearnedAnswers(t *testing.T) {
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
		share, err := exactMatch(r.model, tok, c.pairs)
		require.NoError(t, err)
		require.Equal(t, c.want, share)
	}
}

func TestWindowsOfALongStreamScoreEveryByteButTheFirst(t *testing.T) {
	tok := byteTokenizer(t)
	text := strings.Repeat("中文", 20)
	samples := newDataset(tok, &corpus{Streams: []string{text}}, 7, false, false).inOrder()
	require.Greater(t, len(samples), 1)
	require.Equal(t, len(text)-1, scoredBytes(tok, samples))
}

func TestABrokenModelOrNothingToScoreIsNoMeasurement(t *testing.T) {
	m, tok, path := savedModel(t)
	one := textFile(t, "one.txt", "a")
	code, out, errText := gogpt(t, "eval", "--model="+path, "--data="+one, "--json")
	require.Equal(t, exitError, code)
	require.Empty(t, out)
	require.Equal(t, "gogpt: "+one+": nothing to score: no text of two tokens or more\n", errText)

	for i := range m.lnF.gain.W {
		m.lnF.gain.W[i] = math.MaxFloat32
	}
	for i := range m.embed.wte.W {
		m.embed.wte.W[i] *= 1e4
	}
	_, err := evaluate(m, tok, &corpus{Rows: []string{"ab"}})
	require.ErrorContains(t, err, "the model is broken")
	_, err = exactMatch(m, tok, []pair{{"a?", "b"}})
	require.ErrorContains(t, err, "the model is broken")
}

// One of two answers is right, word for word, and it is 20 tokens long.
func TestEval_PrintsTheShareOfRightAnswersInPerCent(t *testing.T) {
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
