package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// byteTokenizer has no tokens but the bytes and the special ones: a text of n bytes is n tokens.
func byteTokenizer(t testing.TB) *tokenizer {
	tok, err := trainBPE([]string{"a"}, minVocabSize)
	require.NoError(t, err)
	return tok
}

// mixedCorpus has rows shorter and longer than a context of 8, pairs and a stream.
func mixedCorpus() *corpus {
	c := &corpus{Streams: []string{strings.Repeat("a running text. ", 9), "short"}}
	for i := range 9 {
		c.Rows = append(c.Rows, strings.Repeat("ab", i+1))
		c.Pairs = append(c.Pairs, pair{fmt.Sprint(i, "?"), fmt.Sprint(i)})
	}
	return c
}

func seededDataset(t testing.TB, c *corpus, context int, seed uint64) *dataset {
	d := newDataset(byteTokenizer(t), c, context, true, false)
	d.seed, d.stream = seed, pretrainOrder
	return d
}

// joinWindows returns the tokens that were cut into windows. Each window begins with the last token of the one before
// it.
func joinWindows(t *testing.T, windows []example, context int) []int {
	tokens := windows[0].tokens[:1]
	for _, w := range windows {
		require.LessOrEqual(t, len(w.tokens)-1, context)
		require.GreaterOrEqual(t, len(w.tokens), 2)
		require.Equal(t, tokens[len(tokens)-1], w.tokens[0])
		tokens = append(slices.Clone(tokens), w.tokens[1:]...)
	}
	return tokens
}

func TestWindows_KeepEveryToken(t *testing.T) {
	for n := 2; n < 40; n++ {
		var e example
		for i := range n {
			e.tokens, e.lossMask = append(e.tokens, i), append(e.lossMask, i%3 == 0)
		}
		for context := 1; context < 12; context++ {
			for first := 1; first <= context; first++ {
				windows := e.windows(first, context)
				require.Equal(t, e.tokens, joinWindows(t, windows, context))
				targets := 0
				for _, w := range windows {
					targets += w.targets()
				}
				require.Equal(t, e.targets(), targets, "every target is counted once")
			}
		}
	}
}

func TestDataset_ARowIsBetweenTwoEndsOfText(t *testing.T) {
	tok := byteTokenizer(t)
	e := textExample(tok, "hi")
	require.Equal(t, "<|endoftext|>hi<|endoftext|>", tok.decode(e.tokens))
	require.Equal(t, 3, e.targets())
}

func TestDataset_CountsAnswersAndTheirEndsOfTextOnly(t *testing.T) {
	tok := byteTokenizer(t)
	pairs := []pair{{"a?", "b"}, {"c?", "dd"}}
	e := chatExample(tok, pairs, false)
	require.Equal(t, "<|user|>a?<|assistant|>b<|endoftext|><|user|>c?<|assistant|>dd<|endoftext|>", tok.decode(e.tokens))
	var counted []int
	for i, id := range e.tokens {
		if e.lossMask[i] {
			counted = append(counted, id)
		}
	}
	require.Equal(t, "b<|endoftext|>dd<|endoftext|>", tok.decode(counted))
	require.Equal(t, 5, e.targets())
	require.Equal(t, len(e.tokens)-1, chatExample(tok, pairs, true).targets(), "--train-on-all")
}

func TestDataset_TrainsOnTheTemplateOfChat(t *testing.T) {
	tok := byteTokenizer(t)
	p := pair{"你好?", "hello"}
	prompt := promptTokens(tok, p.User)
	e := chatExample(tok, []pair{p}, false)
	require.Equal(t, prompt, e.tokens[:len(prompt)])
	require.NotContains(t, e.lossMask[:len(prompt)], true)
	require.NotContains(t, e.lossMask[len(prompt):], false)
	require.Equal(t, p.Assistant, tok.decode(e.tokens[len(prompt):len(e.tokens)-1]))
	require.Equal(t, tok.endOfText, e.tokens[len(e.tokens)-1])
}

func TestBatch_PacksSamplesOneAfterAnother(t *testing.T) {
	b := new(Batch).pack([]example{
		{tokens: []int{1, 2, 3}},
		{tokens: []int{4, 5, 6}, lossMask: []bool{true, false, true}}})
	require.Equal(t, &Batch{Inputs: []int{1, 2, 4, 5}, Targets: []int{2, 3, ignored, 6}, Lengths: []int{2, 2}}, b)
	b.pack([]example{{tokens: []int{7, 8}}})
	require.Equal(t, &Batch{Inputs: []int{7}, Targets: []int{8}, Lengths: []int{1}}, b)
}

