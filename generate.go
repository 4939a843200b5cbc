package main

// Generation: the prompt in one pass, then one row a token, with the keys and values of all earlier tokens in a cache.

// extend runs the next tokens of a sequence, whose earlier ones are in the cache, and returns the logits [V] of the last.
func (m *LLM) extend(cache *kvCache, tokens []int) []float32 {
	seqs := append(m.seqs[:0], sequence{n: len(tokens), cache: cache})
	h := m.hidden(tokens, seqs)
	cache.n += len(tokens)
	return m.project(h[len(h)-m.Dim:])
}

// greedy continues a prompt with the likeliest token each time, until stop (not returned), limit tokens or a full context.
func greedy(m *LLM, prompt []int, limit, stop int) []int {
	var out []int
	cache := newKVCache(m.ModelConfig)
	next := prompt
	for len(out) < limit && cache.n+len(next) <= m.Context {
		token := argmax(m.extend(cache, next))
		if token == stop {
			break
		}
		out = append(out, token)
		next = out[len(out)-1:]
	}
	return out
}

// argmax is the first index of the largest value.
func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
