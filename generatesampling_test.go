package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each filter keeps a part of the tokens; the next token is drawn from these in proportion to their probabilities.
func Example_sampling() {
	words := []string{"cat", "dog", "sun", "sea", "ice"}
	logits := []float32{4, 3, 2, 1, 0}
	show := func(name string, c samplingConfig) {
		s := sampler{config: c}
		s.begin(len(logits))
		kept := s.filter(s.penalized(logits))
		var total float64
		for _, x := range kept {
			total += x.p
		}
		fmt.Print(name)
		for _, x := range kept {
			fmt.Printf("  %s %.3f", words[x.token], x.p/total)
		}
		fmt.Println()
	}
	show("softmax        ", samplingConfig{Temperature: 1, TopP: 1, Repetition: 1})
	show("temperature 0.5", samplingConfig{Temperature: 0.5, TopP: 1, Repetition: 1})
	show("temperature 2  ", samplingConfig{Temperature: 2, TopP: 1, Repetition: 1})
	show("top-k 3        ", samplingConfig{Temperature: 1, TopK: 3, TopP: 1, Repetition: 1})
	show("top-p 0.8      ", samplingConfig{Temperature: 1, TopP: 0.8, Repetition: 1})
	show("min-p 0.03     ", samplingConfig{Temperature: 1, TopP: 1, MinP: 0.03, Repetition: 1})
	show("all three      ", samplingConfig{Temperature: 2, TopK: 4, TopP: 0.9, MinP: 0.5, Repetition: 1})
	// Output:
	// softmax          cat 0.636  dog 0.234  sun 0.086  sea 0.032  ice 0.012
	// temperature 0.5  cat 0.865  dog 0.117  sun 0.016  sea 0.002  ice 0.000
	// temperature 2    cat 0.429  dog 0.260  sun 0.158  sea 0.096  ice 0.058
	// top-k 3          cat 0.665  dog 0.245  sun 0.090
	// top-p 0.8        cat 0.731  dog 0.269
	// min-p 0.03       cat 0.644  dog 0.237  sun 0.087  sea 0.032
	// all three        cat 0.622  dog 0.378
}

// slowDistribution returns the probability of every token by the definitions in the head of generatesampling.go, in one
// pass per rule.
func slowDistribution(logits []float32, counts []int, c samplingConfig) []float64 {
	V := len(logits)
	l, p, order := make([]float64, V), make([]float64, V), make([]int, V)
	for i := range logits {
		order[i], l[i] = i, float64(logits[i])
		if counts[i] > 0 {
			if l[i] > 0 {
				l[i] /= c.Repetition
			} else {
				l[i] *= c.Repetition
			}
			l[i] -= c.Frequency * float64(counts[i])
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return l[order[a]] > l[order[b]] })
	if c.Temperature == 0 {
		p[order[0]] = 1
		return p
	}
	keep := func(kept func(rank int) bool) { // gives the others the probability 0
		var total float64
		for rank, i := range order {
			if !kept(rank) {
				p[i] = 0
			}
			total += p[i]
		}
		for i := range p {
			p[i] /= total
		}
	}
	for i := range p {
		p[i] = math.Exp((l[i] - l[order[0]]) / c.Temperature)
	}
	keep(func(rank int) bool { return c.TopK == 0 || rank < c.TopK })
	before := make([]float64, V) // summed probability of all likelier tokens
	for rank := 1; rank < V; rank++ {
		before[rank] = before[rank-1] + p[order[rank-1]]
	}
	keep(func(rank int) bool { return c.TopP == 1 || before[rank] < c.TopP })
	top := p[order[0]]
	keep(func(rank int) bool { return p[order[rank]] >= c.MinP*top })
	return p
}

// samplerCases use every rule alone and in combination.
var samplerCases = map[string]samplingConfig{
	"plain":            {Temperature: 1, TopP: 1, Repetition: 1},
	"cold":             {Temperature: 0.3, TopP: 1, Repetition: 1},
	"hot":              {Temperature: 3, TopP: 1, Repetition: 1},
	"top-k":            {Temperature: 1, TopK: 4, TopP: 1, Repetition: 1},
	"top-p":            {Temperature: 1, TopP: 0.7, Repetition: 1},
	"top-k and top-p":  {Temperature: 1.3, TopK: 6, TopP: 0.8, Repetition: 1},
	"min-p":            {Temperature: 1, TopP: 1, MinP: 0.2, Repetition: 1},
	"all filters":      {Temperature: 2, TopK: 9, TopP: 0.9, MinP: 0.1, Repetition: 1},
	"repetition":       {Temperature: 1, TopP: 1, Repetition: 1.7},
	"frequency":        {Temperature: 1, TopP: 1, Repetition: 1, Frequency: 0.6},
	"everything":       {Temperature: 1.5, TopK: 9, TopP: 0.95, MinP: 0.05, Repetition: 1.2, Frequency: 0.3},
	"greedy":           {TopP: 1, Repetition: 1},
	"greedy penalized": {TopP: 1, Repetition: 1.9, Frequency: 0.5},
}

