package main

// sequence says where one sequence lies in a packed batch.
type sequence struct {
	start, n int      // its rows are start … start+n
	cache    *kvCache // of the tokens before it; nil in training
}

// past is how many tokens before its own the sequence attends to.
func (s sequence) past() int {
	if s.cache == nil {
		return 0
	}
	return s.cache.n
}

// kvCache keeps the keys and values of the tokens of one sequence, so that the next token costs one row.
type kvCache struct {
	C, context int

	n            int         // tokens held
	keys, values [][]float32 // of every layer: [context, C]
}

func newKVCache(c ModelConfig) *kvCache {
	cache := &kvCache{C: c.Dim, context: c.Context}
	for range c.Layers {
		cache.keys = append(cache.keys, make([]float32, c.Context*c.Dim))
		cache.values = append(cache.values, make([]float32, c.Context*c.Dim))
	}
	return cache
}

// store copies K and V of new tokens, rows Q | K | V [n, 3C], behind those that are held.
func (c *kvCache) store(layer int, rows []float32) {
	C := c.C
	n := len(rows) / (3 * C)
	if c.n+n > c.context {
		panic("kvCache: more tokens than the context")
	}
	for t := range n {
		at := (c.n + t) * C
		copy(c.keys[layer][at:at+C], rows[(3*t+1)*C:])
		copy(c.values[layer][at:at+C], rows[(3*t+2)*C:])
	}
}

// rows returns the first n keys and values of a layer, [n, C] each.
func (c *kvCache) rows(layer, n int) (keys, values matrix) {
	return rowMajor(c.keys[layer], n, c.C), rowMajor(c.values[layer], n, c.C)
}

// truncate forgets all tokens but the first n.
func (c *kvCache) truncate(n int) {
	if n < 0 || n > c.n {
		panic("kvCache: truncate to more tokens than it holds")
	}
	c.n = n
}

// copyFrom makes the cache hold what another one of the same model holds.
func (c *kvCache) copyFrom(other *kvCache) {
	c.n = other.n
	for layer := range c.keys {
		copy(c.keys[layer], other.keys[layer][:c.n*c.C])
		copy(c.values[layer], other.values[layer][:c.n*c.C])
	}
}