func TestDataset_CountsAnEpochWithoutBuildingIt(t *testing.T) {
	for context := 1; context < 30; context++ {
		d := seededDataset(t, mixedCorpus(), context, uint64(context))
		for epoch := range 5 {
			require.Equal(t, len(d.epoch(epoch)), d.count(epoch), "context %d, epoch %d", context, epoch)
		}
	}
}

func TestDataset_AnEpochHasEverySampleOnce(t *testing.T) {
	d := seededDataset(t, &corpus{Rows: mixedCorpus().Rows}, 8, 1)
	for epoch := range 3 {
		require.ElementsMatch(t, d.inOrder(), d.epoch(epoch))
	}
}

func TestDataset_OrderDependsOnSeedEpochAndPhase(t *testing.T) {
	c := mixedCorpus()
	a, b := seededDataset(t, c, 8, 1), seededDataset(t, c, 8, 1)
	require.Equal(t, a.epoch(4), b.epoch(4))
	require.Equal(t, a.epoch(0), b.epoch(0), "an epoch does not depend on the epochs asked for before")
	require.NotEqual(t, a.epoch(0), a.epoch(1))
	require.NotEqual(t, a.epoch(0), seededDataset(t, c, 8, 2).epoch(0))
	b.stream = finetuneOrder
	require.NotEqual(t, a.epoch(0), b.epoch(0))
}

func TestDataset_ShufflesEachEpochDifferently(t *testing.T) {
	d := seededDataset(t, &corpus{Rows: mixedCorpus().Rows}, 100, 1)
	require.NotEqual(t, d.inOrder(), d.epoch(0))
	require.NotEqual(t, d.inOrder(), d.epoch(1))
	require.NotEqual(t, d.epoch(0), d.epoch(1))
	require.NotEqual(t, d.epoch(0), seededDataset(t, &corpus{Rows: mixedCorpus().Rows}, 100, 2).epoch(0))
}

func TestDataset_CutsARunningTextDifferentlyEachEpoch(t *testing.T) {
	text := strings.Repeat("0123456789", 11)
	d := seededDataset(t, &corpus{Streams: []string{text}}, 16, 1)
	cuts := map[int]bool{}
	for epoch := range 40 {
		rng := d.rng(epoch)
		first := d.firstWindow(rng)
		windows := d.runningTexts[0].windows(first, 16)
		require.ElementsMatch(t, windows, d.epoch(epoch))
		require.Equal(t, d.runningTexts[0].tokens, joinWindows(t, windows, 16))
		cuts[first] = true
	}
	require.Greater(t, len(cuts), 10)
	require.Len(t, d.inOrder(), 7, "measuring begins with the first token: 109 pairs in windows of 16")
}

func TestDataset_HalfOfTheConversationsJoinTwoToFourPairs(t *testing.T) {
	tok, c := byteTokenizer(t), &corpus{}
	for i := range 40 {
		c.Pairs = append(c.Pairs, pair{fmt.Sprintf("question %d?", i), fmt.Sprint(i)})
	}
	whole := newDataset(tok, c, 1000, true, false)
	turns := func(e example) (n int) {
		for _, id := range e.tokens {
			if id == tok.user {
				n++
			}
		}
		return n
	}
	seen, leads := map[int]bool{}, map[string]bool{}
	for epoch := range 5 {
		joined := 0
		clear(leads)
		for _, e := range whole.epoch(epoch) {
			n := turns(e)
			seen[n] = true
			if n > 1 {
				joined++
			}
			leads[tok.decode(e.tokens[:slices.Index(e.tokens, tok.endOfText)])] = true
			require.Len(t, e.lossMask, len(e.tokens))
		}
		require.Equal(t, 20, joined)
		require.Len(t, leads, 40, "every pair begins one sample")
	}
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true, 4: true}, seen)

	narrow := newDataset(tok, c, 40, true, false)
	for _, e := range narrow.epoch(0) {
		require.LessOrEqual(t, len(e.tokens)-1, 40)
		require.LessOrEqual(t, turns(e), 2)
	}
}

