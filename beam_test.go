package main

import (
	"context"
	"math"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowBeams is beam search in plain lists, the whole sequence run anew for every hypothesis.
func slowBeams(m *LLM, words *tokenizer, prompt []int, width, limit int) (ended []hypothesis) {
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
			score := h.logProb / math.Pow(float64(5+length)/6, 0.6)
			last := h.tokens[len(h.tokens)-1]
			switch {
			case len(open) == width:
			case words.isSpecial(last) && rank < width:
				ended = append(ended, hypothesis{reason: stopEnd, logProb: h.logProb, score: score, tokens: asAnswer(h.tokens[:len(h.tokens)-1])})
			case words.isSpecial(last):
			case length == limit && rank < width:
				ended = append(ended, hypothesis{reason: stopMaxTokens, logProb: h.logProb, score: score, tokens: asAnswer(h.tokens)})
			case length < limit:
				open = append(open, h)
			}
		}
	}
	sort.SliceStable(ended, func(a, b int) bool { return ended[a].score > ended[b].score })
	return ended
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

// The best hypothesis is that of the plain search, over widths and also where the context is outgrown.
func TestBeamSearchEqualsThePlainOne(t *testing.T) {
	for _, context := range []int{24, 8} {
		m, words := generationModel(t, context)
		raiseSpecials(m, words)
		rng := newRNG(20, checkStream)
		reasons := map[string]bool{}
		for range 25 {
			prompt := randomTokens(m.ModelConfig, rng, 1+rng.IntN(6))
			for _, width := range []int{2, 3, 5} {
				c := defaultGeneration()
				c.Beams, c.MaxTokens = width, 9
				a, err := newGenerator(m, words, c).answer(t.Context(), prompt, func([]byte) {})
				require.NoError(t, err)
				want := slowBeams(m, words, prompt, width, 9)[0]
				require.Equal(t, idsOf(want.tokens), idsOf(a.tokens), "context %d, width %d", context, width)
				require.Equal(t, want.reason, a.reason)
				require.InDelta(t, want.logProb, a.beams[0].logProb, 1e-4)
				require.InDelta(t, want.score, a.beams[0].score, 1e-4)
				reasons[a.reason] = true
			}
		}
		require.Len(t, reasons, 2, "some answers end, some are cut")
	}
}

// What an answer tells of its context is what its own tokens did to it, not what other hypotheses went through.
func TestAnAnswerTellsOfItsOwnContext(t *testing.T) {
	m, words := generationModel(t, 8)
	raiseSpecials(m, words)
	prompt := randomTokens(m.ModelConfig, newRNG(21, checkStream), 8) // one token more, and the window slides
	slides := map[int]bool{}
	for _, width := range []int{1, 5} {
		c := defaultGeneration()
		c.Beams, c.MaxTokens = width, 12
		for first := range 30 {
			prompt[0] = first
			a, err := newGenerator(m, words, c).answer(t.Context(), prompt, func([]byte) {})
			require.NoError(t, err)
			fed := idsOf(a.tokens)
			if a.reason == stopMaxTokens {
				fed = fed[:len(fed)-1] // nothing was chosen after the last
			}
			w := newWindow(m.ModelConfig)
			w.set(prompt)
			for _, token := range fed {
				w.push(token)
			}
			require.Equal(t, w.slides, a.slides, "%d beams", width)
			require.Equal(t, len(w.tokens), a.seen)
			slides[a.slides] = true
		}
	}
	require.Greater(t, len(slides), 1)
}

// No continuation scores more than the bound, however long answers may be.
func TestReachBoundsEveryContinuation(t *testing.T) {
	g := &generator{}
	for _, g.MaxTokens = range []int{1, 256, math.MaxInt} {
		h := hypothesis{logProb: -3}
		require.GreaterOrEqual(t, g.reach(h), beamScore(h.logProb, float64(g.MaxTokens)))
		require.Negative(t, g.reach(h))
	}
}

