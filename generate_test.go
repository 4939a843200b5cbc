package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// generationTexts is what the tokenizer of generation tests is built from.
var generationTexts = []string{"the cat sat on the mat, the cat ate", "鲸鱼住在海里，猫住在家里。", "one two three four five six"}

// generationModel is an untrained model whose logits differ widely, and its tokenizer.
func generationModel(t testing.TB, context int) (*LLM, *tokenizer) {
	t.Helper()
	words, err := trainBPE(generationTexts, 300)
	require.NoError(t, err)
	m := newLLM(ModelConfig{Layers: 2, Heads: 2, Dim: 16, Hidden: 24, Context: context, Vocab: words.size()}, newRNG(7, initStream))
	for _, p := range m.Params() {
		if p.isMatrix() {
			scale(p.W, 12)
		}
	}
	return m, words
}

// fullLogits is the last row of a forward pass without a cache.
func fullLogits(m *LLM, tokens []int) []float32 {
	logits := m.Forward(&Batch{Inputs: tokens, Targets: tokens, Lengths: []int{len(tokens)}})
	return slices.Clone(logits[len(logits)-m.Vocab:])
}

// Windows of any lengths in one pass, prompts cut anywhere: the cache changes no bit. The context of 300 reaches over
// more than one block of keys.
func TestCachedLogitsEqualTheFullPassBitForBit(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		for _, context := range []int{1, 7, 24, 300} {
			checkCachedLogits(t, context)
		}
	})
}

func checkCachedLogits(t *testing.T, context int) {
	rng := newRNG(1, checkStream)
	m, _ := generationModel(t, context)
	d := newDecoder(m)
	for range 12 {
		var windows []*window
		var whole [][]int
		for range 1 + rng.IntN(4) {
			w := newWindow(m.ModelConfig)
			tokens := randomTokens(m.ModelConfig, rng, 1+rng.IntN(context))
			w.set(tokens[:1+rng.IntN(len(tokens))])
			windows, whole = append(windows, w), append(whole, tokens)
		}
		d.advance(windows...)
		for i, w := range windows {
			if rest := whole[i][len(w.tokens):]; len(rest) > 0 {
				w.push(rest...)
			} else {
				w.cache.truncate(len(w.tokens) - 1)
			}
		}
		logits := slices.Clone(d.advance(windows...))
		for i := range windows {
			requireSameBits(t, fullLogits(m, whole[i]), logits[i*m.Vocab:(i+1)*m.Vocab])
		}
	}
}

func TestFullWindowSlidesByHalfAndGoesOn(t *testing.T) {
	m, _ := generationModel(t, 8)
	d, w := newDecoder(m), newWindow(m.ModelConfig)
	tokens := randomTokens(m.ModelConfig, newRNG(2, checkStream), 40)
	w.set(tokens[:3])
	seen := tokens[:3] // what must be in the window
	for n := 3; n < len(tokens); n++ {
		requireSameBits(t, fullLogits(m, seen), slices.Clone(d.advance(w)))
		w.push(tokens[n])
		if seen = tokens[n-len(seen) : n+1]; len(seen) > 8 {
			seen = seen[len(seen)-4:]
		}
		require.Equal(t, seen, w.tokens)
	}
	require.Equal(t, 7, w.slides) // after 8 tokens, then every 5: 4 are kept, the ninth makes it slide
}

func TestPromptLongerThanTheContextKeepsItsEnd(t *testing.T) {
	m, _ := generationModel(t, 8)
	d, w := newDecoder(m), newWindow(m.ModelConfig)
	tokens := randomTokens(m.ModelConfig, newRNG(3, checkStream), 30)
	w.set(tokens)
	require.Equal(t, tokens[26:], w.tokens)
	requireSameBits(t, fullLogits(m, tokens[26:]), d.advance(w))
	w.set(tokens[26:28])
	require.Equal(t, 1, w.cache.n, "the last token must be run, whatever the cache holds")
	requireSameBits(t, fullLogits(m, tokens[26:28]), d.advance(w))
}

func TestGrowingConversationRunsOnlyWhatIsNew(t *testing.T) {
	m, _ := generationModel(t, 24)
	d, w := newDecoder(m), newWindow(m.ModelConfig)
	tokens := randomTokens(m.ModelConfig, newRNG(4, checkStream), 20)
	w.set(tokens[:10])
	d.advance(w)
	w.set(tokens)
	require.Equal(t, 10, w.cache.n)
	requireSameBits(t, fullLogits(m, tokens), slices.Clone(d.advance(w)))
	other := slices.Clone(tokens)
	other[4] = (other[4] + 1) % m.Vocab
	w.set(other)
	require.Equal(t, 4, w.cache.n, "a token that differs ends what is shared")
	requireSameBits(t, fullLogits(m, other), d.advance(w))
}

