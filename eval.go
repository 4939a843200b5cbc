package main

import "math"

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
// greedily and counts the answers that equal the reference.
func evaluate(m *LLM, t *tokenizer, c *corpus) evalResult {
	e := evaluator{model: m}
	s := e.loss(newDataset(t, c, m.Context, false, false).inOrder())
	bytes := 0
	for _, text := range append(append([]string(nil), c.Rows...), c.Streams...) {
		bytes += len(text)
	}
	for _, p := range c.Pairs {
		bytes += len(p.Assistant)
	}
	r := evalResult{AvgLoss: jsonFloat(s.mean()), PPL: jsonFloat(math.Exp(s.mean())),
		BitsPerByte: jsonFloat(s.plain / math.Ln2 / float64(bytes)), Tokens: s.targets}
	if len(c.Pairs) > 0 {
		share := jsonFloat(exactMatch(m, t, c.Pairs))
		r.ExactMatch = &share
	}
	return r
}

// exactMatch is the share of questions, 0…1, whose greedy answer equals the reference answer; NaN when the model's logits
// are not finite.
func exactMatch(m *LLM, t *tokenizer, pairs []pair) float64 {
	prompts := make([][]int, len(pairs))
	for i, p := range pairs {
		prompts[i] = promptTokens(t, p.User)
	}
	answers, err := greedyAll(m, prompts, m.Context, t.endOfText)
	if err != nil {
		return math.NaN()
	}
	right := 0
	for i, p := range pairs {
		if t.decode(answers[i]) == p.Assistant {
			right++
		}
	}
	return float64(right) / float64(len(pairs))
}