// raiseSpecials makes ends likely enough to be met: their embeddings lean to the mean of the output.
func raiseSpecials(m *LLM, words *tokenizer) {
	for c := range m.Dim {
		m.lnF.bias.W[c] = 0.6
		for _, token := range []int{words.endOfText, words.user, words.assistant} {
			m.embed.wte.W[token*m.Dim+c] += 0.2
		}
	}
}

func TestEndedHypothesesLeaveTheirPlacesToOpenOnes(t *testing.T) {
	m, words := generationModel(t, 24)
	raiseSpecials(m, words)
	raiseSpecials(m, words)
	g := newGenerator(m, words, defaultGeneration())
	g.Beams = 3
	ended := 0
	for first := range 20 {
		w := g.takeWindow()
		w.set([]int{first})
		next, err := g.extendBeams([]hypothesis{{window: w}}, 1)
		require.NoError(t, err)
		open := 0
		for _, h := range next {
			if h.reason == "" {
				open++
			}
		}
		require.Equal(t, 3, open)
		ended += len(next) - open
	}
	require.Positive(t, ended)
}

// With room for every sequence, the search is exhaustive: no answer of two tokens or fewer scores higher.
func TestWideBeamsFindTheBestOfAllAnswers(t *testing.T) {
	m, words := generationModel(t, 24)
	raiseSpecials(m, words)
	c := defaultGeneration()
	c.MaxTokens, c.Beams = 2, m.Vocab*m.Vocab
	prompt := []int{1, 2}
	g := newGenerator(m, words, c)
	g.Beams = m.Vocab
	a, err := g.answer(t.Context(), prompt, func([]byte) {})
	require.NoError(t, err)
	best := math.Inf(-1)
	first := logProbs(m, prompt)
	for one, p := range first {
		if words.isSpecial(one) {
			best = max(best, beamScore(p, 1))
			continue
		}
		for _, q := range logProbs(m, append(slices.Clone(prompt), one)) {
			best = max(best, beamScore(p+q, 2))
		}
	}
	require.InDelta(t, best, a.beams[0].score, 1e-5)
}

func logProbs(m *LLM, tokens []int) []float64 {
	row := make([]float64, m.Vocab)
	for i, v := range fullLogits(m, tokens) {
		row[i] = float64(v)
	}
	softmaxFloat64(row)
	for i, p := range row {
		row[i] = math.Log(p)
	}
	return row
}

func TestBeamsAreAtLeastAsLikelyAsGreedy(t *testing.T) {
	m, words := generationModel(t, 24)
	c := defaultGeneration()
	c.MaxTokens = 6
	sum := func(a *answer) (total float64) {
		for _, token := range a.tokens {
			total += token.logProb
		}
		return total
	}
	better := 0
	for first := range 12 {
		c.Beams = 1
		plain, err := newGenerator(m, words, c).answer(t.Context(), []int{first}, func([]byte) {})
		require.NoError(t, err)
		c.Beams = 6
		wide, err := newGenerator(m, words, c).answer(t.Context(), []int{first}, func([]byte) {})
		require.NoError(t, err)
		if sum(wide) > sum(plain)+1e-6 {
			better++
		}
	}
	require.Positive(t, better)
}

func TestBeamsHeedStopStringsAndInterruption(t *testing.T) {
	m, words := generationModel(t, 24)
	c := defaultGeneration()
	c.Beams, c.MaxTokens = 3, 8
	g := newGenerator(m, words, c)
	free, err := g.answer(t.Context(), []int{1}, func([]byte) {})
	require.NoError(t, err)
	stop := words.piece(free.tokens[2].token)
	c.Stops = []string{stop}
	g.configure(c)
	for range 2 { // the second search reuses the windows of the first
		stopped, err := g.answer(t.Context(), []int{1}, func([]byte) {})
		require.NoError(t, err)
		require.NotContains(t, stopped.text, stop)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cut, err := g.answer(ctx, []int{1}, func([]byte) {})
	require.NoError(t, err)
	require.Equal(t, stopInterrupted, cut.reason)
	require.Len(t, cut.tokens, 1)
}
