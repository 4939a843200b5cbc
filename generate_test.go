package main

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

// generationTexts train the tokenizer of generation tests.
var generationTexts = []string{"the cat sat on the mat, the cat ate", "鲸鱼住在海里，猫住在家里。", "one two three four five six"}

// generationModel returns an untrained model whose logits differ widely, and its tokenizer.
func generationModel(t testing.TB, context int) (*LLM, *tokenizer) {
	t.Helper()
	words, err := trainBPE(generationTexts, 300)
	require.NoError(t, err)
	c := ModelConfig{Layers: 2, Heads: 2, Dim: 16, Hidden: 24, Context: context, Vocab: words.size()}
	m := newLLM(c, newRNG(7, initStream))
	for _, p := range m.Params() {
		if p.isMatrix() {
			kernel.Scale(p.W, 12)
		}
	}
	return m, words
}

// fullLogits returns the last row of a forward pass without a cache.
func fullLogits(m *LLM, tokens []int) []float32 {
	logits := m.Forward(&Batch{Inputs: tokens, Targets: tokens, Lengths: []int{len(tokens)}})
	return slices.Clone(logits[len(logits)-m.Vocab:])
}

// One pass runs several windows of any lengths, each with any part of its tokens in the cache. The context of 300 needs
// more than one block of keys.
func TestGenerate_CachedLogitsHaveTheBitsOfTheFullPass(t *testing.T) {
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

func TestGenerate_AFullWindowSlidesByHalf(t *testing.T) {
	m, _ := generationModel(t, 8)
	d, w := newDecoder(m), newWindow(m.ModelConfig)
	tokens := randomTokens(m.ModelConfig, newRNG(2, checkStream), 40)
	w.set(tokens[:3])
	seen := tokens[:3] // the tokens that must be in the window
	for n := 3; n < len(tokens); n++ {
		requireSameBits(t, fullLogits(m, seen), slices.Clone(d.advance(w)))
		w.push(tokens[n])
		if seen = tokens[n-len(seen) : n+1]; len(seen) > 8 {
			seen = seen[len(seen)-4:]
		}
		require.Equal(t, seen, w.tokens)
	}
	require.Equal(t, 7, w.slides) // the ninth token makes it slide and keep 4, then every fifth one does
}

func TestGenerate_ALongPromptKeepsItsEnd(t *testing.T) {
	m, _ := generationModel(t, 8)
	d, w := newDecoder(m), newWindow(m.ModelConfig)
	tokens := randomTokens(m.ModelConfig, newRNG(3, checkStream), 30)
	w.set(tokens)
	require.Equal(t, tokens[26:], w.tokens)
	requireSameBits(t, fullLogits(m, tokens[26:]), d.advance(w))
	w.set(tokens[26:28])
	require.Equal(t, 1, w.cache.n, "the last token is run although the cache holds it")
	requireSameBits(t, fullLogits(m, tokens[26:28]), d.advance(w))
}

func TestGenerate_AGrowingConversationRunsOnlyNewTokens(t *testing.T) {
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
	require.Equal(t, 4, w.cache.n, "the cache is kept up to the first token that differs")
	requireSameBits(t, fullLogits(m, other), d.advance(w))
}

// slowGreedy is greedy without a cache: it runs the whole window for every token.
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

func TestGenerate_PromptsSideBySideEqualPromptsOneByOne(t *testing.T) {
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

func TestGenerate_GreedyContinuesBeyondTheContext(t *testing.T) {
	m, _ := generationModel(t, 8)
	out, err := greedy(m, []int{5, 6, 7}, 30, -1)
	require.NoError(t, err)
	require.Equal(t, slowGreedy(m, []int{5, 6, 7}, 30, -1), out)
	require.Len(t, out, 30)
}

func TestGenerate_ABrokenModelIsAnError(t *testing.T) {
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

func TestGenerate_OneMoreTokenAllocatesNothing(t *testing.T) {
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
		g.stream.Add(words.piece(token.token))
	}
	g.tokens = slices.Grow(g.tokens, 1000)
	for range 300 { // over one slide of the window
		step()
	}
	require.Zero(t, testing.AllocsPerRun(200, step))
}

// Two conversations alternate, with a training step between: neither changes the other's logits.
func TestGenerate_WindowsDoNotDisturbEachOther(t *testing.T) {
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

// BenchmarkGenerate_Decode reports tokens per second, and how fast decoding reads the weights. The bound of the latter
// is BenchmarkGenerate_ReadMemory: the same threads read memory and compute nothing else.
func BenchmarkGenerate_Decode(b *testing.B) {
	for _, bc := range benchCases {
		if bc.name == "tiny" || bc.name == "mid" || bc.name == "gpt2" {
			b.Run(bc.name, func(b *testing.B) {
				m := newLLM(bc.model, newRNG(1, initStream))
				d, w := newDecoder(m), newWindow(m.ModelConfig)
				w.set(make([]int, m.Context/4))
				d.advance(w)
				for b.Loop() {
					if len(w.tokens) == m.Context/2 {
						w.tokens = w.tokens[:m.Context/4]
						w.cache.truncate(m.Context / 4)
					}
					w.push(1)
					d.advance(w)
				}
				seconds := b.Elapsed().Seconds() / float64(b.N)
				b.ReportMetric(1/seconds, "tokens/s")
				b.ReportMetric(4*float64(m.ParamCount())/seconds/1e9, "GB/s")
			})
		}
	}
}

// BenchmarkGenerate_Prefill reports tokens per second of a prompt that fills half of the context.
func BenchmarkGenerate_Prefill(b *testing.B) {
	for _, bc := range benchCases {
		if bc.name == "tiny" || bc.name == "gpt2" {
			b.Run(fmt.Sprintf("%s/%d", bc.name, bc.model.Context/2), func(b *testing.B) {
				m := newLLM(bc.model, newRNG(1, initStream))
				d, w := newDecoder(m), newWindow(m.ModelConfig)
				for b.Loop() {
					w.cache.truncate(0)
					w.set(make([]int, m.Context/2))
					d.advance(w)
				}
				b.ReportMetric(float64(m.Context/2)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

type memoryReader struct {
	x   []float32
	sum [64]float64
}

func (r *memoryReader) span(lo, hi int) { r.sum[lo%64] = kernel.Sum(r.x[lo:hi]) }

func BenchmarkGenerate_ReadMemory(b *testing.B) {
	r := &memoryReader{x: make([]float32, 1<<27)}
	for i := range r.x {
		r.x[i] = 1
	}
	for b.Loop() {
		kernel.Parallel(len(r.x), r, (*memoryReader).span)
	}
	b.ReportMetric(4*float64(len(r.x))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
}
