package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReference_SoftmaxOfHugeScoresDoesNotOverflow(t *testing.T) {
	s := []float64{1e4, 1e4, -1e4}
	softmaxFloat64(s)
	require.Equal(t, []float64{0.5, 0.5, 0}, s)
}

func TestReference_EqualsTheModel(t *testing.T) {
	smallest := ModelConfig{Layers: 1, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: 2}
	for _, c := range []ModelConfig{oddConfig, threadedConfig, smallest} {
		onEachKernel(t, func(t *testing.T) {
			m := roughModel(c, 1)
			ref := newReference(c, m.Params())
			b := randomBatch(c, newRNG(1, checkStream), c.Context, 1, (c.Context+1)/2)
			logits := inFloat64(m.Forward(b))
			start := 0
			for _, n := range b.Lengths {
				for _, want := range ref.logits(b.Inputs[start : start+n]) {
					relErr, _, _ := compareVectors(logits[:c.Vocab], want)
					require.Less(t, relErr, 1e-5)
					logits = logits[c.Vocab:]
				}
				start += n
			}
			loss := m.Loss(b, 0.1)
			want := ref.loss(b, 0.1)
			require.InDelta(t, want, loss.smoothed/float64(loss.targets), 1e-5*want)
			want = ref.loss(b, 0)
			require.InDelta(t, want, loss.mean(), 1e-5*want)
		})
	}
}

func TestReference_OwnsItsWeights(t *testing.T) {
	m := roughModel(oddConfig, 2)
	ref := newReference(oddConfig, m.Params())
	b := randomBatch(oddConfig, newRNG(2, checkStream), 5)
	want := ref.loss(b, 0)
	clear(m.Params()[0].W)
	require.Equal(t, want, ref.loss(b, 0))
}

func TestReference_ATapThatOnlyLooksChangesNothing(t *testing.T) {
	m := roughModel(oddConfig, 3)
	ref := newReference(oddConfig, m.Params())
	b := randomBatch(oddConfig, newRNG(3, checkStream), 5, 2)
	want := ref.loss(b, 0)
	seen := map[string]int{}
	ref.tap = func(point string, rows [][]float64) { seen[point] += len(rows) }
	require.Equal(t, want, ref.loss(b, 0))
	require.Len(t, seen, 2+2*10)
	for point, rows := range seen {
		if strings.HasSuffix(point, ".weights") {
			rows /= oddConfig.Heads // one row per token and head
		}
		require.Equal(t, 7, rows, "%s sees every token once", point)
	}
}

// A change at a point changes the loss, but not the residual stream before it.
func TestReference_ATapChangesOnePlaceOnly(t *testing.T) {
	m := roughModel(oddConfig, 4)
	ref := newReference(oddConfig, m.Params())
	b := randomBatch(oddConfig, newRNG(4, checkStream), 6)
	want := ref.loss(b, 0)
	points := []string{"ln_f", "lm_head", "h.1.ln_1",
		"h.0.attn.c_attn", "h.0.attn.qkv", "h.0.attn.weights", "h.0.attn.heads", "h.0.attn.c_proj",
		"h.0.ln_2", "h.1.mlp.c_fc", "h.1.mlp.gelu", "h.1.mlp.c_proj"}
	for _, moved := range points {
		var stream float64
		ref.tap = func(point string, rows [][]float64) {
			if point == moved {
				last := rows[len(rows)-1]
				last[len(last)-1] += 0.5
			}
			if point == "h.0.ln_1" {
				stream = rows[0][0]
			}
		}
		require.NotEqual(t, want, ref.loss(b, 0), moved)
		require.InDelta(t, ref.weights["wte.weight"][b.Inputs[0]*15]+ref.weights["wpe.weight"][0], stream, 1e-15)
	}
	ref.tap = func(string, [][]float64) {}
	require.Equal(t, want, ref.loss(b, 0), "a change lasts for one pass")
}
