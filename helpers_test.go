package main

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
)

// What the tests of layers and of the model share: models, random data, comparisons.

// oddConfig is a model whose sizes are multiples of no kernel's block size.
var oddConfig = ModelConfig{Layers: 2, Heads: 3, Dim: 15, Hidden: 22, Context: 13, Vocab: 31}

// threadedConfig is about the smallest model whose matrix products run on several threads.
var threadedConfig = ModelConfig{Layers: 2, Heads: 3, Dim: 48, Hidden: 70, Context: 33, Vocab: 130}

// roughModel is a model with random noise on its initial weights: attention prefers some tokens, gains differ from 1
// and biases from 0. So every term of a gradient is large enough for a test to notice its absence.
func roughModel(c ModelConfig, seed uint64) *LLM {
	m := newLLM(c, newRNG(seed, initStream))
	roughen(m.Params(), newRNG(seed, checkStream))
	return m
}

// roughen adds noise to all weights.
func roughen(params []*Param, rng *rand.Rand) {
	for _, p := range params {
		for i := range p.W {
			p.W[i] += float32(0.3 * rng.NormFloat64())
		}
	}
}

// randomSamples draws one sample for each length n: n + 1 tokens, which make n predictions.
func randomSamples(c ModelConfig, rng *rand.Rand, lengths ...int) []example {
	samples := make([]example, len(lengths))
	for i, n := range lengths {
		samples[i].tokens = randomTokens(c, rng, n+1)
	}
	return samples
}

func randomTokens(c ModelConfig, rng *rand.Rand, n int) []int {
	tokens := make([]int, n)
	for i := range tokens {
		tokens[i] = rng.IntN(c.Vocab)
	}
	return tokens
}

// randomBatch packs random samples of the given lengths.
func randomBatch(c ModelConfig, rng *rand.Rand, lengths ...int) *Batch {
	return new(Batch).pack(randomSamples(c, rng, lengths...))
}

// meanGradients computes the gradients of the batch's mean loss, leaves them in the parameters and returns copies.
func meanGradients(m *LLM, b *Batch, smoothing float64) [][]float32 {
	clearGrads(m.Params())
	loss := m.Loss(b, smoothing)
	m.Backward(1 / float64(loss.targets))
	return copiedGrads(m.Params())
}

func copiedGrads(params []*Param) [][]float32 {
	gs := make([][]float32, len(params))
	for i, p := range params {
		gs[i] = slices.Clone(p.Grad)
	}
	return gs
}

// requireCloseGrads wants ‖got − want‖ / ‖want‖ of every tensor below a limit. It leaves out the keys' bias, whose
// gradient is rounding errors only.
func requireCloseGrads(t *testing.T, params []*Param, want, got [][]float32, limit float64) {
	t.Helper()
	for i, p := range params {
		g, w, _ := withoutKeyBias(p.Name, got[i], want[i])
		relErr, _, _ := compareVectors(g, w)
		require.Less(t, relErr, limit, p.Name)
	}
}

// trainSteps takes optimizer steps on one batch, with dropout, label smoothing and clipping.
func trainSteps(m *LLM, opt *Adam, b *Batch, steps int, dropout float64) {
	for step := range steps {
		m.SetDropout(dropout, uint64(step))
		meanGradients(m, b, 0.1)
		opt.Step(1e-2, clipFactor(opt.GradNorm(), 1))
	}
}

// layerGradLimit is the limit of ‖g − fd‖ / ‖fd‖, g a layer's gradient in float32, fd central differences in float64.
const layerGradLimit = 2e-6

// layerCheck compares a layer's gradients of L = Σ out·r, r random, with central differences of the same layer in the
// float64 reference.
type layerCheck struct {
	config   ModelConfig
	params   []*Param
	forward  func(x []float32) []float32  // [T, in] to [T, out]
	backward func(dy []float32) []float32 // [T, out] to [T, in]
	twin     func(r *checkReference, x [][]float64) [][]float64
}

// require checks the gradients with respect to all parameters and to the input x [T, in], and that the check can fail.
func (l *layerCheck) require(t *testing.T, T int, x []float32, rng *rand.Rand) {
	t.Helper()
	out := l.forward(x)
	r := randomFloats(rng, len(out))
	clearGrads(l.params)
	kept := slices.Clone(r)
	dx := l.backward(r)
	requireSameBits(t, kept, r)
	ref := newReference(l.config, l.params)
	rows := rowsOf(inFloat64(x), T)
	loss := func() float64 {
		var sum float64
		for i, row := range l.twin(ref, rows) {
			sum += inner(row, inFloat64(r[i*len(row):(i+1)*len(row)]))
		}
		return sum
	}
	for _, p := range l.params {
		g, fd, _ := withoutKeyBias(p.Name, p.Grad, inFloat32(differencesOf(loss, ref.weights[p.Name])))
		requireGradient(t, p.Name, g, fd)
	}
	requireGradient(t, "input", inFloat64(dx), differencesOf(loss, rows...))
}

