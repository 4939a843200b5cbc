package main

import (
	"math"
	"slices"
	"sort"
	"strings"
)

// What the lessons about beam search compare it with.

// slowBeams is beam search in plain lists, the whole sequence run anew for every hypothesis.
func slowBeams(m *LLM, words *tokenizer, prompt []int, width, limit int, stops ...string) (ended []hypothesis) {
	type item struct {
		tokens  []int
		logProb float64
	}
	open := []item{{}}
	for length := 1; len(open) > 0; length++ {
		var all []item
		for _, h := range open {
			seen := replaySlides(slices.Concat(prompt, h.tokens), len(prompt), m.Context)
			row := make([]float64, m.Vocab)
			for i, v := range fullLogits(m, seen) {
				row[i] = float64(v)
			}
			softmaxFloat64(row)
			for token, p := range row {
				all = append(all, item{append(slices.Clone(h.tokens), token), h.logProb + math.Log(p)})
			}
		}
		sort.SliceStable(all, func(a, b int) bool { return all[a].logProb > all[b].logProb })
		open = nil
		for rank, h := range all[:min(len(all), 2*width)] {
			if len(open) == width {
				break
			}
			reason, tokens := slowReason(words, h.tokens, limit, stops)
			if reason == "" {
				open = append(open, h)
			} else if rank < width {
				score := h.logProb / math.Pow(float64(5+length)/6, 0.6)
				ended = append(ended, hypothesis{reason: reason, logProb: h.logProb, score: score, tokens: asAnswer(tokens)})
			}
		}
	}
	sort.SliceStable(ended, func(a, b int) bool { return ended[a].score > ended[b].score })
	return ended
}

// slowReason tells why an answer ends with its last token, "" if it goes on, and its tokens without the one that ends it.
func slowReason(words *tokenizer, tokens []int, limit int, stops []string) (string, []int) {
	if last := len(tokens) - 1; words.isSpecial(tokens[last]) {
		return stopEnd, tokens[:last]
	}
	for _, stop := range stops {
		if strings.Contains(words.decode(tokens), stop) {
			return stopString, tokens
		}
	}
	if len(tokens) == limit {
		return stopMaxTokens, tokens
	}
	return "", tokens
}

// replaySlides is what a window of the given context holds after a prompt and then one token after another.
func replaySlides(tokens []int, prompt, context int) []int {
	seen := slices.Clone(tokens[:prompt])
	for _, token := range tokens[prompt:] {
		if seen = append(seen, token); len(seen) > context {
			seen = seen[len(seen)-context/2:]
		}
	}
	return seen
}

func asAnswer(tokens []int) (answer []answerToken) {
	for _, token := range tokens {
		answer = append(answer, answerToken{tokenChance: tokenChance{token: token}})
	}
	return answer
}

func idsOf(tokens []answerToken) []int {
	ids := []int{}
	for _, t := range tokens {
		ids = append(ids, t.token)
	}
	return ids
}
