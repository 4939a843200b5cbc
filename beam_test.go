package main

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
		g := newGenerator(m, words, c) // every search reuses the windows of those before
		for first := range 30 {
			prompt[0] = first
			a, err := g.answer(t.Context(), prompt, func([]byte) {})
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

// answerScore answers a prompt and scores the answer by plain passes over its tokens, with the likeliest of the ends.
func answerScore(t *testing.T, m *LLM, words *tokenizer, c generationConfig, prompt []int) float64 {
	a, err := newGenerator(m, words, c).answer(t.Context(), prompt, func([]byte) {})
	require.NoError(t, err)
	var sum float64
	seen := slices.Clone(prompt)
	for _, token := range idsOf(a.tokens) {
		sum += logProbs(m, seen)[token]
		seen = append(seen, token)
	}
	if a.reason != stopEnd {
		return beamScore(sum, float64(len(a.tokens)))
	}
	chances := logProbs(m, seen)
	end := max(chances[words.endOfText], chances[words.user], chances[words.assistant])
	return beamScore(sum+end, float64(len(a.tokens)+1))
}

// A search with room for every hypothesis scores at least what the greedy answer does, question by question; a narrow one
// may lose the greedy answer on its way, but scores more over many questions.
func TestBeamsScoreMoreThanGreedy(t *testing.T) {
	m, words := generationModel(t, 24)
	raiseSpecials(m, words)
	for _, search := range []struct{ width, maxTokens int }{{m.Vocab, 2}, {6, 6}} {
		greedy := shortAnswers(search.maxTokens)
		beams := greedy
		beams.Beams = search.width
		var gained float64
		for first := range 12 {
			prompt := []int{first}
			gain := answerScore(t, m, words, beams, prompt) - answerScore(t, m, words, greedy, prompt)
			if search.width == m.Vocab {
				require.GreaterOrEqual(t, gain, -1e-6)
			}
			gained += gain
		}
		require.Greater(t, gained, 0.1, "%d beams", search.width)
	}
}

// A hypothesis ends where its text holds a stop string, as the plain search has it.
func TestBeamsHeedStopStrings(t *testing.T) {
	m, words := generationModel(t, 24)
	raiseSpecials(m, words)
	reasons := map[string]int{}
	c := defaultGeneration()
	c.Beams, c.MaxTokens = 3, 7
	g := newGenerator(m, words, c) // every search reuses the windows of those before
	for first := range 40 {
		c.Stops = nil
		g.configure(c)
		free, err := g.answer(t.Context(), []int{first}, func([]byte) {})
		require.NoError(t, err)
		if len(free.tokens) < 2 {
			continue
		}
		middle := free.tokens[len(free.tokens)/2]
		for _, token := range []int{middle.token, middle.top[1].token} {
			c.Stops = []string{words.piece(token), "no such text"}
			g.configure(c)
			a, err := g.answer(t.Context(), []int{first}, func([]byte) {})
			require.NoError(t, err)
			want := slowBeams(m, words, []int{first}, 3, 7, c.Stops...)[0]
			require.Equal(t, idsOf(want.tokens), idsOf(a.tokens))
			require.Equal(t, want.reason, a.reason)
			before, _, _ := strings.Cut(words.decode(idsOf(a.tokens)), c.Stops[0])
			require.Equal(t, strings.ToValidUTF8(before, "\uFFFD"), a.text)
			reasons[a.reason]++
		}
	}
	require.Greater(t, len(reasons), 1, "some answers end at a stop string, some not: %v", reasons)
	require.Positive(t, reasons[stopString])
}

func TestAnInterruptedSearchGivesWhatItHas(t *testing.T) {
	m, words := generationModel(t, 24)
	c := defaultGeneration()
	c.Beams, c.MaxTokens = 3, 8
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cut, err := newGenerator(m, words, c).answer(ctx, []int{1}, func([]byte) {})
	require.NoError(t, err)
	require.Equal(t, stopInterrupted, cut.reason)
	require.Len(t, cut.tokens, 1)
}

// An answer that ended early and leads is overtaken by a longer one whose score ends up higher: -0.69 against
// -0.80 / (25/6)^0.6 = -0.34, though after one token the longer one has -0.80.
func TestBeam_ALongAnswerOvertakesOneThatEndedEarly(t *testing.T) {
	m, words := timetableModel(t, 32, 1, chances{endOfText: 0.5, "a": 0.45, "c": 0.05}, chances{"b": 1})
	c := shortAnswers(20)
	c.Beams = 2
	a, err := newGenerator(m, words, c).answer(t.Context(), words.encode("?"), func([]byte) {})
	require.NoError(t, err)
	require.Equal(t, "a"+strings.Repeat("b", 19), a.text)
	require.InDelta(t, math.Log(0.45)/math.Pow(25.0/6, 0.6), a.beams[0].score, 1e-3)
}

// An end counts only among the likeliest hypotheses, as many as there are beams. The stop string is the third likeliest:
// of two beams, the second answer is then one of two tokens, though it scores less.
func TestBeam_AnEndOutsideTheBeamsDoesNotCount(t *testing.T) {
	even := chances{}
	for _, letter := range strings.Split("cdefghij", "") {
		even[letter] = 1.0 / 8
	}
	m, words := timetableModel(t, 32, 1, chances{"a": 0.4, endOfText: 0.3, "x": 0.2, "b": 0.1}, even)
	for width, second := range map[int]string{2: stopMaxTokens, 3: stopString} {
		c := shortAnswers(2)
		c.Beams, c.Stops = width, []string{"x"}
		a, err := newGenerator(m, words, c).answer(t.Context(), words.encode("?"), func([]byte) {})
		require.NoError(t, err)
		require.Equal(t, []string{stopEnd, second}, []string{a.beams[0].reason, a.beams[1].reason}, "%d beams", width)
	}
}
