package main

import (
	"context"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The best hypothesis equals that of slowBeams for several widths, also when the answer does not fit the context.
func TestBeam_EqualsAPlainSearch(t *testing.T) {
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
		require.Len(t, reasons, 2, "some answers end by a special token, some at max-tokens")
	}
}

// contextUsed and slides of an answer follow from its own tokens, not from those of other hypotheses.
func TestBeam_ReportsTheContextOfTheAnswerItself(t *testing.T) {
	m, words := generationModel(t, 8)
	raiseSpecials(m, words)
	prompt := randomTokens(m.ModelConfig, newRNG(21, checkStream), 8) // with one more token the window slides
	slides := map[int]bool{}
	for _, width := range []int{1, 5} {
		c := defaultGeneration()
		c.Beams, c.MaxTokens = width, 12
		g := newGenerator(m, words, c) // every search reuses the windows of the searches before it
		for first := range 30 {
			prompt[0] = first
			a, err := g.answer(t.Context(), prompt, func([]byte) {})
			require.NoError(t, err)
			fed := idsOf(a.tokens)
			if a.reason == stopMaxTokens {
				fed = fed[:len(fed)-1] // the model never saw the last token
			}
			w := newWindow(m.ModelConfig)
			w.set(prompt)
			for _, token := range fed {
				w.push(token)
			}
			require.Equal(t, w.slides, a.slides, "%d beams", width)
			require.Equal(t, len(w.tokens), a.contextUsed)
			slides[a.slides] = true
		}
	}
	require.Greater(t, len(slides), 1)
}

// No continuation scores more than the bound, however long answers may be.
func TestBeam_MaxScoreBoundsEveryContinuation(t *testing.T) {
	g := &generator{}
	for _, g.config.MaxTokens = range []int{1, 256, math.MaxInt} {
		h := hypothesis{logProb: -3}
		require.GreaterOrEqual(t, g.maxScore(h), beamScore(h.logProb, float64(g.config.MaxTokens)))
		require.Negative(t, g.maxScore(h))
	}
}

// raiseSpecials makes special tokens likely enough to occur: it moves their embeddings towards the mean output.
func raiseSpecials(m *LLM, words *tokenizer) {
	for c := range m.Dim {
		m.lnF.bias.W[c] = 0.6
		for _, token := range []int{words.endOfText, words.user, words.assistant} {
			m.embed.wte.W[token*m.Dim+c] += 0.2
		}
	}
}

func TestBeam_FinishedHypothesesLeaveTheirPlacesToActiveOnes(t *testing.T) {
	m, words := generationModel(t, 24)
	raiseSpecials(m, words)
	raiseSpecials(m, words)
	g := newGenerator(m, words, defaultGeneration())
	g.config.Beams = 3
	finished := 0
	for first := range 20 {
		w := g.getWindow()
		w.set([]int{first})
		next, err := g.extendAll([]hypothesis{{window: w}}, 1)
		require.NoError(t, err)
		active := 0
		for _, h := range next {
			if h.active() {
				active++
			}
		}
		require.Equal(t, 3, active)
		finished += len(next) - active
	}
	require.Positive(t, finished)
}

// A search that keeps every sequence is exhaustive: no answer of at most two tokens scores higher than its result.
func TestBeam_AWideSearchFindsTheBestOfAllAnswers(t *testing.T) {
	m, words := generationModel(t, 24)
	raiseSpecials(m, words)
	c := defaultGeneration()
	c.MaxTokens, c.Beams = 2, m.Vocab*m.Vocab
	prompt := []int{1, 2}
	g := newGenerator(m, words, c)
	g.config.Beams = m.Vocab
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

// answerScore answers a prompt and computes the score of the answer by passes without a cache. An answer that a special
// token has ended counts with the likeliest of them.
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

// A search that keeps every hypothesis scores at least as much as the greedy answer for every prompt. A narrow search
// may drop the greedy answer on its way, but scores more over many prompts.
func TestBeam_ScoresMoreThanGreedy(t *testing.T) {
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

// A hypothesis ends when its text contains a stop string, exactly as in slowBeams.
func TestBeam_AHypothesisEndsAtAStopString(t *testing.T) {
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

func TestBeam_AnInterruptedSearchReturnsItsBest(t *testing.T) {
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

// The answer that ends at once scores -0.69, more than the longer one after its first token, -0.80. But at its end the
// longer one scores -0.80 / (25/6)^0.6 = -0.34.
func TestBeam_ALongAnswerOvertakesOneThatEndedEarly(t *testing.T) {
	m, words := timetableModel(t, 32, 1, chances{endOfText: 0.5, "a": 0.45, "c": 0.05}, chances{"b": 1})
	c := shortAnswers(20)
	c.Beams = 2
	a, err := newGenerator(m, words, c).answer(t.Context(), words.encode("?"), func([]byte) {})
	require.NoError(t, err)
	require.Equal(t, "a"+strings.Repeat("b", 19), a.text)
	require.InDelta(t, math.Log(0.45)/math.Pow(25.0/6, 0.6), a.beams[0].score, 1e-3)
}

// A hypothesis that ends counts only if it is among the N likeliest of N beams. Here the stop string is the third
// likeliest: with two beams, the second answer is then one of two tokens although it scores less.
func TestBeam_AnEndThatIsNotAmongTheLikeliestDoesNotCount(t *testing.T) {
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

// slowBeams is beam search in plain lists, without a cache: it runs the whole sequence for every hypothesis.
func slowBeams(m *LLM, words *tokenizer, prompt []int, width, limit int, stops ...string) (finished []hypothesis) {
	type item struct {
		tokens  []int
		logProb float64
	}
	active := []item{{}}
	for length := 1; len(active) > 0; length++ {
		var all []item
		for _, h := range active {
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
		active = nil
		for rank, h := range all[:min(len(all), 2*width)] {
			if len(active) == width {
				break
			}
			reason, tokens := slowReason(words, h.tokens, limit, stops)
			if reason == "" {
				active = append(active, h)
			} else if rank < width {
				score := h.logProb / math.Pow(float64(5+length)/6, 0.6)
				finished = append(finished, hypothesis{tokens: asAnswer(tokens), reason: reason, logProb: h.logProb, score: score})
			}
		}
	}
	sort.SliceStable(finished, func(a, b int) bool { return finished[a].score > finished[b].score })
	return finished
}

// slowReason returns why an answer ends with its last token, "" if it does not, and its tokens without a special one at
// the end.
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

// replaySlides returns the tokens in a window after a prompt and then one token after another.
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
		answer = append(answer, answerToken{tokenProb: tokenProb{token: token}})
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
