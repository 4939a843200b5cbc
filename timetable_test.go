package main

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// A model whose answers can be worked out by hand: what comes next depends on the place alone.

// chances are the probabilities of single bytes, and of endOfText, at one place of an answer. They sum to 1.
type chances map[string]float64

// timetableModel is a model with a token a byte. Whatever a prompt of the given length in tokens says, the i-th token
// after it has the chances table[i], and all later ones those of the table's last line.
//
// The blocks add nothing, so the last norm sees wpe[p], far larger than wte, and makes it the p-th row of a Hadamard
// matrix H [C, C], entries ±1, rows orthogonal. wte = Σ_p logits_p·H_p / C then gives the logits wanted at each place p.
func timetableModel(t testing.TB, context, prompt int, table ...chances) (*LLM, *tokenizer) {
	t.Helper()
	const C, far = 64, 1e6
	require.Less(t, context, C)
	words := byteTokenizer(t)
	c := ModelConfig{Layers: 1, Heads: 1, Dim: C, Hidden: 1, Context: context, Vocab: words.size()}
	m := newLLM(c, newRNG(1, initStream))
	for _, p := range m.Params() {
		if p.Name != "ln_f.weight" {
			clear(p.W)
		}
	}
	wte, wpe := paramNamed(t, m, "wte.weight"), paramNamed(t, m, "wpe.weight")
	for place := range context {
		line := table[min(max(0, place-prompt+1), len(table)-1)]
		for c := range C {
			h := float32(1 - 2*(bits.OnesCount(uint((place+1)&c))%2)) // row 0 of H is constant: no norm sees it
			wpe.W[place*C+c] = far * h
			for piece, chance := range line {
				token := words.endOfText
				if piece != endOfText {
					token = words.encode(piece)[0]
				}
				wte.W[token*C+c] += float32(25+math.Log(chance)) * h / C // every other token has the logit 0
			}
		}
	}
	return m, words
}

func paramNamed(t testing.TB, m *LLM, name string) *Param {
	for _, p := range m.Params() {
		if p.Name == name {
			return p
		}
	}
	require.FailNow(t, "no parameter "+name)
	return nil
}

// saying is the timetable of one answer and its end.
func saying(answer string) (table []chances) {
	for i := range len(answer) {
		table = append(table, chances{answer[i : i+1]: 1})
	}
	return append(table, chances{endOfText: 1})
}

func TestTimetableModel_FollowsItsTable(t *testing.T) {
	m, words := timetableModel(t, 20, 3, chances{"a": 0.5, "b": 0.3, endOfText: 0.2}, chances{"c": 0.9, "d": 0.1})
	for n, want := range map[int]chances{
		3: {"a": 0.5, "b": 0.3, endOfText: 0.2}, 4: {"c": 0.9, "d": 0.1}, 20: {"c": 0.9, "d": 0.1},
	} {
		got := logProbs(m, randomTokens(m.ModelConfig, newRNG(uint64(n), checkStream), n))
		for piece, chance := range want {
			token := words.endOfText
			if piece != endOfText {
				token = words.encode(piece)[0]
			}
			require.InDelta(t, chance, math.Exp(got[token]), 1e-4, "%q at place %d", piece, n)
		}
	}
	m, words = timetableModel(t, 20, 3, saying("\xff yes")...)
	answer, err := greedy(m, words.encode("why"), 15, words.endOfText)
	require.NoError(t, err)
	require.Equal(t, "\xff yes", words.decode(answer))
}
