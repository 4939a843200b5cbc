package main

import "gogpt/internal/kernel"

// The cache of keys and values, for generation. Attention uses the keys and values of all earlier tokens. With a cache
// they are not computed again: for a new token, every block computes one row only.

// sequence is the place of one sequence in a packed batch.
type sequence struct {
	start, n int      // its rows are start … start+n
	cache    *kvCache // of its earlier tokens; nil in training
}

// past returns how many earlier tokens the cache holds.
func (s sequence) past() int {
	if s.cache == nil {
		return 0
	}
	return s.cache.n
}

// kvCache holds the keys and values of the tokens of one sequence.
type kvCache struct {
	C, context int // channels; limit of n

	n            int         // tokens that it holds
	keys, values [][]float32 // [layers][context, C]
}

func newKVCache(c ModelConfig) *kvCache {
	cache := &kvCache{C: c.Dim, context: c.Context}
	for range c.Layers {
		cache.keys = append(cache.keys, make([]float32, c.Context*c.Dim))
		cache.values = append(cache.values, make([]float32, c.Context*c.Dim))
	}
	return cache
}

// store copies K and V of new tokens, whose rows Q | K | V are qkv [tokens, 3C], behind those of the earlier ones. The
// caller of the model adds the tokens to n after all blocks have stored theirs.
func (c *kvCache) store(block int, qkv []float32) {
	C := c.C
	n := len(qkv) / (3 * C)
	if c.n+n > c.context {
		panic("kvCache: more tokens than the context")
	}
	for t := range n {
		at := (c.n + t) * C
		copy(c.keys[block][at:at+C], qkv[(3*t+1)*C:])
		copy(c.values[block][at:at+C], qkv[(3*t+2)*C:])
	}
}

// rows returns the first n keys and values of a block, [n, C] each.
func (c *kvCache) rows(block, n int) (keys, values kernel.Matrix) {
	return kernel.RowMajor(c.keys[block], n, c.C), kernel.RowMajor(c.values[block], n, c.C)
}

// truncate keeps the first n tokens.
func (c *kvCache) truncate(n int) {
	if n < 0 || n > c.n {
		panic("kvCache: truncate to more tokens than it holds")
	}
	c.n = n
}

// copyFrom copies another cache of the same model.
func (c *kvCache) copyFrom(other *kvCache) {
	c.n = other.n
	for block := range c.keys {
		copy(c.keys[block], other.keys[block][:c.n*c.C])
		copy(c.values[block], other.values[block][:c.n*c.C])
	}
}
