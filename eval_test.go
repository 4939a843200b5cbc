package main

import (
	"encoding/json"
	"math"
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
	got := evaluate(r.model, tok, c)
	require.Equal(t, (6+1)+(2+1)+(3+1)+(6-1), got.Tokens, "every token but the first of a sample; of pairs the answer")
	nats := float64(got.AvgLoss) * float64(got.Tokens)
	require.InDelta(t, nats/math.Ln2/(6+2+3+6), float64(got.BitsPerByte), 1e-9)
	require.Equal(t, math.Exp(float64(got.AvgLoss)), float64(got.PPL))
	require.Zero(t, *got.ExactMatch, "a model that learned nothing")

	text, err := json.Marshal(evaluate(r.model, tok, &corpus{Rows: []string{"ab"}}))
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
	require.Equal(t, 1.0, exactMatch(r.model, tok, pairs))
	require.Equal(t, 0.5, exactMatch(r.model, tok, []pair{pairs[0], {"b?", "twofold"}}))
	require.Zero(t, exactMatch(r.model, tok, []pair{{"a?", "one" + strings.Repeat("!", 40)}}))
}
