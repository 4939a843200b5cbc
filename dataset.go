package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// From texts to samples:
//
//	row           <|endoftext|>TEXT<|endoftext|>                       the loss counts every token but the first
//	conversation  <|user|>QUESTION<|assistant|>ANSWER<|endoftext|> …   it counts the answers and their ends of text
//	running text  TEXT                                                 it counts every token but the first
//
// A sample of n+1 tokens is n pairs of an input and the token that follows it. A sample longer than the context is cut
// into consecutive windows, so that each of its tokens is still predicted once.

// textExample returns the tokens of a row between two ends of text.
func textExample(t *tokenizer, text string) example {
	ids := t.appendEncode([]int{t.endOfText}, text)
	return example{tokens: append(ids, t.endOfText)}
}

// promptTokens returns the tokens before an answer: <|user|>QUESTION<|assistant|>.
func promptTokens(t *tokenizer, question string) []int {
	return append(t.appendEncode([]int{t.user}, question), t.assistant)
}

// chatExample returns the tokens of a conversation. The loss counts all of them, or only the answers and their ends of
// text.
func chatExample(t *tokenizer, pairs []pair, countAll bool) example {
	var e example
	for _, p := range pairs {
		e.tokens = append(e.tokens, promptTokens(t, p.User)...)
		for len(e.lossMask) < len(e.tokens) {
			e.lossMask = append(e.lossMask, countAll)
		}
		e.tokens = append(t.appendEncode(e.tokens, p.Assistant), t.endOfText)
		for len(e.lossMask) < len(e.tokens) {
			e.lossMask = append(e.lossMask, true)
		}
	}
	return e
}

// requireSpecialTokens returns an error when the samples of a corpus need special tokens that the vocabulary lacks.
func requireSpecialTokens(t *tokenizer, c *corpus) error {
	switch {
	case len(c.conversations()) > 0 && !t.hasChatTokens():
		return fmt.Errorf("the vocabulary lacks %s, %s or %s, which conversations need", userTurn, assistantTurn, endOfText)
	case len(c.Rows) > 0 && t.endOfText < 0:
		return fmt.Errorf("the vocabulary lacks %s, which begins and ends every row", endOfText)
	}
	return nil
}

// dataset is the samples that one phase trains on, or that a model is measured on.
type dataset struct {
	context int    // tokens
	seed    uint64 // of the run
	stream  uint64 // random stream of the seed (config.go) for the order, the cuts and the joins of each epoch

	rows         []example // samples that are the same in every epoch
	runningTexts []example // whole texts, cut differently in each epoch
	chats        []example // conversations; in each epoch a random half of them is continued by other ones
}

// newDataset tokenizes a corpus and cuts its rows and conversations to the context. join allows conversations to be
// joined in training; countAll is that of chatExample.
func newDataset(t *tokenizer, c *corpus, context int, join, countAll bool) *dataset {
	d := &dataset{context: context}
	for _, text := range c.Rows {
		d.rows = append(d.rows, cutToContext(textExample(t, text), context)...)
	}
	for _, turns := range c.conversations() {
		e := chatExample(t, turns, countAll)
		if join && len(e.tokens) <= context+1 {
			d.chats = append(d.chats, e)
		} else {
			d.rows = append(d.rows, cutToContext(e, context)...)
		}
	}
	for _, text := range c.Streams {
		if ids := t.encode(text); len(ids) > 1 {
			d.runningTexts = append(d.runningTexts, example{tokens: ids})
		}
	}
	return d
}

// cutToContext returns the windows of an example, without those in which no target counts.
func cutToContext(e example, context int) []example {
	return slices.DeleteFunc(e.windows(context, context), func(w example) bool { return w.targets() == 0 })
}

// rng returns the generator of one epoch: its cuts, its joins, then its order.
func (d *dataset) rng(epoch int) *rand.Rand { return newRNG(d.seed, d.stream+uint64(epoch)<<8) }

// epoch returns the samples of an epoch in the order of training. Epochs count from 0 here.
func (d *dataset) epoch(epoch int) []example {
	rng := d.rng(epoch)
	samples := slices.Clone(d.rows)
	for _, text := range d.runningTexts {
		samples = append(samples, text.windows(d.firstWindow(rng), d.context)...)
	}
	samples = append(samples, d.conversations(rng)...)
	rng.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	return samples
}