// requireGradient wants g within the limit of fd, and g beyond the limit once its largest entry is 1 % off.
func requireGradient(t *testing.T, name string, g, fd []float64) {
	t.Helper()
	relErr, _, _ := compareVectors(g, fd)
	require.Less(t, relErr, layerGradLimit, name)
	largest := 0
	for i := range g {
		if g[i]*g[i] > g[largest]*g[largest] {
			largest = i
		}
	}
	spoiled := slices.Clone(g)
	spoiled[largest] *= 1.01
	relErr, _, _ = compareVectors(spoiled, fd)
	require.Greater(t, relErr, layerGradLimit, "%s: a wrong entry must show", name)
}

// differencesOf returns the central differences of a loss with respect to every number of the rows.
func differencesOf(loss func() float64, rows ...[]float64) []float64 {
	const h = 1e-5
	var fd []float64
	for _, row := range rows {
		for i, base := range row {
			row[i] = base + h
			up := loss()
			row[i] = base - h
			fd = append(fd, (up-loss())/(2*h))
			row[i] = base
		}
	}
	return fd
}

// rowsOf splits x into T rows, which share its memory.
func rowsOf(x []float64, T int) [][]float64 {
	rows := make([][]float64, T)
	for t := range rows {
		rows[t] = x[t*len(x)/T : (t+1)*len(x)/T]
	}
	return rows
}

func inFloat32(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// onEachKernel runs a test with every kernel that this machine has.
func onEachKernel(t *testing.T, f func(t *testing.T)) {
	defer func(name string) { require.NoError(t, kernel.Select(name)) }(kernel.Name())
	for _, name := range kernel.Names()[1:] {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, kernel.Select(name))
			f(t)
		})
	}
}

// withThreads runs f with n threads.
func withThreads(n int, f func()) {
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(n)
	f()
}

func randomFloats(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func requireSameBits(t *testing.T, want, got []float32) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, math.Float32bits(want[i]), math.Float32bits(got[i]), "[%d]: %x, want %x", i, got[i], want[i])
	}
}

// A model whose answers can be worked out by hand: the probabilities of the next token depend on its position alone.

// chances are the probabilities of single bytes, and of endOfText, at one position of an answer. They sum to 1.
type chances map[string]float64

// timetableModel returns a model whose tokens are single bytes. After any prompt of the given length in tokens, the
// i-th token has the chances table[i]; later tokens have those of the table's last line.
//
// The blocks add nothing, so the input of the last LayerNorm is wpe[p], far larger than wte, and its output the p-th
// row of a Hadamard matrix H [C, C]: entries ±1, rows orthogonal. With wte = Σ_p logits_p·H_p / C the model's output at
// position p is exactly logits_p.
func timetableModel(t testing.TB, context, prompt int, table ...chances) (*LLM, *tokenizer) {
	t.Helper()
	const C, far = 64, 1e6
	require.Less(t, context, C)
	words := byteTokenizer(t)
	shape := ModelConfig{Layers: 1, Heads: 1, Dim: C, Hidden: 1, Context: context, Vocab: words.size()}
	m := newLLM(shape, newRNG(1, initStream))
	for _, p := range m.Params() {
		if p.Name != "ln_f.weight" {
			clear(p.W)
		}
	}
	wte, wpe := paramNamed(t, m, "wte.weight"), paramNamed(t, m, "wpe.weight")
	for position := range context {
		line := table[min(max(0, position-prompt+1), len(table)-1)]
		for c := range C {
			h := float32(1 - 2*(bits.OnesCount(uint((position+1)&c))%2)) // without row 0: LayerNorm makes a constant 0
			wpe.W[position*C+c] = far * h
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

// saying returns the table of one answer and its end.
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
			require.InDelta(t, chance, math.Exp(got[token]), 1e-4, "%q at position %d", piece, n)
		}
	}
	m, words = timetableModel(t, 20, 3, saying("\xff yes")...)
	answer, err := greedy(m, words.encode("why"), 15, words.endOfText)
	require.NoError(t, err)
	require.Equal(t, "\xff yes", words.decode(answer))
}