// slowGreedy runs the whole window anew for every token.
func slowGreedy(m *LLM, prompt []int, limit, stop int) (out []int) {
	seen := prompt
	for len(out) < limit {
		if len(seen) > m.Context {
			seen = seen[len(seen)-m.Context/2:]
		}
		token := 0
		logits := fullLogits(m, seen)
		for i, v := range logits {
			if v > logits[token] {
				token = i
			}
		}
		if token == stop {
			break
		}
		out, seen = append(out, token), append(slices.Clone(seen), token)
	}
	return out
}

func TestAnswersSideBySideEqualAnswersOneByOne(t *testing.T) {
	m, _ := generationModel(t, 600) // 6 caches for 20 prompts
	rng := newRNG(5, checkStream)
	prompts := make([][]int, 20)
	for i := range prompts {
		prompts[i] = randomTokens(m.ModelConfig, rng, 1+rng.IntN(9))
	}
	free := slowGreedy(m, prompts[0], 12, -1)
	stop := free[3] // some answers end early
	all, err := greedyAll(m, prompts, 12, stop)
	require.NoError(t, err)
	short := 0
	for i, prompt := range prompts {
		require.Equal(t, slowGreedy(m, prompt, 12, stop), all[i], "prompt %d", i)
		if len(all[i]) < 12 {
			short++
		}
	}
	require.Positive(t, short)
}

func TestGreedyGoesOnBeyondTheContext(t *testing.T) {
	m, _ := generationModel(t, 8)
	out, err := greedy(m, []int{5, 6, 7}, 30, -1)
	require.NoError(t, err)
	require.Equal(t, slowGreedy(m, []int{5, 6, 7}, 30, -1), out)
	require.Len(t, out, 30)
}

func TestBrokenModelIsAnErrorAndNoToken(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		m, words := generationModel(t, 8)
		m.lnF.bias.W[0] = float32(bad)
		_, err := greedy(m, []int{1}, 3, -1)
		require.ErrorContains(t, err, "logit of token")
		for _, beams := range []int{1, 2} {
			c := defaultGeneration()
			c.Beams = beams
			_, err = newGenerator(m, words, c).answer(t.Context(), []int{1}, func([]byte) {})
			require.ErrorContains(t, err, "logit of token")
		}
	}
}

func TestOneMoreTokenAllocatesNothing(t *testing.T) {
	m, words := generationModel(t, 200)
	c := defaultGeneration()
	c.Temperature, c.TopK, c.TopP, c.MinP, c.Repetition, c.MaxTokens = 0.9, 40, 0.95, 0.01, 1.1, 400
	g := newGenerator(m, words, c)
	g.begin([]int{1, 2, 3})
	step := func() {
		token, err := g.next()
		if err != nil {
			panic(err)
		}
		g.tokens = append(g.tokens, token)
		g.stream.add(words.piece(token.token))
	}
	g.tokens = slices.Grow(g.tokens, 1000)
	for range 300 { // over one slide of the window
		step()
	}
	require.Zero(t, testing.AllocsPerRun(200, step))
}

// Two conversations in turn, with training between: nothing of one is left in the other.
func TestWindowsDoNotDisturbEachOther(t *testing.T) {
	m, _ := generationModel(t, 24)
	rng := newRNG(6, checkStream)
	d, a, b := newDecoder(m), newWindow(m.ModelConfig), newWindow(m.ModelConfig)
	x, y := randomTokens(m.ModelConfig, rng, 9), randomTokens(m.ModelConfig, rng, 12)
	a.set(x[:5])
	d.advance(a)
	b.set(y[:11])
	d.advance(b)
	meanGradients(m, randomBatch(m.ModelConfig, rng, 20), 0)
	a.push(x[5:]...)
	requireSameBits(t, fullLogits(m, x), slices.Clone(d.advance(a)))
	b.push(y[11:]...)
	requireSameBits(t, fullLogits(m, y), slices.Clone(d.advance(b)))
	a.copyFrom(b)
	a.push(3)
	requireSameBits(t, fullLogits(m, append(y, 3)), d.advance(a))
}