// firstWindow returns the random length of the first window of a running text, which shifts all later cuts.
func (d *dataset) firstWindow(rng *rand.Rand) int { return 1 + rng.IntN(d.context) }

// conversations returns one sample per conversation, which begins with it. In half of the samples 1 to 3 other
// conversations follow, as many as fit into the context.
func (d *dataset) conversations(rng *rand.Rand) []example {
	samples := slices.Clone(d.chats)
	if len(samples) < 2 {
		return samples
	}
	order := rng.Perm(len(samples))
	for _, i := range order[:len(order)/2] {
		e := example{tokens: slices.Clone(samples[i].tokens), lossMask: slices.Clone(samples[i].lossMask)}
		for range 1 + rng.IntN(3) {
			next := d.chats[rng.IntN(len(d.chats))]
			if len(e.tokens)+len(next.tokens) > d.context+1 {
				break
			}
			e.tokens, e.lossMask = append(e.tokens, next.tokens...), append(e.lossMask, next.lossMask...)
		}
		samples[i] = e
	}
	return samples
}

// count returns the number of samples in an epoch, without building them.
func (d *dataset) count(epoch int) int {
	n := len(d.rows) + len(d.chats)
	if len(d.runningTexts) == 0 {
		return n
	}
	rng := d.rng(epoch)
	for _, text := range d.runningTexts {
		pairs := len(text.tokens) - 1
		first := min(d.firstWindow(rng), pairs)
		n += 1 + (pairs-first+d.context-1)/d.context
	}
	return n
}

// inOrder returns the samples for measuring: in the order of the corpus, with no conversations joined and running texts
// cut from their first token.
func (d *dataset) inOrder() []example {
	samples := append(slices.Clone(d.rows), d.chats...)
	for _, text := range d.runningTexts {
		samples = append(samples, text.windows(d.context, d.context)...)
	}
	return samples
}

// splitCorpus splits a corpus into a training part and a held-out part: a random choice of rows, of pairs and of
// dialogues, and the last part of each running text. Callers build the vocabulary from the training part alone.
func splitCorpus(c *corpus, fraction float64, seed uint64) (train, held *corpus, err error) {
	if fraction == 0 || c.texts() == 0 {
		return c, &corpus{}, nil
	}
	rng := newRNG(seed, splitStream)
	train, held = &corpus{}, &corpus{}
	train.Rows, held.Rows = splitRows(c.Rows, fraction, rng)
	train.Pairs, held.Pairs = splitRows(c.Pairs, fraction, rng)
	train.Dialogues, held.Dialogues = splitRows(c.Dialogues, fraction, rng)
	for _, text := range c.Streams {
		first, last := cutStream(text, fraction)
		train.Streams, held.Streams = append(train.Streams, first), append(held.Streams, last)
	}
	return train, held, requireBothParts(train, held, fraction)
}

// requireBothParts returns an error when a split of a corpus leaves a part empty.
func requireBothParts(train, held *corpus, fraction float64) error {
	for _, side := range []*corpus{train, held} {
		if side.texts() == 0 || slices.Contains(side.Streams, "") {
			return fmt.Errorf("--val-fraction=%g leaves nothing to train on or nothing to validate on", fraction)
		}
	}
	return nil
}

// cutStream cuts off the last part of a running text, between two characters.
func cutStream(text string, fraction float64) (train, held string) {
	cut := len(text) - int(math.Round(fraction*float64(len(text))))
	for cut > 0 && cut < len(text) && text[cut]&0xC0 == 0x80 { // inside a character
		cut--
	}
	return text[:cut], text[cut:]
}

// splitRows puts a random share of the rows into held, at least one and not all of them; a single row goes into train.
// Both parts keep the order of rows.
func splitRows[R any](rows []R, fraction float64, rng *rand.Rand) (train, held []R) {
	n := int(math.Round(fraction * float64(len(rows))))
	if len(rows) > 1 {
		n = min(max(n, 1), len(rows)-1)
	} else {
		n = 0
	}
	chosen := make([]bool, len(rows))
	for _, i := range rng.Perm(len(rows))[:n] {
		chosen[i] = true
	}
	for i, row := range rows {
		if chosen[i] {
			held = append(held, row)
		} else {
			train = append(train, row)
		}
	}
	return train, held
}