// samplerInput returns a row of 12 logits with a tie, and how often each token has occurred.
func samplerInput(rng *rand.Rand) (logits []float32, counts []int) {
	logits, counts = make([]float32, 12), make([]int, 12)
	for i := range logits {
		logits[i] = float32(1.5 * rng.NormFloat64())
		counts[i] = max(0, rng.IntN(5)-2)
	}
	logits[3] = logits[8]
	return logits, counts
}

// Many draws have the distribution of the definitions: their chi-square statistic stays below a bound that a correct
// sampler exceeds with a probability of one in a million. A token of probability 0 is never drawn.
func TestSampling_EveryRuleDrawsByItsDefinition(t *testing.T) {
	const draws = 20000
	for name, c := range samplerCases {
		t.Run(name, func(t *testing.T) {
			logits, counts := samplerInput(newRNG(11, checkStream))
			want := slowDistribution(logits, counts, c)
			s := sampler{config: c, rng: newRNG(12, sampleStream)}
			s.begin(len(logits))
			got := make([]int, len(logits))
			for range draws {
				copy(s.counts, counts)
				token, err := s.choose(logits)
				require.NoError(t, err)
				require.Equal(t, counts[token]+1, s.counts[token], "a chosen token is counted")
				got[token]++
			}
			requireChiSquare(t, want, got, draws)
		})
	}
}

func requireChiSquare(t *testing.T, want []float64, got []int, draws int) {
	t.Helper()
	statistic, freedom := chiSquare(want, got, draws)
	require.False(t, math.IsInf(statistic, 1), "a token of probability 0 was drawn: %v by %v", got, want)
	if freedom > 0 {
		// Wilson and Hilferty 1931: (χ²/k)^⅓ is nearly normal; 4.75 deviations are one in a million
		k := float64(freedom)
		bound := k * math.Pow(1-2/(9*k)+4.75*math.Sqrt(2/(9*k)), 3)
		require.Less(t, statistic, bound, "%v by %v", got, want)
	}
}

func chiSquare(want []float64, got []int, draws int) (statistic float64, freedom int) {
	freedom = -1
	for i, p := range want {
		switch expected := p * float64(draws); {
		case p > 0:
			statistic += (float64(got[i]) - expected) * (float64(got[i]) - expected) / expected
			freedom++
		case got[i] > 0:
			return math.Inf(1), 0
		}
	}
	return statistic, freedom
}

// The statistic shows when a rule is left out.
func TestSampling_ChiSquareRefusesAWrongSampler(t *testing.T) {
	logits, counts := samplerInput(newRNG(11, checkStream))
	for name, wrong := range map[string]samplingConfig{
		"all filters": samplerCases["plain"], "top-k and top-p": samplerCases["top-k"], "cold": samplerCases["plain"],
		"repetition": samplerCases["plain"], "frequency": samplerCases["plain"],
	} {
		s := sampler{config: wrong, rng: newRNG(13, sampleStream)}
		s.begin(len(logits))
		got := make([]int, len(logits))
		for range 20000 {
			copy(s.counts, counts)
			token, err := s.choose(logits)
			require.NoError(t, err)
			got[token]++
		}
		statistic, _ := chiSquare(slowDistribution(logits, counts, samplerCases[name]), got, 20000)
		require.Greater(t, statistic, 200.0, name)
	}
}