func TestDataset_ATurnOfADialogueFollowsTheTurnsBeforeIt(t *testing.T) {
	tok := byteTokenizer(t)
	dialogues := [][]pair{{{"a?", "b"}, {"c?", "dd"}}, {{"e?", "f"}, {"g?", "h"}, {"i?", "j"}}}
	c := &corpus{Pairs: []pair{{"k?", "l"}}, Dialogues: dialogues}
	want := []example{chatExample(tok, c.Pairs, false), chatExample(tok, dialogues[0], false),
		chatExample(tok, dialogues[1], false)}
	require.Equal(t, want, newDataset(tok, c, 64, false, false).inOrder())

	joining := newDataset(tok, c, 64, true, false)
	for epoch := range 9 {
		samples := joining.epoch(epoch)
		require.Len(t, samples, len(want))
		for _, first := range want {
			require.True(t, slices.ContainsFunc(samples, func(e example) bool {
				n := len(first.tokens)
				return len(e.tokens) >= n && slices.Equal(e.tokens[:n], first.tokens) &&
					slices.Equal(e.lossMask[:n], first.lossMask)
			}), "a sample begins with each conversation, whole")
		}
	}
}

func TestDataset_CutsAConversationLongerThanTheContext(t *testing.T) {
	p := pair{strings.Repeat("why ", 20), "because of the following reasons"}
	d := newDataset(byteTokenizer(t), &corpus{Pairs: []pair{p}}, 16, true, false)
	targets := 0
	for _, e := range d.epoch(0) {
		require.LessOrEqual(t, len(e.tokens)-1, 16)
		require.Positive(t, e.targets())
		targets += e.targets()
	}
	require.Equal(t, len(p.Assistant)+1, targets)
}

func TestSplit_IsSeededDisjointAndComplete(t *testing.T) {
	c := &corpus{Streams: []string{strings.Repeat("x", 80) + strings.Repeat("终", 10)}}
	for i := range 50 {
		c.Rows = append(c.Rows, fmt.Sprint("row ", i))
		c.Pairs = append(c.Pairs, pair{fmt.Sprint(i), "yes"})
		c.Dialogues = append(c.Dialogues, []pair{{fmt.Sprint(i), "yes"}, {"And?", "no"}})
	}
	train, held, err := splitCorpus(c, 0.2, 7)
	require.NoError(t, err)
	require.Len(t, held.Rows, 10)
	require.Len(t, held.Pairs, 10)
	require.Len(t, held.Dialogues, 10)
	require.ElementsMatch(t, c.Rows, append(slices.Clone(train.Rows), held.Rows...))
	require.ElementsMatch(t, c.Pairs, append(slices.Clone(train.Pairs), held.Pairs...))
	require.ElementsMatch(t, c.Dialogues, append(slices.Clone(train.Dialogues), held.Dialogues...))
	require.Equal(t, c.Streams[0], train.Streams[0]+held.Streams[0])
	require.True(t, utf8.ValidString(held.Streams[0]), "the cut is between two characters")
	require.InDelta(t, 22, len(held.Streams[0]), 2)

	again, _, err := splitCorpus(c, 0.2, 7)
	require.NoError(t, err)
	require.Equal(t, train, again)
	other, _, err := splitCorpus(c, 0.2, 8)
	require.NoError(t, err)
	require.NotEqual(t, train.Rows, other.Rows)
	require.NotEqual(t, c.Rows[40:], held.Rows, "a random choice, not the last rows")

	all, none, err := splitCorpus(c, 0, 7)
	require.NoError(t, err)
	require.Equal(t, c, all)
	require.Equal(t, &corpus{}, none)
}

func TestSplit_RefusesAnEmptySide(t *testing.T) {
	for _, c := range []*corpus{{Rows: []string{"one"}}, {Streams: []string{"ab"}}} {
		_, _, err := splitCorpus(c, 0.1, 1)
		require.ErrorContains(t, err, "--val-fraction=0.1")
	}
	for _, fraction := range []float64{0.001, 0.999} {
		train, held, err := splitCorpus(&corpus{Rows: []string{"one", "two"}}, fraction, 1)
		require.NoError(t, err)
		require.Len(t, train.Rows, 1)
		require.Len(t, held.Rows, 1)
	}
}
