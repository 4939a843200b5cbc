package main

import (
	"fmt"
	"io/fs"

	"gogpt/internal/atomicfile"
	"gogpt/internal/survey"
)

// What a survey of data (internal/survey) looks at: the samples of files with their places, split and tokenized as
// training does.

// loadSamples reads files and folders as eval does, sample by sample.
func loadSamples(fsys fs.FS, names ...string) (samples []survey.Sample, err error) {
	for _, name := range names {
		files, err := corpusFiles(fsys, name)
		if err != nil {
			return nil, err
		}
		before := len(samples)
		for _, file := range files {
			c := &corpus{}
			take := func(row int) {
				samples = append(samples, samplesOf(c, survey.Place{File: file, Row: row})...)
				*c = corpus{onRow: c.onRow}
			}
			c.onRow = take
			if err := c.addFile(fsys, file, (*corpus).addTextOrDialogue); err != nil {
				return nil, atomicfile.PathError(file, err)
			}
			take(0) // a running text
		}
		if len(samples) == before {
			return nil, fmt.Errorf("%s: contains no text", name)
		}
	}
	return samples, nil
}

// samplesOf returns the samples of a corpus, all at the same place.
func samplesOf(c *corpus, at survey.Place) (samples []survey.Sample) {
	add := func(kind string, texts ...string) {
		samples = append(samples, survey.Sample{Place: at, Kind: kind, Texts: texts})
	}
	for _, text := range c.Rows {
		add(survey.Text, text)
	}
	for _, turns := range c.conversations() {
		var texts []string
		for _, turn := range turns {
			texts = append(texts, turn.User, turn.Assistant)
		}
		add(survey.Conversation, texts...)
	}
	for _, text := range c.Streams {
		add(survey.RunningText, text)
	}
	return samples
}

// corpusOfSamples returns the corpus of the samples.
func corpusOfSamples(samples []survey.Sample) *corpus {
	c := &corpus{}
	for _, s := range samples {
		switch s.Kind {
		case survey.Text:
			c.Rows = append(c.Rows, s.Texts[0])
		case survey.Conversation:
			if turns := turnsOf(s); len(turns) == 1 {
				c.Pairs = append(c.Pairs, turns...)
			} else {
				c.Dialogues = append(c.Dialogues, turns)
			}
		case survey.RunningText:
			c.Streams = append(c.Streams, s.Texts[0])
		}
	}
	return c
}

// turnsOf returns the turns of a conversation.
func turnsOf(s survey.Sample) (turns []pair) {
	for i := 0; i < len(s.Texts); i += 2 {
		turns = append(turns, pair{s.Texts[i], s.Texts[i+1]})
	}
	return turns
}

// exampleOf returns the tokens of a sample.
func exampleOf(t *tokenizer, s survey.Sample) example {
	switch s.Kind {
	case survey.Text:
		return textExample(t, s.Texts[0])
	case survey.Conversation:
		return chatExample(t, turnsOf(s), false)
	}
	return example{tokens: t.encode(s.Texts[0])}
}

// measureSamples sets the lengths of the samples, and how many windows a dataset makes of each.
func measureSamples(t *tokenizer, context int, samples []survey.Sample) {
	for i, s := range samples {
		e := exampleOf(t, s)
		samples[i].Length, samples[i].Windows = len(e.tokens)-1, len(cutToContext(e, context))
	}
}

// splitSamples holds out a share of the samples, as training would that has the texts for pretraining and the
// conversations for tuning.
func splitSamples(samples []survey.Sample, fraction float64, seed uint64) (train, held []survey.Sample, err error) {
	if fraction == 0 {
		return samples, nil, nil
	}
	var rows, streams, pairs, dialogues []survey.Sample
	for _, s := range samples {
		switch {
		case s.Kind == survey.Text:
			rows = append(rows, s)
		case s.Kind == survey.RunningText:
			streams = append(streams, s)
		case len(s.Texts) == 2:
			pairs = append(pairs, s)
		default:
			dialogues = append(dialogues, s)
		}
	}
	texts, heldTexts := splitRows(rows, fraction, newRNG(seed, splitStream))
	for _, s := range streams {
		first, last := cutStream(s.Texts[0], fraction)
		texts = append(texts, survey.Sample{Place: s.Place, Kind: s.Kind, Texts: []string{first}})
		heldTexts = append(heldTexts, survey.Sample{Place: s.Place, Kind: s.Kind, Texts: []string{last}})
	}
	rng := newRNG(seed, splitStream)
	chats, heldChats := splitRows(pairs, fraction, rng)
	trainDialogues, heldDialogues := splitRows(dialogues, fraction, rng)
	chats, heldChats = append(chats, trainDialogues...), append(heldChats, heldDialogues...)
	for _, phase := range []struct{ train, held []survey.Sample }{{texts, heldTexts}, {chats, heldChats}} {
		if len(phase.train)+len(phase.held) == 0 {
			continue
		}
		if err := requireBothParts(corpusOfSamples(phase.train), corpusOfSamples(phase.held), fraction); err != nil {
			return nil, nil, err
		}
	}
	return append(texts, chats...), append(heldTexts, heldChats...), nil
}
