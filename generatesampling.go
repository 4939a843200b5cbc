package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gogpt/internal/stats"
)

// Sampling chooses the next token from its logits, in this order:
//
//	penalties     repetition θ (arXiv:1909.05858): a positive logit / θ, a negative one · θ, for tokens of this answer
//	              frequency f: logit − f · occurrences in this answer
//	temperature   p = softmax(logits / temperature)
//	top-k         keeps the k likeliest tokens
//	top-p         of these, keeps the fewest that hold at least the share p of their sum (arXiv:1904.09751)
//	min-p         of these, keeps the ones at least min-p times as likely as the likeliest (arXiv:2407.01082)
//
// and draws one of the rest in proportion to its probability. Penalties count the tokens of the current answer only:
// the conversation before it contains ends of text and the words of the question, which must stay as likely as they
// are.

// samplingConfig holds the settings of sampling. The neutral value of a field turns it off.
type samplingConfig struct {
	Temperature float64 // 0: always the likeliest token
	TopK        int     // tokens; 0: all
	TopP        float64 // share of the probability, above 0; 1: all
	MinP        float64 // share of the largest probability; 0: all
	Repetition  float64 // θ from 0.1 to 10; 1: off
	Frequency   float64 // subtracted from the logit per occurrence; 0: off
}

// neutralSampling always chooses the likeliest token.
var neutralSampling = samplingConfig{TopP: 1, Repetition: 1}

// candidate is a token that may come next.
type candidate struct {
	token int
	logit float64
	p     float64 // probability, up to a common factor
}

// sampler chooses the tokens of an answer.
type sampler struct {
	config samplingConfig
	rng    *rand.Rand

	counts     []int       // [vocab] occurrences in this answer
	candidates []candidate // [vocab] scratch
}

// begin starts a new answer.
func (s *sampler) begin(vocab int) {
	if len(s.counts) != vocab {
		s.counts, s.candidates = make([]int, vocab), make([]candidate, vocab)
	}
	clear(s.counts)
}

// choose returns the token that follows logits [vocab], and counts it. A logit that is not finite is an error.
func (s *sampler) choose(logits []float32) (int, error) {
	token, err := likeliest(logits)
	if err != nil {
		return 0, err
	}
	switch {
	case s.config.Temperature > 0:
		token = drawCandidate(s.filter(s.penalized(logits)), s.rng.Float64())
	case s.config.Repetition != 1 || s.config.Frequency != 0:
		token = slices.MinFunc(s.penalized(logits), byLogit).token
	}
	s.counts[token]++
	return token, nil
}

// penalized returns all tokens as candidates, ordered by token, with their logits after the penalties.
func (s *sampler) penalized(logits []float32) []candidate {
	c := s.candidates[:len(logits)]
	for i, v := range logits {
		c[i] = candidate{token: i, logit: float64(v)}
	}
	penalize(c, s.counts, s.config.Repetition, s.config.Frequency)
	return c
}

// filter computes the probabilities of candidates, ordered by token, and returns those that may be drawn.
func (s *sampler) filter(c []candidate) []candidate {
	if s.config.TopK > 0 || s.config.TopP < 1 || s.config.MinP > 0 {
		slices.SortFunc(c, byLogit)
		c = keepTopK(c, s.config.TopK)
	}
	setProbabilities(c, s.config.Temperature)
	return keepMinP(keepTopP(c, s.config.TopP), s.config.MinP)
}

// byLogit orders candidates, the likeliest first, equal ones by token.
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

// setProbabilities sets p = softmax(logit / temperature).
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

// keepTopK returns the k likeliest of sorted candidates, or all for k = 0.
func keepTopK(c []candidate, k int) []candidate {
	if k == 0 {
		return c
	}
	return c[:min(k, len(c))]
}

// keepTopP returns the fewest sorted candidates whose probabilities, which add up to 1, reach share. For share 1 it
// returns all.
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

// keepMinP returns the sorted candidates that are at least share times as likely as the first; all for share 0.
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

// drawCandidate returns the first token at which the cumulated probabilities exceed u, 0 ≤ u < 1, times their sum.
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
	return c[len(c)-1].token // u is close to 1, and the sums are rounded
}

// validate returns the first value that is out of its range, as a *flagError.
func (s *samplingConfig) validate() error {
	switch {
	case !(s.Temperature >= 0 && stats.Finite(s.Temperature)):
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

// tokenProb is a token with its log-probability by the model, before penalties, temperature and filters.
type tokenProb struct {
	token   int
	logProb float64
}

// topAlternatives is how many of the likeliest tokens are kept for every token of an answer.
const topAlternatives = 4

// likeliestTokens fills top with the likeliest tokens in order, log p = logit − logSum. If the vocabulary has fewer
// tokens than top, the rest of top has the token −1.
func likeliestTokens(top *[topAlternatives]tokenProb, logits []float32, logSum float64) {
	for i := range top {
		top[i] = tokenProb{-1, math.Inf(-1)}
	}
	for token, v := range logits {
		p := float64(v) - logSum
		if p <= top[topAlternatives-1].logProb {
			continue
		}
		at := topAlternatives - 1
		for ; at > 0 && p > top[at-1].logProb; at-- {
			top[at] = top[at-1]
		}
		top[at] = tokenProb{token, p}
	}
}
