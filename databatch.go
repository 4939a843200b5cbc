package main

// Samples and batches. An example is a text as tokens; n+1 tokens make n pairs of an input and its target, the token
// that follows it. A sample is an example that fits into the context of the model. A batch packs the inputs of several
// samples one after another, of any lengths and without padding.

// ignored is the target of a position that does not count in the loss.
const ignored = -1

// Batch holds packed sequences, the samples' inputs and targets.
type Batch struct {
	Inputs  []int // [T] token ids
	Targets []int // [T] the token that follows each input, or ignored
	Lengths []int // [sequences] at least 1 each; they sum to T
}

// example is a text to learn from. As a target, token i counts in the loss where lossMask[i] is true (nil: all count).
type example struct {
	tokens   []int  // n+1 token ids
	lossMask []bool // [len(tokens)] or nil
}

// part returns the window of pairs lo … hi, which has tokens lo … hi+1.
func (e example) part(lo, hi int) example {
	w := example{tokens: e.tokens[lo : hi+1]}
	if e.lossMask != nil {
		w.lossMask = e.lossMask[lo : hi+1]
	}
	return w
}

// windows cuts an example into samples of at most context pairs, the first one of at most first pairs. Consecutive
// windows share one token: the last target of one is the first input of the next.
func (e example) windows(first, context int) []example {
	var ws []example
	pairs := len(e.tokens) - 1
	for lo, hi := 0, min(first, pairs); lo < pairs; lo, hi = hi, min(hi+context, pairs) {
		ws = append(ws, e.part(lo, hi))
	}
	return ws
}

// targets returns how many targets of the example count.
func (e example) targets() int {
	if e.lossMask == nil {
		return len(e.tokens) - 1
	}
	n := 0
	for _, counts := range e.lossMask[1:] {
		if counts {
			n++
		}
	}
	return n
}

// countTargets returns how many targets of the samples count.
func countTargets(samples []example) int {
	n := 0
	for _, s := range samples {
		n += s.targets()
	}
	return n
}

// add packs one more sample into the batch.
func (b *Batch) add(e example) {
	n := len(e.tokens) - 1
	b.Inputs = append(b.Inputs, e.tokens[:n]...)
	b.Lengths = append(b.Lengths, n)
	for i, target := range e.tokens[1:] {
		if e.lossMask != nil && !e.lossMask[i+1] {
			target = ignored
		}
		b.Targets = append(b.Targets, target)
	}
}

// pack replaces the content of the batch by the given samples and returns the batch. It reuses the memory.
func (b *Batch) pack(samples []example) *Batch {
	b.Inputs, b.Targets, b.Lengths = b.Inputs[:0], b.Targets[:0], b.Lengths[:0]
	for _, e := range samples {
		b.add(e)
	}
	return b
}
