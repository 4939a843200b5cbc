package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// replacePairs joins every occurrence of a merge's pair, from the left.
func replacePairs(ids []int32, m bpeMerge) []int32 {
	var out []int32
	for i := 0; i < len(ids); i++ {
		if i+1 < len(ids) && ids[i] == m.left && ids[i+1] == m.right {
			out = append(out, m.id)
			i++
		} else {
			out = append(out, ids[i])
		}
	}
	return out
}

// slowMerge is the loop of GPT-2's encoder.py: find the pair of lowest rank, join it everywhere, repeat.
func slowMerge(rules *mergeRules, ids []int32) []int32 {
	for {
		best := int32(len(rules.list))
		for i := 1; i < len(ids); i++ {
			if rank, ok := rules.rank[tokenPair{ids[i-1], ids[i]}]; ok {
				best = min(best, rank)
			}
		}
		if int(best) == len(rules.list) {
			return ids
		}
		ids = replacePairs(ids, rules.list[best])
	}
}

// slowLearn learns merges by counting all pairs again before each one.
func slowLearn(words []countedWord, firstID, limit int) []bpeMerge {
	var merges []bpeMerge
	for len(merges) < limit {
		counts := make(map[tokenPair]int)
		for _, word := range words {
			for i := 1; i < len(word.ids); i++ {
				counts[tokenPair{word.ids[i-1], word.ids[i]}] += word.count
			}
		}
		best := pairCount{count: minPairCount - 1}
		for pair, count := range counts {
			if entry := (pairCount{pair, count}); count >= minPairCount && entry.before(best) {
				best = entry
			}
		}
		if best.count < minPairCount {
			break
		}
		m := bpeMerge{best.tokenPair, int32(firstID + len(merges))}
		for i := range words {
			words[i].ids = replacePairs(words[i].ids, m)
		}
		merges = append(merges, m)
	}
	return merges
}

func randomString(rng *rand.Rand, alphabet []string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

func TestBPE_LearnsTheMergesOfAFullRecount(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, alphabet := range [][]string{
		{"a"}, {"a", "a", "b"}, {"a", "b", "c", " "}, {"th", "e", "in", "é", "  ", "!", "7"},
	} {
		for n := range 40 {
			text := randomString(rng, alphabet, 5*n)
			limit := rng.IntN(60)
			got := learnMerges(countWords([]string{text}), 256, limit)
			want := slowLearn(countWords([]string{text}), 256, limit)
			if !slices.Equal(got, want) {
				t.Fatalf("%q: learned %v, want %v", text, got, want)
			}
		}
	}
}

func TestBPE_LearnsTheLowestIDsFirstOnTies(t *testing.T) {
	words := []countedWord{{[]int32{3, 1}, 2}, {[]int32{2, 9}, 2}, {[]int32{2, 7}, 2}, {[]int32{0, 5}, 1}}
	want := []bpeMerge{{tokenPair{2, 7}, 256}, {tokenPair{2, 9}, 257}, {tokenPair{3, 1}, 258}} // {0, 5} occurs once
	if got := learnMerges(words, 256, 99); !slices.Equal(got, want) {
		t.Errorf("learned %v, want %v", got, want)
	}
}

// randomRules returns merges of random tokens, so a word may need them in any order.
func randomRules(rng *rand.Rand, letters, n int) *mergeRules {
	rules := new(mergeRules)
	for id := letters; id < letters+n; id++ {
		pair := tokenPair{int32(rng.IntN(id)), int32(rng.IntN(id))}
		if _, known := rules.rank[pair]; !known {
			rules.add(bpeMerge{pair, int32(id)})
		} else {
			rules.add(bpeMerge{tokenPair{int32(id - 1), int32(id - 1)}, int32(id)})
		}
	}
	return rules
}

func TestBPE_MergesLikeThePlainLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		letters := 1 + rng.IntN(4)
		m := wordMerger{rules: randomRules(rng, letters, rng.IntN(40))}
		for range 20 {
			word := make([]int32, rng.IntN(60))
			for i := range word {
				word[i] = int32(rng.IntN(letters))
			}
			want := slowMerge(m.rules, slices.Clone(word))
			m.ids = append(m.ids[:0], word...)
			if got := m.merge(); !slices.Equal(got, want) {
				t.Fatalf("rules %v, word %v: got %v, want %v", m.rules.list, word, got, want)
			}
		}
	}
}

func TestMinHeap_PopsInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 50 {
		var h minHeap[rankedAt]
		var want, got []rankedAt
		for range n {
			x := rankedAt(rng.IntN(20))
			h.push(x)
			want = append(want, x)
		}
		for len(h) > 0 {
			got = append(got, h.pop())
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// With a loop that is quadratic in the length of a word, this test would run for hours.
func TestBPE_EncodesWordsOfAMegabyte(t *testing.T) {
	for name, word := range map[string]string{
		"one letter":   strings.Repeat("a", 1<<20),
		"mixed":        randomString(rand.New(rand.NewPCG(7, 8)), []string{"a", "b", "ba"}, 1<<19),
		"only spaces":  strings.Repeat(" ", 1<<20),
		"broken bytes": strings.Repeat("\xff\x80", 1<<19),
	} {
		tok, err := trainBPE([]string{word[:1<<16]}, 300)
		if err != nil {
			t.Fatal(err)
		}
		ids := tok.encode(word)
		if len(ids) > len(word)/2 || tok.decode(ids) != word {
			t.Errorf("%s: %d bytes became %d tokens, or do not decode", name, len(word), len(ids))
		}
	}
}

func BenchmarkBPETraining(b *testing.B) {
	text := englishText(b)
	for _, size := range []int{512, 2048} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := trainBPE([]string{text}, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
