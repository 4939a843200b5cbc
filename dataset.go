package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// From texts to batches:
//
//	text          <|endoftext|>TEXT<|endoftext|>                             every token counts
//	conversation  <|user|>QUESTION<|assistant|>ANSWER<|endoftext|> …         the answers count, with their end
//
// A sample of n+1 tokens is n pairs of an input and the token that follows it. One longer than the context is cut into
// consecutive windows, so that each of its tokens is still predicted once. A batch packs sequences one after another.

// Batch is sequences of any lengths, one after another.
type Batch struct {
	Inputs  []int // [T] token ids
	Targets []int // [T] the token that follows each, or ignored
	Lengths []int // of the sequences, at least 1 each; they sum to T
}

// example is a run of tokens to learn from; token i counts as a target where counts[i] is true (nil: all do).
type example struct {
	tokens []int
	counts []bool // [len(tokens)] or nil
}

// textExample is one row of text, between two ends of text.
func textExample(t *tokenizer, text string) example {
	ids := t.appendEncode([]int{t.endOfText}, text)
	return example{tokens: append(ids, t.endOfText)}
}

// promptTokens is what the model is given before it answers a question: <|user|>QUESTION<|assistant|>.
func promptTokens(t *tokenizer, question string) []int {
	return append(t.appendEncode([]int{t.user}, question), t.assistant)
}

// chatExample is a conversation by the template. Unless all is set, only answers and their ends count.
func chatExample(t *tokenizer, pairs []pair, all bool) example {
	var e example
	for _, p := range pairs {
		e.tokens = append(e.tokens, promptTokens(t, p.User)...)
		for len(e.counts) < len(e.tokens) {
			e.counts = append(e.counts, all)
		}
		e.tokens = append(t.appendEncode(e.tokens, p.Assistant), t.endOfText)
		for len(e.counts) < len(e.tokens) {
			e.counts = append(e.counts, true)
		}
	}
	return e
}

// checkSpecials tells which special tokens the samples of a corpus need and a vocabulary lacks.
func checkSpecials(t *tokenizer, c *corpus) error {
	switch {
	case len(c.Pairs) > 0 && !t.speaks():
		return fmt.Errorf("the vocabulary lacks %s, %s or %s, of which conversations are made", userTurn, assistantTurn, endOfText)
	case len(c.Rows) > 0 && t.endOfText < 0:
		return fmt.Errorf("the vocabulary lacks %s, which stands around every row", endOfText)
	}
	return nil
}

// part is the window of pairs lo … hi: tokens lo … hi+1.
func (e example) part(lo, hi int) example {
	w := example{tokens: e.tokens[lo : hi+1]}
	if e.counts != nil {
		w.counts = e.counts[lo : hi+1]
	}
	return w
}

// windows cuts an example into windows of at most context pairs, the first one of at most first pairs.
func (e example) windows(first, context int) []example {
	var ws []example
	pairs := len(e.tokens) - 1
	for lo, hi := 0, min(first, pairs); lo < pairs; lo, hi = hi, min(hi+context, pairs) {
		ws = append(ws, e.part(lo, hi))
	}
	return ws
}

// targets is how many targets of the example count.
func (e example) targets() int {
	if e.counts == nil {
		return len(e.tokens) - 1
	}
	n := 0
	for _, c := range e.counts[1:] {
		if c {
			n++
		}
	}
	return n
}

// add packs one more sequence into the batch.
func (b *Batch) add(e example) {
	n := len(e.tokens) - 1
	b.Inputs = append(b.Inputs, e.tokens[:n]...)
	b.Lengths = append(b.Lengths, n)
	for i, target := range e.tokens[1:] {
		if e.counts != nil && !e.counts[i+1] {
			target = ignored
		}
		b.Targets = append(b.Targets, target)
	}
}

// pack replaces the batch by the given sequences, in its memory.
func (b *Batch) pack(es []example) *Batch {
	b.Inputs, b.Targets, b.Lengths = b.Inputs[:0], b.Targets[:0], b.Lengths[:0]
	for _, e := range es {
		b.add(e)
	}
	return b
}

// dataset is what one phase trains on or is measured on.
type dataset struct {
	context int
	seed    uint64
	stream  uint64 // of the seed, for orders and cuts

	rows    []example // windows of fixed samples
	streams []example // running texts, cut anew each epoch
	chats   []example // one pair each; half of them lead a longer conversation, chosen anew each epoch
}

