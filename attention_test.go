package main

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// attentionConfig has heads of 3 channels.
var attentionConfig = ModelConfig{Layers: 1, Heads: 2, Dim: 6, Context: 80}

// roughAttention is an attention layer whose scores differ enough to prefer some tokens.
func roughAttention(seed uint64) *Attention {
	rng := newRNG(seed, checkStream)
	a := newAttention("attn", 0, attentionConfig, rng)
	roughen(a.params(), rng)
	scale(a.qkv.weight.W, 2)
	return a
}

// sequencesOf places sequences of the given lengths one after another; total is the rows they fill.
func sequencesOf(lengths ...int) (seqs []sequence, total int) {
	for _, n := range lengths {
		seqs = append(seqs, sequence{start: total, n: n})
		total += n
	}
	return seqs, total
}

// twinAttention is the reference's attention, a sequence at a time. dropped, where given, multiplies the attention weights.
func twinAttention(seqs []sequence, dropped func(t, head, s int) float64) func(*reference, [][]float64) [][]float64 {
	return func(r *reference, x [][]float64) (y [][]float64) {
		for _, s := range seqs {
			row := s.start
			r.tap = func(point string, rows [][]float64) {
				if dropped == nil || !strings.HasSuffix(point, ".weights") {
					return
				}
				for head := range rows {
					for key := range rows[head] {
						rows[head][key] *= dropped(row, head, key)
					}
				}
				row++
			}
			y = append(y, r.attention("attn", x[s.start:s.start+s.n])...)
		}
		return y
	}
}

// Lengths below, at and beyond a block of queries; a sequence of one token; sequences behind others.
func TestAttentionGradients(t *testing.T) {
	for _, lengths := range [][]int{{1}, {2, 1, 5}, {queryBlock + 3}} {
		a := roughAttention(1)
		rng := newRNG(2, checkStream)
		seqs, T := sequencesOf(lengths...)
		check := layerCheck{config: attentionConfig, params: a.params(), backward: a.Backward,
			forward: func(x []float32) []float32 { return a.Forward(x, seqs) }, twin: twinAttention(seqs, nil)}
		check.require(t, T, randomFloats(rng, T*attentionConfig.Dim), rng)
	}
}

func TestAttentionGradientsWithDroppedWeights(t *testing.T) {
	a := roughAttention(3)
	rng := newRNG(3, checkStream)
	a.drop.set(0.3, 99)
	seqs, T := sequencesOf(4, 7)
	dropped := func(t, head, s int) float64 {
		row := newParam("ones", s+1).constant(1).W
		a.dropRow(row, t, head)
		return float64(row[s])
	}
	check := layerCheck{config: attentionConfig, params: a.params(), backward: a.Backward,
		forward: func(x []float32) []float32 { return a.Forward(x, seqs) }, twin: twinAttention(seqs, dropped)}
	check.require(t, T, randomFloats(rng, T*attentionConfig.Dim), rng)
}

func TestAttentionWeightsSumToOne(t *testing.T) {
	a := roughAttention(4)
	for i := range a.C { // W_O is the identity and every V is 1: the output is the sum of the weights
		clear(a.out.weight.W[i*a.C : (i+1)*a.C])
		a.out.weight.W[i*a.C+i] = 1
		for in := range a.C {
			a.qkv.weight.W[in*3*a.C+2*a.C+i] = 0
		}
		a.out.bias.W[i], a.qkv.bias.W[2*a.C+i] = 0, 1
	}
	seqs, T := sequencesOf(70, 3)
	for _, y := range a.Forward(randomFloats(newRNG(4, checkStream), T*a.C), seqs) {
		require.InDelta(t, 1, y, 1e-6)
	}
}

// Scores of thousands, which exp alone would overflow, and which make the softmax a choice of one token.
func TestHugeScoresChooseWithoutOverflow(t *testing.T) {
	a := roughAttention(5)
	scale(a.qkv.weight.W, 100)
	seqs, T := sequencesOf(20)
	rng := newRNG(5, checkStream)
	x := randomFloats(rng, T*a.C)
	y := a.Forward(x, seqs)
	want := twinAttention(seqs, nil)(newReference(attentionConfig, a.params()), rowsOf(inFloat64(x), T))
	for row := range want {
		relErr, _, _ := compareVectors(inFloat64(y[row*a.C:(row+1)*a.C]), want[row])
		require.Less(t, relErr, 1e-3)
	}
	for _, d := range a.Backward(randomFloats(rng, T*a.C)) {
		require.True(t, finite(float64(d)))
	}
}

// The scale 1/√d: with it, the scores of random rows have the same spread for any number of channels a head.
func TestScoresAreScaledByTheRootOfTheChannels(t *testing.T) {
	q, k := []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}
	s := scores(new([]float32), rowMajor(q, 1, 4), rowMajor(k, 1, 4))
	require.Equal(t, float32(70), s.data[0])
	require.Equal(t, 70/math.Sqrt(4), softmaxRow(s.data, (&Attention{d: 4}).factor()))
}

// With scores of 0 and values that are 1 in channel s for token s, the output of query t is its dropped weights:
// mask_s / (1 − rate) / (t + 1) in channel s of each head.
func TestAttention_NoTwoHeadsOrQueriesShareAMask(t *testing.T) {
	const heads, T, rate = 3, 40, 0.5
	const shown = 24 // keys of a mask that are compared: two masks agree by chance with odds of 2⁻²⁴
	a := newAttention("attn", 0, ModelConfig{Layers: 1, Heads: heads, Dim: heads * T, Context: T}, newRNG(1, initStream))
	C := heads * T
	clear(a.qkv.weight.W)
	clear(a.out.weight.W)
	x := make([]float32, T*C)
	for s := range T {
		x[s*C+s] = 1
		for head := range heads {
			a.qkv.weight.W[s*3*C+2*C+head*T+s] = 1
		}
	}
	for c := range C {
		a.out.weight.W[c*C+c] = 1
	}
	a.drop.set(rate, 7)
	seqs, _ := sequencesOf(T)
	y := a.Forward(x, seqs)
	seen, kept := map[string]bool{}, 0
	for t1 := shown - 1; t1 < T; t1++ {
		for head := range heads {
			mask := ""
			for _, v := range y[t1*C+head*T:][:shown] {
				mask += strconv.Itoa(int(math.Round(float64(v) * (1 - rate) * float64(t1+1))))
			}
			require.False(t, seen[mask], "query %d, head %d repeats %s", t1, head, mask)
			seen[mask] = true
			kept += strings.Count(mask, "1")
		}
	}
	n := float64(len(seen) * shown)
	require.InDelta(t, n*(1-rate), kept, 4*math.Sqrt(n*rate*(1-rate)))
}
