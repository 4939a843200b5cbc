package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/stats"
)

// Three tokens of 2 channels, one head. Keys and values are the tokens themselves, queries are 3 times the tokens, so
// the score of two tokens is 3/√2 times their product. Token 2 looks like token 0 and attends to it most.
func ExampleAttention() {
	a := newAttention("attn", 0, ModelConfig{Layers: 1, Heads: 1, Dim: 2, Context: 3}, newRNG(1, initStream))
	copy(a.qkv.weight.W, []float32{
		3, 0, 1, 0, 1, 0, // from channel 0 of a token to Q | K | V
		0, 3, 0, 1, 0, 1, // from channel 1
	})
	copy(a.out.weight.W, []float32{1, 0, 0, 1})
	seqs, T := sequencesOf(3)
	show := func(x ...float32) {
		y := a.Forward(x, seqs)
		q, k, _ := a.queriesKeysValues(seqs[0], 0)
		p := a.probabilities(seqs[0], 0, new(headScratch), q, k, 0)
		for t := range T {
			fmt.Printf("token %d is %v: weights %.2f, output %.2f\n", t, x[2*t:2*t+2], p.Data[T*t:T*t+T], y[2*t:2*t+2])
		}
	}
	show(2, 0, 0, 1, 1, 0)
	fmt.Println("Another token 2 changes nothing before it, for no token sees its future:")
	show(2, 0, 0, 1, 0, 2)
	// Output:
	// token 0 is [2 0]: weights [1.00 0.00 0.00], output [2.00 0.00]
	// token 1 is [0 1]: weights [0.11 0.89 0.00], output [0.21 0.89]
	// token 2 is [1 0]: weights [0.88 0.01 0.11], output [1.87 0.01]
	// Another token 2 changes nothing before it, for no token sees its future:
	// token 0 is [2 0]: weights [1.00 0.00 0.00], output [2.00 0.00]
	// token 1 is [0 1]: weights [0.11 0.89 0.00], output [0.21 0.89]
	// token 2 is [0 2]: weights [0.00 0.01 0.99], output [0.00 1.99]
}

// attentionConfig has heads of 3 channels.
var attentionConfig = ModelConfig{Layers: 1, Heads: 2, Dim: 6, Context: 80}

// roughAttention is an attention layer whose queries clearly prefer some keys to others.
func roughAttention(seed uint64) *Attention {
	rng := newRNG(seed, checkStream)
	a := newAttention("attn", 0, attentionConfig, rng)
	roughen(a.params(), rng)
	kernel.Scale(a.qkv.weight.W, 2)
	return a
}

// sequencesOf packs sequences of the given lengths one after another and returns the number of their rows too.
func sequencesOf(lengths ...int) (seqs []sequence, total int) {
	for _, n := range lengths {
		seqs = append(seqs, sequence{start: total, n: n})
		total += n
	}
	return seqs, total
}

// The factor 1/√d gives the scores of random rows the same spread, whatever the number of channels per head.
func TestAttention_ScoresAreScaledByTheRootOfTheChannels(t *testing.T) {
	q, k := []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}
	s := scores(new([]float32), kernel.RowMajor(q, 1, 4), kernel.RowMajor(k, 1, 4))
	require.Equal(t, float32(70), s.Data[0])
	require.Equal(t, 70/math.Sqrt(4), softmaxRow(s.Data, (&Attention{d: 4}).factor()))
}

func TestAttention_WeightsSumToOne(t *testing.T) {
	a := roughAttention(4)
	for i := range a.C { // W_O is the identity and every value is 1: each output is the sum of the weights
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

// twinAttention is the reference's attention, one sequence after another. The attention weights are multiplied by
// dropped, unless it is nil.
func twinAttention(
	seqs []sequence, dropped func(t, head, s int) float64,
) func(*checkReference, [][]float64) [][]float64 {
	return func(r *checkReference, x [][]float64) (y [][]float64) {
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

// Sequences of one token, of several, packed one after another, and longer than a block of queries.
func TestAttention_GradientsEqualDifferences(t *testing.T) {
	for _, lengths := range [][]int{{1}, {2, 1, 5}, {queryBlock + 3}} {
		a := roughAttention(1)
		rng := newRNG(2, checkStream)
		seqs, T := sequencesOf(lengths...)
		check := layerCheck{config: attentionConfig, params: a.params(), backward: a.Backward,
			forward: func(x []float32) []float32 { return a.Forward(x, seqs) }, twin: twinAttention(seqs, nil)}
		check.require(t, T, randomFloats(rng, T*attentionConfig.Dim), rng)
	}
}

func TestAttention_GradientsEqualDifferencesWithDroppedWeights(t *testing.T) {
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

// Scores of thousands overflow exp itself. The softmax of such scores gives one token all the weight.
func TestAttention_HugeScoresDoNotOverflow(t *testing.T) {
	a := roughAttention(5)
	kernel.Scale(a.qkv.weight.W, 100)
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
		require.True(t, stats.Finite(float64(d)))
	}
}

// Scores are 0 and the value of token s is 1 in channel s of each head, 0 elsewhere. So the output of query t shows its
// attention weights after dropout: mask_s / (1 − rate) / (t + 1) in channel s of each head.
func TestAttention_NoTwoHeadsOrQueriesShareAMask(t *testing.T) {
	const heads, T, rate = 3, 40, 0.5
	const shown = 24 // the first keys of each mask are compared: two masks agree by chance with probability 2⁻²⁴
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