// For random inputs and settings, the candidates that remain and their probabilities are those of the definitions.
func TestSampling_FiltersEqualTheDefinitions(t *testing.T) {
	rng := newRNG(14, checkStream)
	for range 2000 {
		logits, counts := samplerInput(rng)
		c := samplingConfig{Temperature: 0.2 + 3*rng.Float64(), TopK: rng.IntN(14), TopP: 1 - rng.Float64(),
			MinP: rng.Float64() / 2, Repetition: 0.5 + 2*rng.Float64(), Frequency: rng.NormFloat64()}
		s := sampler{config: c}
		s.begin(len(logits))
		copy(s.counts, counts)
		kept := s.filter(s.penalized(logits))
		var total float64
		for _, x := range kept {
			total += x.p
		}
		got := make([]float64, len(logits))
		for _, x := range kept {
			require.Positive(t, x.p)
			require.Zero(t, got[x.token], "a token is listed once")
			got[x.token] = x.p / total
		}
		for token, want := range slowDistribution(logits, counts, c) {
			require.InDelta(t, want, got[token], 1e-12, "%+v", c)
			require.Equal(t, want > 0, got[token] > 0, "%+v", c)
		}
	}
}

// Penalties count only the tokens of the current answer: the same question gets the same answer again.
func TestSampling_PenaltiesForgetTheLastAnswer(t *testing.T) {
	m, words := generationModel(t, 24)
	answers := map[float64]string{}
	for _, repetition := range []float64{1, 3} {
		c := shortAnswers(12)
		c.Repetition, c.Frequency = repetition, repetition-1
		g := newGenerator(m, words, c)
		for range 3 {
			a, err := g.answer(t.Context(), []int{1}, func([]byte) {})
			require.NoError(t, err)
			if before, asked := answers[repetition]; asked {
				require.Equal(t, before, a.text)
			}
			answers[repetition] = a.text
		}
	}
	require.NotEqual(t, answers[1], answers[3], "the penalties change the answer")
}

func TestSampling_DrawFollowsTheCumulatedProbability(t *testing.T) {
	c := []candidate{{token: 4, p: 0.5}, {token: 7, p: 0}, {token: 2, p: 1.5}}
	for u, token := range map[float64]int{0: 4, 0.2499: 4, 0.25: 2, 0.999999999: 2} {
		require.Equal(t, token, drawCandidate(c, u), "u = %g", u)
	}
}

func TestSampling_TheSeedDecidesTheAnswer(t *testing.T) {
	m, words := generationModel(t, 24)
	answer := func(seed uint64) string {
		c := defaultGeneration()
		c.Temperature, c.Seed, c.MaxTokens = 2, seed, 20
		a, err := newGenerator(m, words, c).answer(t.Context(), []int{1}, func([]byte) {})
		require.NoError(t, err)
		return a.text
	}
	require.Equal(t, answer(1), answer(1))
	require.NotEqual(t, answer(1), answer(2))
}

func TestSampling_LikeliestTokensAreTheTopOfTheSortedRow(t *testing.T) {
	rng := newRNG(15, checkStream)
	for range 200 {
		logits := make([]float32, 1+rng.IntN(9))
		for i := range logits {
			logits[i] = float32(rng.IntN(4)) // with ties: the first token comes first
		}
		var top [topAlternatives]tokenProb
		likeliestTokens(&top, logits, 0.5)
		order := make([]int, len(logits))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(a, b int) bool { return logits[order[a]] > logits[order[b]] })
		for i, got := range top {
			if i >= len(order) {
				require.Equal(t, -1, got.token)
				continue
			}
			require.Equal(t, tokenProb{order[i], float64(logits[order[i]]) - 0.5}, got)
		}
	}
}

// Of four equal tokens the first k hold k/4 of the probability exactly.
func TestSampling_TopPEndsAtAnExactShare(t *testing.T) {
	for k := 1; k <= 4; k++ {
		c := samplingConfig{Temperature: 1, TopP: float64(k) / 4, Repetition: 1}
		s := sampler{config: c, rng: newRNG(16, sampleStream)}
		s.begin(4)
		got := make([]int, 4)
		for range 200 {
			token, err := s.choose(make([]float32, 4))
			require.NoError(t, err)
			got[token]++
		}
		for token, n := range got {
			require.Equal(t, token < k, n > 0, "top-p %d/4: %v", k, got)
		}
	}
}

func TestSampling_TheLimitsOfARangeAreValid(t *testing.T) {
	for _, c := range []samplingConfig{
		{TopP: 1, Repetition: 0.1, Frequency: -10},
		{TopP: 1e-9, MinP: 1, Repetition: 10, Frequency: 10, Temperature: 1e300, TopK: math.MaxInt},
	} {
		require.NoError(t, c.validate())
	}
}
