package main

import "fmt"

// Generation runs the prompt in one pass (prefill), then one row per token (decode), with the keys and values of all
// earlier tokens in a cache. A row's bits do not depend on the rows beside it, so cached logits equal those of the full
// forward pass bit for bit, for one sequence or many.
//
// Positions are learned and absolute: a cached key belongs to the position at which it was computed, so a full context
// cannot move on by one token. Instead the window slides by half: the last half of its tokens is run again, from
// position 0.

// window holds the tokens of one sequence that the model attends to.
type window struct {
	tokens []int    // at most context; the cache holds the first cache.n of them, the others have not been run yet
	cache  *kvCache // keys and values of tokens[:cache.n]
	slides int      // how often the older half of a full context was dropped
}

// newWindow returns an empty window for a model of this size.
func newWindow(c ModelConfig) *window {
	return &window{tokens: make([]int, 0, c.Context+1), cache: newKVCache(c)}
}

// set replaces the window's tokens by at least one token. The cache keeps the tokens at the start that are the same.
func (w *window) set(tokens []int) {
	shared := 0
	for shared < min(w.cache.n, len(tokens)-1) && w.tokens[shared] == tokens[shared] {
		shared++
	}
	w.cache.truncate(shared)
	w.tokens, w.slides = w.tokens[:shared], 0
	w.push(tokens[shared:]...)
}

// push appends tokens. If they do not fit, the window keeps the last half of a context, all of it to be run again.
func (w *window) push(tokens ...int) {
	w.tokens = append(w.tokens, tokens...)
	if context := w.cache.context; len(w.tokens) > context {
		kept := copy(w.tokens, w.tokens[len(w.tokens)-max(1, context/2):])
		w.tokens = w.tokens[:kept]
		w.cache.truncate(0)
		w.slides++
	}
}

// copyFrom makes the window equal to another one of the same model.
func (w *window) copyFrom(other *window) {
	w.tokens, w.slides = append(w.tokens[:0], other.tokens...), other.slides
	w.cache.copyFrom(other.cache)
}

// decoder computes the next token's logits for windows of one model.
type decoder struct {
	model *LLM

	// scratch
	tokens []int
	seqs   []sequence
	last   []float32 // [windows, C]
}

// newDecoder returns a decoder for the model, whose dropout it turns off.
func newDecoder(m *LLM) *decoder {
	m.SetDropout(0, 0)
	return &decoder{model: m}
}

// advance runs the tokens of every window that have not been run yet, at least one each, in one pass. It returns the
// logits [windows, vocab] of the tokens that follow; the next pass overwrites them.
func (d *decoder) advance(windows ...*window) []float32 {
	d.tokens, d.seqs, d.last = d.tokens[:0], d.seqs[:0], d.last[:0]
	for _, w := range windows {
		pending := w.tokens[w.cache.n:]
		d.seqs = append(d.seqs, sequence{start: len(d.tokens), n: len(pending), cache: w.cache})
		d.tokens = append(d.tokens, pending...)
	}
	C, x := d.model.Dim, d.model.hidden(d.tokens, d.seqs)
	for _, s := range d.seqs {
		s.cache.n += s.n
		end := (s.start + s.n) * C
		d.last = append(d.last, x[end-C:end]...)
	}
	return d.model.project(d.last)
}

// greedyCacheTokens bounds the tokens in the caches of one batch of greedyAll, and so their memory.
const greedyCacheTokens = 4096

// greedyAll continues every prompt by the likeliest token each time, until the token stop, which is not returned, or
// limit tokens. Several prompts run side by side in one pass; when one ends, the next takes its window.
func greedyAll(m *LLM, prompts [][]int, limit, stop int) ([][]int, error) {
	d, out := newDecoder(m), make([][]int, len(prompts))
	if limit < 1 {
		return out, nil
	}
	var windows []*window
	var promptOf []int // the index of each window's prompt
	for i := range min(len(prompts), max(1, greedyCacheTokens/m.Context)) {
		windows, promptOf = append(windows, newWindow(m.ModelConfig)), append(promptOf, i)
		windows[i].set(prompts[i])
	}
	for next := len(windows); len(windows) > 0; {
		logits := d.advance(windows...)
		for i := len(windows) - 1; i >= 0; i-- { // backward: a window that is removed moves only one already handled
			token, err := likeliest(logits[i*m.Vocab : (i+1)*m.Vocab])
			if err != nil {
				return nil, err
			}
			p := promptOf[i]
			if token != stop {
				out[p] = append(out[p], token)
				windows[i].push(token)
			}
			switch ended := token == stop || len(out[p]) >= limit; {
			case ended && next < len(prompts):
				promptOf[i] = next
				windows[i].set(prompts[next])
				next++
			case ended:
				last := len(windows) - 1
				windows[i], promptOf[i] = windows[last], promptOf[last]
				windows, promptOf = windows[:last], promptOf[:last]
			}
		}
	}
	return out, nil
}

// greedy does what greedyAll does, for one prompt.
func greedy(m *LLM, prompt []int, limit, stop int) ([]int, error) {
	out, err := greedyAll(m, [][]int{prompt}, limit, stop)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// likeliest returns the first token with the largest logit, or an error if any logit is not finite.
func likeliest(logits []float32) (int, error) {
	best := 0
	for i, v := range logits {
		if v-v != 0 {
			return 0, fmt.Errorf("the logit of token %d is %g: the model is broken", i, v)
		}
		if v > logits[best] {
			best = i
		}
	}
	return best, nil
}