// newDataset tokenizes a corpus for a context. Pairs become conversations, of which all tokens or only the answers count.
// joined lets pairs join others in training.
func newDataset(t *tokenizer, c *corpus, context int, joined, all bool) *dataset {
	d := &dataset{context: context}
	for _, text := range c.Rows {
		d.rows = append(d.rows, textExample(t, text).windows(context, context)...)
	}
	for _, p := range c.Pairs {
		e := chatExample(t, []pair{p}, all)
		if joined && len(e.tokens) <= context+1 {
			d.chats = append(d.chats, e)
		} else {
			d.rows = append(d.rows, e.windows(context, context)...)
		}
	}
	for _, text := range c.Streams {
		if ids := t.encode(text); len(ids) > 1 {
			d.streams = append(d.streams, example{tokens: ids})
		}
	}
	d.rows = slices.DeleteFunc(d.rows, func(e example) bool { return e.targets() == 0 })
	return d
}

// rng is the source of one epoch's order.
func (d *dataset) rng(epoch int) *rand.Rand { return newRNG(d.seed, d.stream+uint64(epoch)<<8) }

// epoch returns the samples of an epoch, numbered from 0, in the order of training.
func (d *dataset) epoch(epoch int) []example {
	rng := d.rng(epoch)
	samples := slices.Clone(d.rows)
	for _, s := range d.streams {
		samples = append(samples, s.windows(d.firstWindow(rng), d.context)...)
	}
	samples = append(samples, d.conversations(rng)...)
	rng.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	return samples
}

// firstWindow is the random length of a stream's first window, which shifts all cuts behind it.
func (d *dataset) firstWindow(rng *rand.Rand) int { return 1 + rng.IntN(d.context) }

// conversations lets every pair lead one sample; in half of them 1 to 3 other pairs follow, as far as the context holds them.
func (d *dataset) conversations(rng *rand.Rand) []example {
	samples := slices.Clone(d.chats)
	if len(samples) < 2 {
		return samples
	}
	order := rng.Perm(len(samples))
	for _, i := range order[:len(order)/2] {
		e := example{tokens: slices.Clone(samples[i].tokens), counts: slices.Clone(samples[i].counts)}
		for range 1 + rng.IntN(3) {
			next := d.chats[rng.IntN(len(d.chats))]
			if len(e.tokens)+len(next.tokens) > d.context+1 {
				break
			}
			e.tokens, e.counts = append(e.tokens, next.tokens...), append(e.counts, next.counts...)
		}
		samples[i] = e
	}
	return samples
}

// count is how many samples an epoch has, without building them.
func (d *dataset) count(epoch int) int {
	n := len(d.rows) + len(d.chats)
	if len(d.streams) == 0 {
		return n
	}
	rng := d.rng(epoch)
	for _, s := range d.streams {
		pairs := len(s.tokens) - 1
		first := min(d.firstWindow(rng), pairs)
		n += 1 + (pairs-first+d.context-1)/d.context
	}
	return n
}

// inOrder returns the samples as they stand, for measuring: no shuffling, no joining, streams cut from their start.
func (d *dataset) inOrder() []example {
	samples := append(slices.Clone(d.rows), d.chats...)
	for _, s := range d.streams {
		samples = append(samples, s.windows(d.context, d.context)...)
	}
	return samples
}

// splitCorpus holds a share of a corpus out of training: a seeded choice of rows and pairs, the last part of a stream.
func splitCorpus(c *corpus, fraction float64, seed uint64) (train, held *corpus, err error) {
	if fraction == 0 || len(c.Rows)+len(c.Pairs)+len(c.Streams) == 0 {
		return c, &corpus{}, nil
	}
	rng := newRNG(seed, splitStream)
	train, held = &corpus{}, &corpus{}
	train.Rows, held.Rows = splitRows(c.Rows, fraction, rng)
	train.Pairs, held.Pairs = splitRows(c.Pairs, fraction, rng)
	for _, text := range c.Streams {
		cut := len(text) - int(math.Round(fraction*float64(len(text))))
		for cut > 0 && cut < len(text) && text[cut]&0xC0 == 0x80 { // not inside a character
			cut--
		}
		train.Streams = append(train.Streams, text[:cut])
		held.Streams = append(held.Streams, text[cut:])
	}
	for _, side := range []*corpus{train, held} {
		if len(side.Rows)+len(side.Pairs)+len(side.Streams) == 0 || slices.Contains(side.Streams, "") {
			return nil, nil, fmt.Errorf("--val-fraction=%g leaves nothing to train on or nothing to validate on", fraction)
		}
	}
	return train, held, nil
}

// splitRows moves a share of the rows, at least one of several, to held; both keep their order.
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
