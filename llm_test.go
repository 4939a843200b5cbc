package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

func TestLLM_ParametersAreNamedAndCountedAsInGPT2(t *testing.T) {
	c := ModelConfig{Layers: 12, Heads: 12, Dim: 12, Hidden: 48, Context: 8, Vocab: 20}
	m := newLLM(c, newRNG(1, initStream))
	require.Len(t, m.Params(), 2+12*12+2)
	perBlock := 12*36 + 36 + 12*12 + 12 + 2*12*48 + 48 + 12 + 4*12
	require.Equal(t, 20*12+8*12+12*perBlock+2*12, m.ParamCount())
	require.Equal(t, "wte.weight", m.Params()[0].Name)
	require.Equal(t, "h.11.mlp.c_proj.bias", m.Params()[2+12*12-1].Name)
	require.Equal(t, "ln_f.bias", m.Params()[len(m.Params())-1].Name)
}

func TestLLM_InitialWeightsAreThoseOfGPT2(t *testing.T) {
	c := ModelConfig{Layers: 4, Heads: 4, Dim: 64, Hidden: 96, Context: 64, Vocab: 300}
	for _, p := range newLLM(c, newRNG(1, initStream)).Params() {
		mean, variance := moments(p.W)
		switch {
		case strings.Contains(p.Name, "ln_") && strings.HasSuffix(p.Name, ".weight"):
			require.Equal(t, newParam("", c.Dim).constant(1).W, p.W, p.Name)
		case !p.isMatrix():
			require.Zero(t, kernel.SumSquares(p.W), p.Name)
		default:
			std := 0.02
			if strings.HasSuffix(p.Name, "c_proj.weight") {
				std = 0.02 / math.Sqrt(2*4)
			}
			n := float64(len(p.W))
			require.InDelta(t, std, math.Sqrt(variance), 5*std/math.Sqrt(2*n), p.Name)
			require.InDelta(t, 0, mean, 5*std/math.Sqrt(n), p.Name)
		}
	}
}

func TestLLM_EveryTensorHasItsOwnRandomNumbers(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	again, other := newLLM(oddConfig, newRNG(1, initStream)), newLLM(oddConfig, newRNG(2, initStream))
	seen := map[float32]string{}
	for i, p := range m.Params() {
		requireSameBits(t, p.W, again.Params()[i].W)
		if !p.isMatrix() {
			continue
		}
		require.False(t, slices.Equal(p.W, other.Params()[i].W), p.Name)
		require.Empty(t, seen[p.W[0]], p.Name)
		seen[p.W[0]] = p.Name
	}
}

// Another token at t changes no bit of the logits before t, and changes every row of logits from t on.
func TestLLM_NoTokenSeesItsFuture(t *testing.T) {
	c := threadedConfig
	c.Context = queryBlock + 6 // more than one block of queries
	m := roughModel(c, 1)
	b := randomBatch(c, newRNG(1, checkStream), c.Context)
	before := slices.Clone(m.Forward(b))
	for at := range b.Inputs {
		token := b.Inputs[at]
		b.Inputs[at] = (token + 1) % c.Vocab
		after := m.Forward(b)
		requireSameBits(t, before[:at*c.Vocab], after[:at*c.Vocab])
		for row := at; row < c.Context; row++ {
			lo, hi := row*c.Vocab, (row+1)*c.Vocab
			require.NotEqual(t, before[lo:hi], after[lo:hi], "row %d does not depend on token %d", row, at)
		}
		b.Inputs[at] = token
	}
}

func TestLLM_PackedSequencesEqualSeparateOnes(t *testing.T) {
	m := roughModel(threadedConfig, 2)
	samples := randomSamples(threadedConfig, newRNG(2, checkStream), 33, 1, 7, 20)
	packed := new(Batch).pack(samples)
	logits := slices.Clone(m.Forward(packed))
	for _, s := range samples {
		alone := m.Forward(new(Batch).pack([]example{s}))
		requireSameBits(t, alone, logits[:len(alone)])
		logits = logits[len(alone):]
	}
	require.Empty(t, logits)
}

func TestLLM_RefusesASequenceBeyondTheContext(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	require.PanicsWithValue(t, "LLM: a sequence of 14 tokens in a context of 13", func() {
		m.Forward(randomBatch(oddConfig, newRNG(1, checkStream), 14))
	})
}

func TestLLM_TheTokenEmbeddingLearnsFromBothItsUses(t *testing.T) {
	m := roughModel(oddConfig, 7)
	b := &Batch{Inputs: []int{3}, Targets: []int{4}, Lengths: []int{1}}
	meanGradients(m, b, 0)
	for token := range oddConfig.Vocab { // as the output projection every token learns
		require.NotZero(t, kernel.SumSquares(m.embed.wte.Grad[token*15:(token+1)*15]))
	}
	both := slices.Clone(m.embed.wte.Grad[3*15 : 4*15])
	clearGrads(m.Params())
	m.embed.Backward(m.blocks[0].dx)
	for c, asInput := range m.embed.wte.Grad[3*15 : 4*15] {
		require.NotEqual(t, both[c], asInput)
		require.Equal(t, asInput, m.embed.wpe.Grad[c], "as input it gets the gradient of its position")
	}
}

