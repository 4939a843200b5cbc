package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// lastLogits is the full forward pass that a cache saves: the logits of the last of the tokens.
func lastLogits(m *LLM, tokens []int) []float32 {
	logits := m.Forward(&Batch{Inputs: tokens, Lengths: []int{len(tokens)}})
	return slices.Clone(logits[len(logits)-m.Vocab:])
}

// generationConfig has room for prompts beyond one block of queries.
var generationConfig = ModelConfig{Layers: 2, Heads: 2, Dim: 14, Hidden: 20, Context: queryBlock + 21, Vocab: 37}

// However a sequence is cut into pieces, the cache gives the logits of the full forward pass, to the bit.
func TestCachedGenerationEqualsTheFullForwardPass(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		rng := newRNG(1, checkStream)
		m := roughModel(generationConfig, 1)
		for range 10 {
			tokens := randomTokens(generationConfig, rng, 1+rng.IntN(generationConfig.Context))
			cache := newKVCache(generationConfig)
			for done := 0; done < len(tokens); {
				n := 1 + rng.IntN(len(tokens)-done)
				got := slices.Clone(m.extend(cache, tokens[done:done+n]))
				done += n
				requireSameBits(t, lastLogits(m, tokens[:done]), got)
				require.Equal(t, done, cache.n)
			}
		}
	})
}

func TestOneTokenAtATimeEqualsTheFullForwardPass(t *testing.T) {
	m := roughModel(generationConfig, 2)
	tokens := randomTokens(generationConfig, newRNG(2, checkStream), generationConfig.Context)
	cache := newKVCache(generationConfig)
	for i, token := range tokens {
		got := slices.Clone(m.extend(cache, []int{token}))
		requireSameBits(t, lastLogits(m, tokens[:i+1]), got)
	}
	require.Panics(t, func() { m.extend(cache, []int{0}) }, "the context is full")
}

// Two conversations in turn, with training between: nothing of one is left in the other.
func TestCachesDoNotDisturbEachOther(t *testing.T) {
	m := roughModel(generationConfig, 3)
	rng := newRNG(3, checkStream)
	a, b := randomTokens(generationConfig, rng, 9), randomTokens(generationConfig, rng, 12)
	cacheA, cacheB := newKVCache(generationConfig), newKVCache(generationConfig)
	m.extend(cacheA, a[:5])
	m.extend(cacheB, b[:11])
	meanGradients(m, randomBatch(generationConfig, rng, 30), 0)
	gotA := slices.Clone(m.extend(cacheA, a[5:]))
	gotB := slices.Clone(m.extend(cacheB, b[11:]))
	requireSameBits(t, lastLogits(m, a), gotA)
	requireSameBits(t, lastLogits(m, b), gotB)
}

func TestGreedyTakesTheLikeliestTokenEachTime(t *testing.T) {
	m := roughModel(generationConfig, 4)
	prompt := randomTokens(generationConfig, newRNG(4, checkStream), 5)
	tokens := slices.Clone(prompt)
	for range 20 {
		tokens = append(tokens, argmax(lastLogits(m, tokens)))
	}
	out := greedy(m, prompt, 20, ignored)
	require.Equal(t, tokens[5:], out)
	stop := out[len(out)-1]
	until := greedy(m, prompt, 20, stop)
	require.Len(t, until, slices.Index(out, stop), "the stop is not part of the answer")
	require.NotContains(t, until, stop)
}

func TestGreedyEndsWhereTheContextDoes(t *testing.T) {
	m := roughModel(generationConfig, 5)
	rng := newRNG(5, checkStream)
	for _, c := range []struct{ prompt, limit, want int }{
		{generationConfig.Context - 3, 100, 4}, // the last token needs no place: nothing follows it
		{generationConfig.Context, 100, 1},
		{generationConfig.Context + 1, 100, 0},
		{4, 0, 0}, {4, 7, 7},
	} {
		require.Len(t, greedy(m, randomTokens(generationConfig, rng, c.prompt), c.limit, ignored), c.want)
	}
}

func TestArgmaxTakesTheFirstOfEquals(t *testing.T) {
	require.Equal(t, 1, argmax([]float32{1, 3, 3, 2}))
	require.Equal(t, 0, argmax([]float32{-1}))
}
