package main

import (
	"errors"
	"fmt"
	"math"
)

// Measuring a model on data that it does not learn from.

// evalTokens is how many tokens one forward pass of a measurement packs at the most, unless one sequence is longer.
const evalTokens = 512

// evaluator measures without training. It keeps its memory between calls.
type evaluator struct {
	model *LLM
	batch Batch
}

// loss is the plain loss over all samples, dropout off.
func (e *evaluator) loss(samples []example) lossSum {
	var total lossSum
	e.model.SetDropout(0, 0)
	for len(samples) > 0 {
		n, tokens := 0, 0
		for n < len(samples) && (n == 0 || tokens+len(samples[n].tokens) <= evalTokens) {
			tokens += len(samples[n].tokens)
			n++
		}
		total.add(e.model.Loss(e.batch.pack(samples[:n]), 0))
		samples = samples[n:]
	}
	return total
}

// evalResult is what `gogpt eval` prints.
type evalResult struct {
	AvgLoss     jsonFloat  `json:"avg_loss"` // nats a token
	PPL         jsonFloat  `json:"ppl"`
	BitsPerByte jsonFloat  `json:"bits_per_byte"` // of the UTF-8 text that is scored
	Tokens      int        `json:"tokens"`        // scored
	ExactMatch  *jsonFloat `json:"exact_match,omitempty"`
}

// evaluate scores a corpus: rows and streams whole, of pairs the answers. For pairs it also answers every question
// greedily and counts the answers that equal the reference. To score nothing, or with a broken model, is an error.
func evaluate(m *LLM, t *tokenizer, c *corpus) (evalResult, error) {
	e := evaluator{model: m}
	samples := newDataset(t, c, m.Context, false, false).inOrder()
	s := e.loss(samples)
	switch {
	case s.targets == 0:
		return evalResult{}, errors.New("nothing to score: no text of two tokens or more")
	case !finite(s.plain):
		return evalResult{}, fmt.Errorf("the loss is %g: the model is broken", s.plain)
	}
	r := evalResult{AvgLoss: jsonFloat(s.mean()), PPL: jsonFloat(math.Exp(s.mean())),
		BitsPerByte: jsonFloat(s.plain / math.Ln2 / float64(scoredBytes(t, samples))), Tokens: s.targets}
	if len(c.Pairs) > 0 {
		share, err := exactMatch(m, t, c.Pairs)
		if err != nil {
			return evalResult{}, err
		}
		exact := jsonFloat(share)
		r.ExactMatch = &exact
	}
	return r, nil
}

// scoredBytes is how many bytes of text the targets that count stand for. The first token of a stream is not predicted,
// a special token is no text.
func scoredBytes(t *tokenizer, samples []example) int {
	n := 0
	for _, s := range samples {
		for i, id := range s.tokens {
			if i > 0 && (s.counts == nil || s.counts[i]) && !t.isSpecial(id) {
				n += len(t.piece(id))
			}
		}
	}
	return n
}

// exactMatch is the share of questions, 0…1, whose greedy answer equals the reference answer.
func exactMatch(m *LLM, t *tokenizer, pairs []pair) (float64, error) {
	prompts := make([][]int, len(pairs))
	for i, p := range pairs {
		prompts[i] = promptTokens(t, p.User)
	}
	answers, err := greedyAll(m, prompts, m.Context, t.endOfText)
	if err != nil {
		return 0, err
	}
	right := 0
	for i, p := range pairs {
		if t.decode(answers[i]) == p.Assistant {
			right++
		}
	}
	return float64(right) / float64(len(pairs)), nil
}