// The gradients of micro-batches, each divided by the number of targets of the whole step, add up to the gradients of
// one large batch, also where the samples differ in length.
func TestLLM_AccumulationEqualsALargerBatch(t *testing.T) {
	m := roughModel(threadedConfig, 3)
	samples := randomSamples(threadedConfig, newRNG(3, checkStream), 33, 2, 16, 9)
	want := meanGradients(m, new(Batch).pack(samples), 0.1)
	for _, batch := range []int{1, 2, 3} { // 3 leaves a short last micro-batch
		clearGrads(m.Params())
		var micro Batch
		for part := range slices.Chunk(samples, batch) {
			m.Loss(micro.pack(part), 0.1)
			m.Backward(1.0 / (33 + 2 + 16 + 9))
		}
		requireCloseGrads(t, m.Params(), want, copiedGrads(m.Params()), 1e-6)
	}
	clearGrads(m.Params())
	for _, s := range samples { // a mean of the samples' means is different
		m.Loss(new(Batch).pack([]example{s}), 0.1)
		m.Backward(1 / float64(4*s.targets()))
	}
	relErr, _, _ := compareVectors(inFloat64(m.embed.wte.Grad), inFloat64(want[0]))
	require.Greater(t, relErr, 0.1)
}

func TestLLM_FreezesExactlyTheProjectionsOfAttention(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	require.Empty(t, frozenNames(m.Params()))
	m.SetAttentionFreezeUpdates(true)
	require.Equal(t, []string{
		"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "h.0.attn.c_proj.weight", "h.0.attn.c_proj.bias",
		"h.1.attn.c_attn.weight", "h.1.attn.c_attn.bias", "h.1.attn.c_proj.weight", "h.1.attn.c_proj.bias",
	}, frozenNames(m.Params()))
	m.SetAttentionFreezeUpdates(false)
	require.Empty(t, frozenNames(m.Params()))
}

// Whatever is frozen above or below it, a parameter that learns gets the same gradient, bit by bit. A frozen
// parameter's gradient stays 0.
func TestLLM_GradientsFlowThroughFrozenLayers(t *testing.T) {
	m := roughModel(oddConfig, 5)
	b := randomBatch(oddConfig, newRNG(5, checkStream), 13, 6)
	want := meanGradients(m, b, 0)
	freeze := func(frozen func(*Param) bool) {
		for _, p := range m.Params() {
			p.Frozen = frozen(p)
		}
		got := meanGradients(m, b, 0)
		for i, p := range m.Params() {
			if p.Frozen { // a step clears no frozen gradient: what stood here would count after the release
				require.Zero(t, kernel.SumSquares(got[i]), p.Name)
			} else {
				requireSameBits(t, want[i], got[i])
			}
		}
	}
	freeze(isAttention)
	for _, group := range []string{"attention", "feedforward", "layernorm", "embedding"} {
		freeze(func(p *Param) bool { return p.Part.group() == group })
	}
	for i := range m.Params() {
		freeze(func(p *Param) bool { return p == m.Params()[i] })
	}
}

// No weight can be NaN without the loss being NaN.
func TestLLM_ANaNWeightReachesTheLoss(t *testing.T) {
	b := randomBatch(oddConfig, newRNG(8, checkStream), 13)
	for i := range newLLM(oddConfig, newRNG(8, initStream)).Params() {
		m := roughModel(oddConfig, 8)
		p := m.Params()[i]
		at := 0
		if p == m.embed.wte {
			at = b.Inputs[0] * oddConfig.Dim // of a token that occurs
		}
		p.W[at] = float32(math.NaN())
		loss := m.Loss(b, 0)
		require.True(t, math.IsNaN(loss.mean()), p.Name)
	}
}

func TestLLM_BlocksShareTheMemoryOfTheirGradients(t *testing.T) {
	m := roughModel(oddConfig, 9)
	for _, lengths := range [][]int{{3}, {13, 6}, {5}} {
		meanGradients(m, randomBatch(oddConfig, newRNG(9, checkStream), lengths...), 0)
		first, last := m.blocks[0].gradBuffers(), m.blocks[m.Layers-1].gradBuffers()
		for i := range first {
			require.Same(t, &(*first[i])[0], &(*last[i])[0])
		}
		require.NotSame(t, &m.blocks[0].dx[0], &m.blocks[1].dx[0], "a block reads the dx above it")
	}
}

func TestLLM_ThreadsDoNotChangeABit(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		var want snapshot
		for _, threads := range []int{1, 2, 3, 5} {
			withThreads(threads, func() {
				m := roughModel(threadedConfig, 4)
				b := randomBatch(threadedConfig, newRNG(4, checkStream), 33, 12, 1, 25)
				trainSteps(m, newAdam(m.Params(), 0.99, 0.1), b, 4, 0.1)
				var got snapshot
				got.save(m.Params())
				if want == nil {
					want = got
				}
				for i := range want {
					requireSameBits(t, want[i], got[i])
				}
			})
		}
	})
}
