package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"gogpt/internal/survey"
)

// mixedData is a folder with every kind of file.
var mixedData = fstest.MapFS{
	"d/a.json":   {Data: []byte(`["one", {"user": "q?", "assistant": "a"}, "two", "three"]`)},
	"d/b.jsonl":  {Data: []byte("\n\"four\"\n\n\"User: r? Assistant: b User: s? Assistant: c\"\n")},
	"d/c.txt":    {Data: []byte("a running text\n")},
	"d/d.txt":    {Data: []byte(" \n")},
	"d/notes.md": {Data: []byte("not data")},
}

func TestSamples_HaveThePlacesOfTheirRows(t *testing.T) {
	samples, err := loadSamples(mixedData, "d", "d/b.jsonl")
	require.NoError(t, err)
	var found []string
	for _, s := range samples {
		found = append(found, fmt.Sprint(s.Place, "|", s.Kind, "|", strings.Join(s.Texts, ",")))
	}
	require.Equal(t, []string{
		"d/a.json, row 1|text|one", "d/a.json, row 2|conversation|q?,a", "d/a.json, row 3|text|two",
		"d/a.json, row 4|text|three", "d/b.jsonl, row 1|text|four", "d/b.jsonl, row 2|conversation|r?,b,s?,c",
		"d/c.txt|running text|a running text\n",
		"d/b.jsonl, row 1|text|four", "d/b.jsonl, row 2|conversation|r?,b,s?,c"}, found)
}

// A survey reads what training reads, with the same errors.
func TestSamples_AreThoseOfTheCorpus(t *testing.T) {
	for _, name := range []string{pretrainingFile, chatFile, heldoutFile} {
		samples, err := loadSamples(repositoryData, name)
		require.NoError(t, err)
		require.Equal(t, ownCorpus(t, name).digest(), corpusOfSamples(samples).digest())
	}
	c, err := readCorpus(mixedData, "d", (*corpus).addTextOrDialogue)
	require.NoError(t, err)
	samples, err := loadSamples(mixedData, "d")
	require.NoError(t, err)
	require.Equal(t, c.digest(), corpusOfSamples(samples).digest())
	bad := fstest.MapFS{"bad.json": {Data: []byte(`["x", 1]`)}, "empty.json": {Data: []byte("[]")}, "x.md": {}}
	for _, name := range []string{"bad.json", "empty.json", "x.md", "missing.json"} {
		_, want := loadCorpus(bad, name)
		_, err := loadSamples(bad, name)
		require.EqualError(t, err, want.Error())
	}
}

// A survey holds out what training with the same seed holds out, and refuses what training refuses.
func TestSamples_AreSplitAsInTraining(t *testing.T) {
	texts := &corpus{Rows: twelve, Streams: []string{"a running text of some length"}}
	chats := &corpus{Pairs: pairsOf(twelve)}
	for _, turns := range []int{2, 3, 4} {
		chats.Dialogues = append(chats.Dialogues, pairsOf(twelve[:turns]))
	}
	samples := append(samplesOf(chats, survey.Place{}), samplesOf(texts, survey.Place{})...)
	for seed := range uint64(3) {
		train, held, err := splitSamples(samples, 0.3, seed)
		require.NoError(t, err)
		trainTexts, heldTexts, err := splitCorpus(texts, 0.3, seed)
		require.NoError(t, err)
		trainChats, heldChats, err := splitCorpus(chats, 0.3, seed)
		require.NoError(t, err)
		require.Equal(t, &corpus{Rows: trainTexts.Rows, Streams: trainTexts.Streams, Pairs: trainChats.Pairs,
			Dialogues: trainChats.Dialogues}, corpusOfSamples(train))
		require.Equal(t, &corpus{Rows: heldTexts.Rows, Streams: heldTexts.Streams, Pairs: heldChats.Pairs,
			Dialogues: heldChats.Dialogues}, corpusOfSamples(held))
	}
	train, held, err := splitSamples(samples, 0, 1)
	require.NoError(t, err)
	require.Equal(t, samples, train)
	require.Empty(t, held)
	_, _, err = splitSamples(samplesOf(&corpus{Rows: twelve, Pairs: pairsOf(twelve[:1])}, survey.Place{}), 0.3, 1)
	require.EqualError(t, err, "--val-fraction=0.3 leaves nothing to train on or nothing to validate on")
}

// The windows of a sample are the samples that a dataset makes of it: without those of a conversation that hold no
// answer. Its length is the number of inputs of all windows.
func TestSamples_AreMeasuredAsTheDatasetCutsThem(t *testing.T) {
	words := byteTokenizer(t)
	c := &corpus{Rows: []string{"x", strings.Repeat("y", 20)},
		Pairs:     []pair{{"q", strings.Repeat("z", 10)}, {strings.Repeat("q", 20), "z"}},
		Dialogues: [][]pair{{{"q", "a"}, {"r", "b"}}}, Streams: []string{strings.Repeat("w", 13)}}
	for _, s := range samplesOf(c, survey.Place{}) {
		for _, context := range []int{3, 5, 128} {
			one := []survey.Sample{s}
			measureSamples(words, context, one)
			trained := newDataset(words, corpusOfSamples(one), context, false, false).inOrder()
			inputs := 0
			for _, w := range newDataset(words, corpusOfSamples(one), context, false, true).inOrder() {
				inputs += len(w.tokens) - 1
			}
			require.Equal(t, []int{len(trained), inputs}, []int{one[0].Windows, one[0].Length}, "%v, context %d", s, context)
		}
	}
}
