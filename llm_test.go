package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A change of token t changes no logit before t, to the bit, and every row from t on.
func TestNoTokenSeesItsFuture(t *testing.T) {
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
			require.NotEqual(t, before[row*c.Vocab:(row+1)*c.Vocab], after[row*c.Vocab:(row+1)*c.Vocab], "row %d of token %d", row, at)
		}
		b.Inputs[at] = token
	}
}

func TestPackedSequencesEqualOnesAlone(t *testing.T) {
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

// Gradients of micro-batches, each through its own activations and weighted by the targets of the whole step, add up to
// those of one batch: also where the samples differ in length.
func TestAccumulationEqualsALargerBatch(t *testing.T) {
	m := roughModel(threadedConfig, 3)
	samples := randomSamples(threadedConfig, newRNG(3, checkStream), 33, 2, 16, 9)
	want := meanGradients(m, new(Batch).pack(samples), 0.1)
	for _, batch := range []int{1, 2, 3} { // the last with a short tail
		clearGrads(m.Params())
		var micro Batch
		for part := range slices.Chunk(samples, batch) {
			m.Loss(micro.pack(part), 0.1)
			m.Backward(1.0 / (33 + 2 + 16 + 9))
		}
		requireCloseGrads(t, m.Params(), want, copiedGrads(m.Params()), 1e-6)
	}
	clearGrads(m.Params())
	for _, s := range samples { // a mean of the samples' means is something else
		m.Loss(new(Batch).pack([]example{s}), 0.1)
		m.Backward(1 / float64(4*s.targets()))
	}
	relErr, _, _ := compareVectors(inFloat64(m.embed.wte.Grad), inFloat64(want[0]))
	require.Greater(t, relErr, 0.1)
}

func TestThreadsDoNotChangeABit(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		var want snapshot
		for _, team := range []int{1, 2, 3, 5} {
			withThreads(team, func() {
				m := roughModel(threadedConfig, 4)
				b := randomBatch(threadedConfig, newRNG(4, checkStream), 33, 12, 1, 25)
				trainSteps(m, newAdam(m.Params(), 0.99, 0.1), b, 4, 0.1)
				var got snapshot
				got.take(m.Params())
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

func TestFreezingCoversExactlyTheProjectionsOfAttention(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	require.Empty(t, frozenNames(m))
	m.SetAttentionFreezeUpdates(true)
	require.Equal(t, []string{
		"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "h.0.attn.c_proj.weight", "h.0.attn.c_proj.bias",
		"h.1.attn.c_attn.weight", "h.1.attn.c_attn.bias", "h.1.attn.c_proj.weight", "h.1.attn.c_proj.bias"}, frozenNames(m))
	m.SetAttentionFreezeUpdates(false)
	require.Empty(t, frozenNames(m))
}

// What learns gets the same gradient, to the bit, whatever rests above or below it; what rests gathers none.
func TestGradientsFlowThroughFrozenLayers(t *testing.T) {
	m := roughModel(oddConfig, 5)
	b := randomBatch(oddConfig, newRNG(5, checkStream), 13, 6)
	want := meanGradients(m, b, 0)
	freeze := func(rests func(*Param) bool) {
		for _, p := range m.Params() {
			p.Frozen = rests(p)
		}
		got := meanGradients(m, b, 0)
		for i, p := range m.Params() {
			if p.Frozen { // a step clears only what it used: what gathered here would be stepped on release
				require.Zero(t, sumSquares(got[i]), p.Name)
			} else {
				requireSameBits(t, want[i], got[i])
			}
		}
	}
	freeze(isAttention)
	for _, group := range []string{"attention", "feedforward", "layernorm", "embedding"} {
		freeze(func(p *Param) bool { return paramGroup(p) == group })
	}
	for i := range m.Params() {
		freeze(func(p *Param) bool { return p == m.Params()[i] })
	}
}

func TestTheTokenEmbeddingLearnsFromBothItsUses(t *testing.T) {
	m := roughModel(oddConfig, 7)
	b := &Batch{Inputs: []int{3}, Targets: []int{4}, Lengths: []int{1}}
	meanGradients(m, b, 0)
	for token := range oddConfig.Vocab { // as output every token learns
		require.NotZero(t, sumSquares(m.embed.wte.Grad[token*15:(token+1)*15]))
	}
	both := slices.Clone(m.embed.wte.Grad[3*15 : 4*15])
	clearGrads(m.Params())
	m.embed.Backward(m.blocks[0].dx)
	for c, asInput := range m.embed.wte.Grad[3*15 : 4*15] {
		require.NotEqual(t, both[c], asInput)
		require.Equal(t, asInput, m.embed.wpe.Grad[c], "as input it learns what its position does")
	}
}

func TestParametersAreNamedAndCountedAsInGPT2(t *testing.T) {
	c := ModelConfig{Layers: 12, Heads: 12, Dim: 12, Hidden: 48, Context: 8, Vocab: 20}
	m := newLLM(c, newRNG(1, initStream))
	require.Len(t, m.Params(), 2+12*12+2)
	perBlock := 12*36 + 36 + 12*12 + 12 + 2*12*48 + 48 + 12 + 4*12
	require.Equal(t, 20*12+8*12+12*perBlock+2*12, m.ParamCount())
	require.Equal(t, "wte.weight", m.Params()[0].Name)
	require.Equal(t, "h.11.mlp.c_proj.bias", m.Params()[2+12*12-1].Name)
	require.Equal(t, "ln_f.bias", m.Params()[len(m.Params())-1].Name)
}

func TestASequenceBeyondTheContextIsRefused(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	require.PanicsWithValue(t, "LLM: a sequence of 14 tokens in a context of 13", func() {
		m.Forward(randomBatch(oddConfig, newRNG(1, checkStream), 14))
	})
}

// A NaN among the weights reaches the loss and the norm: it is found, not hidden.
func TestANaNWeightReachesTheLoss(t *testing.T) {
	b := randomBatch(oddConfig, newRNG(8, checkStream), 13)
	for i := range newLLM(oddConfig, newRNG(8, initStream)).Params() {
		m := roughModel(oddConfig, 8)
		p := m.Params()[i]
		at := 0
		if p == m.embed.wte {
			at = b.Inputs[0] * oddConfig.Dim // of a token that is there
		}
		p.W[at] = float32(math.NaN())
		loss := m.Loss(b, 0)
		require.True(t, math.IsNaN(loss.mean()), p.Name)
	}
}

func TestTheGradientsInsideBlocksAreThereOnce(t *testing.T) {
	m := roughModel(oddConfig, 9)
	for _, lengths := range [][]int{{3}, {13, 6}, {5}} {
		meanGradients(m, randomBatch(oddConfig, newRNG(9, checkStream), lengths...), 0)
		first, last := m.blocks[0].gradients(), m.blocks[m.Layers-1].gradients()
		for i := range first {
			require.Same(t, &(*first[i])[0], &(*last[i])[0])
		}
		require.NotSame(t, &m.blocks[0].dx[0], &m.blocks[1].dx[0], "what one block passes down, the next reads to its end")
	}
}

// A training step of sizes seen before lives on the memory of earlier ones.
func TestASteadyTrainingStepAllocatesNothing(t *testing.T) {
	cfg := defaultConfig()
	cfg.Dropout, cfg.Smoothing, cfg.WeightDecay = 0.1, 0.1, 0.1
	m := roughModel(threadedConfig, 9)
	tr := newTrainer(&cfg, m, nil)
	tr.phase, tr.opt = &phase{train: &dataset{}}, newAdam(m.Params(), cfg.Beta2, cfg.WeightDecay)
	tr.schedule = Schedule{peak: 1e-3, planned: 1000}
	samples := randomSamples(threadedConfig, newRNG(9, checkStream), 33, 5, 18)
	var sum epochSum
	for _, team := range []int{1, 2} {
		withThreads(team, func() {
			require.Zero(t, testing.AllocsPerRun(20, func() { require.NoError(t, tr.optimize(samples, &sum)) }), "%d threads", team)
		})
	}
}
