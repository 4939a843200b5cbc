package main

// Byte-pair encoding (arXiv:1508.07909). Learning: start from bytes and join, again and again, the
// pair of neighbours that occurs most often in the corpus. Encoding a word: join the neighbours
// whose pair was learned first, leftmost first, until no learned pair is left.

// minPairCount is how often a pair must occur to be worth a token.
const minPairCount = 2

type tokenPair struct{ left, right int32 }

// bpeMerge says that a pair of tokens becomes the token id.
type bpeMerge struct {
	tokenPair
	id int32
}

// mergeRules are merges in the order they were learned; the rank of a pair is its index there.
// A merge may join only bytes and results of earlier merges.
type mergeRules struct {
	list []bpeMerge
	rank map[tokenPair]int32
}

func (r *mergeRules) add(m bpeMerge) {
	if r.rank == nil {
		r.rank = make(map[tokenPair]int32)
	}
	r.rank[m.tokenPair] = int32(len(r.list))
	r.list = append(r.list, m)
}

// wordMerger applies rules to one word after another, in O(n log n) for n bytes. Its slices are
// scratch, kept from word to word, so each goroutine needs a merger of its own.
type wordMerger struct {
	rules      *mergeRules
	ids        []int32           // [n] the word, then a list linked by prev and next
	prev, next []int32           // [n] index of the neighbours; -1 and n past the ends
	rank       []int32           // [n] of the pair that begins here; -1: none
	queue      minHeap[rankedAt] // candidates; stale where rank has changed since
}

// rankedAt packs a pair's rank (high 32 bits) and its index, so that numbers order candidates.
type rankedAt uint64

func (a rankedAt) before(b rankedAt) bool { return a < b }

// merge joins what the rules join in m.ids, in place, and returns the shortened word.
func (m *wordMerger) merge() []int32 {
	m.link()
	for len(m.queue) > 0 {
		top := m.queue.pop()
		if i := int32(uint32(top)); m.rank[i] == int32(top>>32) {
			m.join(i)
		}
	}
	n := int32(len(m.ids))
	merged := m.ids[:0]
	for i := int32(0); i < n; i = m.next[i] {
		merged = append(merged, m.ids[i])
	}
	return merged
}

func (m *wordMerger) link() {
	m.prev, m.next, m.rank = m.prev[:0], m.next[:0], m.rank[:0]
	for i := range int32(len(m.ids)) {
		m.prev = append(m.prev, i-1)
		m.next = append(m.next, i+1)
		m.rank = append(m.rank, -1)
	}
	for i := range int32(len(m.ids)) {
		m.look(i)
	}
}

// look queues the pair that begins at i if a rule joins it.
func (m *wordMerger) look(i int32) {
	m.rank[i] = -1
	j := m.next[i]
	if int(j) == len(m.ids) {
		return
	}
	if rank, ok := m.rules.rank[tokenPair{m.ids[i], m.ids[j]}]; ok {
		m.rank[i] = rank
		m.queue.push(rankedAt(rank)<<32 | rankedAt(i))
	}
}

// join replaces the pair that begins at i by its result.
func (m *wordMerger) join(i int32) {
	j := m.next[i]
	m.ids[i] = m.rules.list[m.rank[i]].id
	m.rank[j] = -1
	m.next[i] = m.next[j]
	if k := m.next[i]; int(k) < len(m.ids) {
		m.prev[k] = i
	}
	m.look(i)
	if m.prev[i] >= 0 {
		m.look(m.prev[i])
	}
}

// pairCounter learns merges. It keeps every pair's count exact by looking only at the words that
// hold the pair just merged.
type pairCounter struct {
	words []countedWord
	pairs map[tokenPair]*pairStat
	fresh []tokenPair // seen for the first time since the last queueFresh
	queue minHeap[pairCount]
}

type countedWord struct {
	ids   []int32
	count int // occurrences in the corpus
}

// pairStat holds a pair's occurrences and the words that hold it, or held it once.
type pairStat struct {
	count int
	words []int
}

// pairCount orders pairs: the most frequent first, ties to the lower left, then the lower right id.
type pairCount struct {
	tokenPair
	count int
}

func (a pairCount) before(b pairCount) bool {
	if a.count != b.count {
		return a.count > b.count
	}
	if a.left != b.left {
		return a.left < b.left
	}
	return a.right < b.right
}

// learnMerges returns at most limit merges learned from words, whose ids it rewrites. Results are
// numbered from firstID. It stops early when no pair occurs minPairCount times.
func learnMerges(words []countedWord, firstID, limit int) []bpeMerge {
	c := &pairCounter{words: words, pairs: make(map[tokenPair]*pairStat)}
	for w, word := range words {
		for i := 1; i < len(word.ids); i++ {
			c.change(tokenPair{word.ids[i-1], word.ids[i]}, w, word.count)
		}
	}
	var merges []bpeMerge
	for len(merges) < limit {
		c.queueFresh()
		pair, ok := c.popBest()
		if !ok {
			break
		}
		merge := bpeMerge{pair, int32(firstID + len(merges))}
		c.apply(merge)
		merges = append(merges, merge)
	}
	return merges
}

// change adds by to the count of a pair in word w.
func (c *pairCounter) change(pair tokenPair, w, by int) {
	stat := c.pairs[pair]
	if stat == nil {
		stat = new(pairStat)
		c.pairs[pair] = stat
		c.fresh = append(c.fresh, pair)
	}
	stat.count += by
	if n := len(stat.words); by > 0 && (n == 0 || stat.words[n-1] != w) {
		stat.words = append(stat.words, w)
	}
}

func (c *pairCounter) queueFresh() {
	for _, pair := range c.fresh {
		c.queue.push(pairCount{pair, c.pairs[pair].count})
	}
	c.fresh = c.fresh[:0]
}

// popBest takes the best pair from the queue. After its first step a pair's count only falls, so an
// entry whose count is out of date belongs further down.
func (c *pairCounter) popBest() (tokenPair, bool) {
	for len(c.queue) > 0 {
		top := c.queue.pop()
		count := c.pairs[top.tokenPair].count
		switch {
		case count < minPairCount:
		case count < top.count:
			c.queue.push(pairCount{top.tokenPair, count})
		default:
			return top.tokenPair, true
		}
	}
	return tokenPair{}, false
}

// apply rewrites the words that hold m's pair, left to right, and updates the counts around it.
func (c *pairCounter) apply(m bpeMerge) {
	for _, w := range c.pairs[m.tokenPair].words {
		word := &c.words[w]
		ids, kept := word.ids, word.ids[:0]
		for i := 0; i < len(ids); i++ {
			if i+1 == len(ids) || (tokenPair{ids[i], ids[i+1]}) != m.tokenPair {
				kept = append(kept, ids[i])
				continue
			}
			if n := len(kept); n > 0 {
				c.change(tokenPair{kept[n-1], m.left}, w, -word.count)
				c.change(tokenPair{kept[n-1], m.id}, w, word.count)
			}
			if i+2 < len(ids) {
				c.change(tokenPair{m.right, ids[i+2]}, w, -word.count)
				c.change(tokenPair{m.id, ids[i+2]}, w, word.count)
			}
			kept = append(kept, m.id)
			i++
		}
		word.ids = kept
	}
	delete(c.pairs, m.tokenPair)
}
