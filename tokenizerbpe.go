package main

// Byte-pair encoding (arXiv:1508.07909). Learning: start from bytes and repeatedly join the pair of neighbours that
// occurs most often in the corpus. Encoding a word: repeatedly join the neighbours whose pair was learned first, the
// leftmost such pair first, until no learned pair is left.

// minPairCount is the number of occurrences from which a pair gets a token of its own.
const minPairCount = 2

// tokenPair is two ids side by side.
type tokenPair struct{ left, right int32 }

// bpeMerge joins a pair of tokens to the token id.
type bpeMerge struct {
	tokenPair
	id int32
}

// mergeRules holds the merges in the order in which they were learned. A merge joins only bytes and results of earlier
// merges.
type mergeRules struct {
	list []bpeMerge
	rank map[tokenPair]int32 // from pair to index in list
}

// add appends a merge.
func (r *mergeRules) add(m bpeMerge) {
	if r.rank == nil {
		r.rank = make(map[tokenPair]int32)
	}
	r.rank[m.tokenPair] = int32(len(r.list))
	r.list = append(r.list, m)
}

// wordMerger applies the rules to one word after another, in O(n log n) for a word of n bytes. It reuses its slices for
// every word, so each goroutine needs its own merger.
type wordMerger struct {
	rules      *mergeRules
	ids        []int32           // [n] the word; while merging, a list linked by prev and next
	prev, next []int32           // [n] indices of the neighbours; -1 before the first, n behind the last
	rank       []int32           // [n] rank of the pair that begins here; -1: no rule joins it
	queue      minHeap[rankedAt] // pairs to join; an entry is out of date where rank has changed since
}

// rankedAt is the rank of a pair (high 32 bits) and the index where it begins (low 32 bits). Their order as numbers is
// the order of joining: the lowest rank first, then the leftmost pair.
type rankedAt uint64

//lint:ignore U1000 minHeap calls it
func (a rankedAt) before(b rankedAt) bool { return a < b }

// merge applies the rules to the word in m.ids, in place, and returns the shortened word.
func (m *wordMerger) merge() []int32 {
	m.linkAll()
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

// linkAll links every id with its neighbours and queues every pair that a rule joins.
func (m *wordMerger) linkAll() {
	m.prev, m.next, m.rank = m.prev[:0], m.next[:0], m.rank[:0]
	for i := range int32(len(m.ids)) {
		m.prev = append(m.prev, i-1)
		m.next = append(m.next, i+1)
		m.rank = append(m.rank, -1)
	}
	for i := range int32(len(m.ids)) {
		m.queuePair(i)
	}
}

// queuePair ranks the pair that begins at i and queues it if a rule joins it.
func (m *wordMerger) queuePair(i int32) {
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

// join replaces the pair that begins at i by the result of its merge.
func (m *wordMerger) join(i int32) {
	j := m.next[i]
	m.ids[i] = m.rules.list[m.rank[i]].id
	m.rank[j] = -1
	m.next[i] = m.next[j]
	if k := m.next[i]; int(k) < len(m.ids) {
		m.prev[k] = i
	}
	m.queuePair(i)
	if m.prev[i] >= 0 {
		m.queuePair(m.prev[i])
	}
}

// pairCounter learns merges. After a merge it visits only the words that contain the merged pair, and still keeps the
// count of every pair exact.
type pairCounter struct {
	words    []countedWord
	pairs    map[tokenPair]*pairStat
	newPairs []tokenPair // counted for the first time since the last queueNewPairs
	queue    minHeap[pairCount]
}

// countedWord is a distinct word of the corpus.
type countedWord struct {
	ids   []int32
	count int // occurrences in the corpus
}

// pairStat says where a pair occurs.
type pairStat struct {
	count int   // occurrences in the corpus
	words []int // indices of the words that contain the pair, or did before an earlier merge
}

// pairCount is a pair to merge: the most frequent first; of equal counts the lower left, then the lower right id.
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

// learnMerges learns at most limit merges from words, whose ids it rewrites, and numbers their results from firstID. It
// stops early when no pair occurs minPairCount times.
func learnMerges(words []countedWord, firstID, limit int) []bpeMerge {
	c := &pairCounter{words: words, pairs: make(map[tokenPair]*pairStat)}
	for w, word := range words {
		for i := 1; i < len(word.ids); i++ {
			c.addCount(tokenPair{word.ids[i-1], word.ids[i]}, w, word.count)
		}
	}
	var merges []bpeMerge
	for len(merges) < limit {
		c.queueNewPairs()
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

// addCount adds n, which may be negative, to the count of a pair in word w.
func (c *pairCounter) addCount(pair tokenPair, w, n int) {
	stat := c.pairs[pair]
	if stat == nil {
		stat = new(pairStat)
		c.pairs[pair] = stat
		c.newPairs = append(c.newPairs, pair)
	}
	stat.count += n
	if last := len(stat.words) - 1; n > 0 && (last < 0 || stat.words[last] != w) {
		stat.words = append(stat.words, w)
	}
}

// queueNewPairs queues the pairs that the last merge created.
func (c *pairCounter) queueNewPairs() {
	for _, pair := range c.newPairs {
		c.queue.push(pairCount{pair, c.pairs[pair].count})
	}
	c.newPairs = c.newPairs[:0]
}

// popBest removes the best pair from the queue and returns it. The count of a queued pair can only fall, so an entry
// whose count is out of date goes back into the queue with the present count.
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

// apply joins m's pair in every word that contains it, left to right, and updates the counts of the pairs around it.
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
				c.addCount(tokenPair{kept[n-1], m.left}, w, -word.count)
				c.addCount(tokenPair{kept[n-1], m.id}, w, word.count)
			}
			if i+2 < len(ids) {
				c.addCount(tokenPair{m.right, ids[i+2]}, w, -word.count)
				c.addCount(tokenPair{m.id, ids[i+2]}, w, word.count)
			}
			kept = append(kept, m.id)
			i++
		}
		word.ids = kept
	}
	delete(c.pairs, m.tokenPair)
}

// minHeap is a binary heap: no element is before the first one. Unlike container/heap it stores its elements without an
// interface around each.
type minHeap[T interface{ before(T) bool }] []T

// push adds an element.
func (h *minHeap[T]) push(x T) {
	s := append(*h, x)
	*h = s
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = x
}

// pop removes the first element and returns it. The heap must not be empty.
func (h *minHeap[T]) pop() T {
	s := *h
	top, x := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	i := 0
	for child := 1; child < len(s); child = 2*i + 1 {
		if child+1 < len(s) && s[child+1].before(s[child]) {
			child++
		}
		if !s[child].before(x) {
			break
		}
		s[i] = s[child]
		i = child
	}
	if len(s) > 0 {
		s[i] = x
	}
	return top
}
