package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Choosing the next token, in this order:
//
//	penalties     repetition θ (arXiv:1909.05858): a positive logit / θ, a negative one · θ, for tokens of this answer
//	              frequency f: logit − f · occurrences in this answer
//	temperature   p = softmax(logits / temperature)
//	top-k         the k likeliest stay
//	top-p         of these, the fewest that hold at least the share p of their sum (arXiv:1904.09751)
//	min-p         of these, the ones at least min-p times as likely as the likeliest (arXiv:2407.01082)
//
// and one of the rest is drawn by its share. Penalties look at the answer alone: the conversation before it is full of
// ends of text and of the question's own words, which must stay as likely as they are.

// samplingConfig says how the next token is chosen. A field's neutral value turns it off.
type samplingConfig struct {
	Temperature float64 // 0: the likeliest token, always
	TopK        int     // tokens; 0: all
	TopP        float64 // share of the probability, above 0; 1: all
	MinP        float64 // share of the largest probability; 0: all
	Repetition  float64 // θ from 0.1 to 10; 1: off
	Frequency   float64 // nats an occurrence; 0: off
}

// candidate is a token that may come next.
type candidate struct {
	token int
	logit float64
	p     float64 // probability, up to a common factor
}

// sampler draws tokens. It keeps its memory from token to token.
type sampler struct {
	samplingConfig
	rng *rand.Rand

	counts     []int       // [V] occurrences in this answer
	candidates []candidate // scratch
}

// begin forgets the tokens of the last answer.
func (s *sampler) begin(vocab int) {
	if len(s.counts) != vocab {
		s.counts, s.candidates = make([]int, vocab), make([]candidate, vocab)
	}
	clear(s.counts)
}

// choose picks the token after logits [V], and counts it. A logit that is not finite is an error.
func (s *sampler) choose(logits []float32) (int, error) {
	token, err := likeliest(logits)
	if err != nil {
		return 0, err
	}
	switch {
	case s.Temperature > 0:
		token = drawCandidate(s.cut(s.penalized(logits)), s.rng.Float64())
	case s.Repetition != 1 || s.Frequency != 0:
		token = slices.MinFunc(s.penalized(logits), byLogit).token
	}
	s.counts[token]++
	return token, nil
}

// penalized lists all tokens, in their order, after the penalties.
func (s *sampler) penalized(logits []float32) []candidate {
	c := s.candidates[:len(logits)]
	for i, v := range logits {
		c[i] = candidate{token: i, logit: float64(v)}
	}
	penalize(c, s.counts, s.Repetition, s.Frequency)
	return c
}

// cut gives candidates, in the order of their tokens, their probabilities at the temperature, and keeps those of which one
// is drawn.
func (s *sampler) cut(c []candidate) []candidate {
	if s.TopK > 0 || s.TopP < 1 || s.MinP > 0 {
		slices.SortFunc(c, byLogit)
		c = keepTopK(c, s.TopK)
	}
	setProbabilities(c, s.Temperature)
	return keepMinP(keepTopP(c, s.TopP), s.MinP)
}

// byLogit orders the likeliest first, equal ones by their token.
func byLogit(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.token, b.token))
}

// penalize lowers the logits of tokens that have occurred.
func penalize(c []candidate, counts []int, repetition, frequency float64) {
	for i := range c {
		n := counts[c[i].token]
		if n == 0 {
			continue
		}
		if c[i].logit > 0 {
			c[i].logit /= repetition
		} else {
			c[i].logit *= repetition
		}
		c[i].logit -= frequency * float64(n)
	}
}

// setProbabilities is p = softmax(logit / temperature).
func setProbabilities(c []candidate, temperature float64) {
	top := math.Inf(-1)
	for _, x := range c {
		top = max(top, x.logit)
	}
	var total float64
	for i := range c {
		c[i].p = math.Exp((c[i].logit - top) / temperature)
		total += c[i].p
	}
	for i := range c {
		c[i].p /= total
	}
}

// keepTopK keeps the k likeliest of sorted candidates; 0 keeps all.
func keepTopK(c []candidate, k int) []candidate {
	if k == 0 {
		return c
	}
	return c[:min(k, len(c))]
}

// keepTopP keeps the shortest start of sorted candidates whose probabilities, which sum to 1, reach share; 1 keeps all.
func keepTopP(c []candidate, share float64) []candidate {
	if share == 1 {
		return c
	}
	var held float64
	for i := range c {
		if held += c[i].p; held >= share {
			return c[:i+1]
		}
	}
	return c
}

// keepMinP keeps the sorted candidates that are at least share times as likely as the first; 0 keeps all.
func keepMinP(c []candidate, share float64) []candidate {
	if share == 0 {
		return c
	}
	n := 1
	for n < len(c) && c[n].p >= share*c[0].p {
		n++
	}
	return c[:n]
}

// drawCandidate returns the token at the place u, 0 ≤ u < 1, of the candidates' summed probabilities.
func drawCandidate(c []candidate, u float64) int {
	var total float64
	for _, x := range c {
		total += x.p
	}
	u *= total
	for _, x := range c {
		if u -= x.p; u < 0 {
			return x.token
		}
	}
	return c[len(c)-1].token // rounding of the sums
}

// validate returns the first value that is out of its range, as a *flagError.
func (s *samplingConfig) validate() error {
	switch {
	case !(s.Temperature >= 0 && finite(s.Temperature)):
		return &flagError{"temperature", s.Temperature, "a finite number of at least 0 (0: the likeliest token)"}
	case s.TopK < 0:
		return &flagError{"top-k", s.TopK, "a whole number of at least 0 (0: off)"}
	case !(s.TopP > 0 && s.TopP <= 1):
		return &flagError{"top-p", s.TopP, "a number above 0, up to 1 (1: off)"}
	case !(s.MinP >= 0 && s.MinP <= 1):
		return &flagError{"min-p", s.MinP, "a number from 0 (off) to 1"}
	case !(s.Repetition >= 0.1 && s.Repetition <= 10):
		return &flagError{"repetition-penalty", s.Repetition, "a number from 0.1 to 10 (1: off)"}
	case !(s.Frequency >= -10 && s.Frequency <= 10):
		return &flagError{"frequency-penalty", s.Frequency, "a number from -10 to 10 (0: off)"}
	}
	return nil
}

// tokenChance is a token and the model's own probability for it, before penalties, temperature and cuts.
type tokenChance struct {
	token   int
	logProb float64
}

// runnersUp is how many of the likeliest tokens are kept for every place of an answer.
const runnersUp = 4

// likeliestTokens writes the most likely tokens, in order, with log p = logit − logSum. Places beyond V get token −1.
func likeliestTokens(top *[runnersUp]tokenChance, logits []float32, logSum float64) {
	for i := range top {
		top[i] = tokenChance{-1, math.Inf(-1)}
	}
	for token, v := range logits {
		p := float64(v) - logSum
		if p <= top[runnersUp-1].logProb {
			continue
		}
		at := runnersUp - 1
		for ; at > 0 && p > top[at-1].logProb; at-- {
			top[at] = top[at-1]
		}
		top[at] = tokenChance{token, p}
	}
}
