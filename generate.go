package main

import "fmt"

// Generation: the prompt in one pass (prefill), then one row a token (decode), with the keys and values of all earlier
// tokens in a cache. A row's bits do not depend on the rows beside it, so cached logits equal those of the full forward
// pass bit for bit, one sequence or many.
//
// Positions are learned and absolute: a kept key belongs to its old position, so a full context cannot move on by one
// token. It slides by half instead: the last half of its tokens is run again, from position 0.

// window is what the model still sees of one sequence.
type window struct {
	tokens []int    // at most context; the cache holds the first cache.n of them
	cache  *kvCache // behind tokens wait those that no pass has run yet
	slides int      // how often the oldest tokens were given up
}

func newWindow(c ModelConfig) *window {
	return &window{tokens: make([]int, 0, c.Context+1), cache: newKVCache(c)}
}

// set starts the window anew with at least one token. What the cache already holds of them stays there.
func (w *window) set(tokens []int) {
	shared := 0
	for shared < min(w.cache.n, len(tokens)-1) && w.tokens[shared] == tokens[shared] {
		shared++
	}
	w.cache.truncate(shared)
	w.tokens, w.slides = w.tokens[:shared], 0
	w.push(tokens[shared:]...)
}

// push appends tokens. Where they do not fit, the last half of a context is kept and waits to be run again.
func (w *window) push(tokens ...int) {
	w.tokens = append(w.tokens, tokens...)
	if context := w.cache.context; len(w.tokens) > context {
		kept := copy(w.tokens, w.tokens[len(w.tokens)-max(1, context/2):])
		w.tokens = w.tokens[:kept]
		w.cache.truncate(0)
		w.slides++
	}
}

// copyFrom makes the window one like another of the same model.
func (w *window) copyFrom(other *window) {
	w.tokens, w.slides = append(w.tokens[:0], other.tokens...), other.slides
	w.cache.copyFrom(other.cache)
}

// decoder runs windows of one model and owns the memory for it.
type decoder struct {
	model *LLM

	// scratch
	tokens []int
	seqs   []sequence
	last   []float32 // [windows, C]
}

// newDecoder turns the model's dropout off.
func newDecoder(m *LLM) *decoder {
	m.SetDropout(0, 0)
	return &decoder{model: m}
}

// advance runs the waiting tokens of every window, at least one each, in one pass. It returns the logits [windows, V] of
// what follows them, which the next pass overwrites.
func (d *decoder) advance(windows ...*window) []float32 {
	d.tokens, d.seqs, d.last = d.tokens[:0], d.seqs[:0], d.last[:0]
	for _, w := range windows {
		waiting := w.tokens[w.cache.n:]
		d.seqs = append(d.seqs, sequence{start: len(d.tokens), n: len(waiting), cache: w.cache})
		d.tokens = append(d.tokens, waiting...)
	}
	C, h := d.model.Dim, d.model.hidden(d.tokens, d.seqs)
	for _, s := range d.seqs {
		s.cache.n += s.n
		end := (s.start + s.n) * C
		d.last = append(d.last, h[end-C:end]...)
	}
	return d.model.project(d.last)
}

// greedyCacheTokens bounds the memory of the caches of one batch.
const greedyCacheTokens = 4096

// greedyAll continues every prompt with the likeliest token each time, until the token stop (not returned) or limit
// tokens. Prompts run side by side; one that ends makes room for the next.
func greedyAll(m *LLM, prompts [][]int, limit, stop int) ([][]int, error) {
	d, out := newDecoder(m), make([][]int, len(prompts))
	if limit < 1 {
		return out, nil
	}
	var windows []*window
	var of []int // the prompt of each window
	for i := range min(len(prompts), max(1, greedyCacheTokens/m.Context)) {
		windows, of = append(windows, newWindow(m.ModelConfig)), append(of, i)
		windows[i].set(prompts[i])
	}
	for next := len(windows); len(windows) > 0; {
		logits := d.advance(windows...)
		for i := len(windows) - 1; i >= 0; i-- {
			token, err := likeliest(logits[i*m.Vocab : (i+1)*m.Vocab])
			if err != nil {
				return nil, err
			}
			if token != stop {
				out[of[i]] = append(out[of[i]], token)
				windows[i].push(token)
			}
			switch ended := token == stop || len(out[of[i]]) >= limit; {
			case ended && next < len(prompts):
				of[i] = next
				windows[i].set(prompts[next])
				next++
			case ended:
				last := len(windows) - 1 // its logits are read already
				windows[i], of[i] = windows[last], of[last]
				windows, of = windows[:last], of[:last]
			}
		}
	}
	return out, nil
}

// greedy is greedyAll for one prompt.
func greedy(m *LLM, prompt []int, limit, stop int) ([]int, error) {
	out, err := greedyAll(m, [][]int{prompt}, limit, stop)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// likeliest is the first token of the largest logit. A logit that is not finite is an error: no token stands in for it.
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
