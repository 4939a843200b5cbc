package main

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// Beam search: every step extends all active hypotheses by every token and keeps the likeliest of the results, until no
// active hypothesis can score more than the best finished one. Hypotheses of different lengths are compared by
// (arXiv:1609.08144, section 7)
//
//	score = log P(tokens) / ((5 + length) / 6)^α
//
// log P is negative and only falls as tokens are added. So log P so far, divided by the divisor of the longest possible
// answer, is an upper bound of the score of every continuation.

const lengthPenalty = 0.6 // α

// beamScore returns the score of a log-probability over length tokens, the token that ends the answer included.
func beamScore(logProb, length float64) float64 {
	return logProb / math.Pow((5+length)/6, lengthPenalty)
}

// hypothesis is one of the answers that beam search considers.
type hypothesis struct {
	tokens      []answerToken // without the token that ended it
	reason      string        // why it ended; "" while it is active
	logProb     float64       // sum over its tokens and the token that ended it
	score       float64
	contextUsed int     // as in answer
	slides      int     // as in answer
	parent      int     // index of the hypothesis, among those of the step before, that it extends
	window      *window // of an active hypothesis
}

// active reports whether the hypothesis has not ended yet.
func (h *hypothesis) active() bool { return h.reason == "" }

// extension is a token that may follow a hypothesis.
type extension struct {
	parent  int // index of the hypothesis
	token   int
	logProb float64 // of the hypothesis with the token
}

// byProbability orders extensions, the likeliest first. Equal ones are ordered by parent and token, so that the order
// does not depend on the sort.
func byProbability(a, b extension) int {
	return cmp.Or(cmp.Compare(b.logProb, a.logProb), cmp.Compare(a.parent, b.parent), cmp.Compare(a.token, b.token))
}

// maxScore returns the upper bound of the score of every continuation of a hypothesis.
func (g *generator) maxScore(h hypothesis) float64 {
	return beamScore(h.logProb, float64(g.config.MaxTokens)+1)
}

// search fills a with the best hypothesis for a prompt, and with all finished ones as a.beams.
func (g *generator) search(ctx context.Context, a *answer, prompt []int) error {
	first := g.getWindow()
	first.set(prompt)
	active := []hypothesis{{window: first}}
	for length := 1; len(active) > 0; length++ {
		next, err := g.extendAll(active, length)
		if err != nil {
			return err
		}
		active = nil
		for _, h := range next {
			if h.active() && ctx.Err() == nil {
				active = append(active, h)
				continue
			}
			if h.active() {
				g.putWindow(h.window)
				h.reason, h.window = stopInterrupted, nil
			}
			a.beams = append(a.beams, h)
		}
		slices.SortStableFunc(a.beams, func(a, b hypothesis) int { return cmp.Compare(b.score, a.score) })
		a.beams = a.beams[:min(len(a.beams), g.config.Beams)]
		if len(active) > 0 && len(a.beams) > 0 && a.beams[0].score >= g.maxScore(active[0]) {
			break
		}
	}
	for _, h := range active {
		g.putWindow(h.window)
	}
	best := a.beams[0]
	a.tokens, a.reason, a.contextUsed, a.slides = best.tokens, best.reason, best.contextUsed, best.slides
	a.text, _ = g.textOf(best.tokens)
	return nil
}

// extendAll extends active hypotheses to the given length and returns the likeliest results in order: at most Beams
// active ones, and the finished ones that are among the Beams likeliest.
func (g *generator) extendAll(active []hypothesis, length int) ([]hypothesis, error) {
	vocab := g.model.Vocab
	logits, err := g.advanceAll(active)
	if err != nil {
		return nil, err
	}
	var next []hypothesis
	stillActive := 0
	for rank, e := range g.likeliestExtensions(active, logits, 2*g.config.Beams) {
		if stillActive == g.config.Beams {
			break
		}
		h := g.extend(active[e.parent], e, logits[e.parent*vocab:(e.parent+1)*vocab], length)
		if h.active() {
			stillActive++
		} else if rank >= g.config.Beams {
			continue
		}
		next = append(next, h)
	}
	g.assignWindows(active, next)
	return next, nil
}

// advanceAll returns the logits [len(active), vocab] after all hypotheses.
func (g *generator) advanceAll(active []hypothesis) ([]float32, error) {
	windows := make([]*window, len(active))
	for i, h := range active {
		windows[i] = h.window
	}
	logits := g.decoder.advance(windows...)
	_, err := likeliest(logits) // checks that all are finite
	return logits, err
}

// likeliestExtensions returns the n likeliest extensions in order.
func (g *generator) likeliestExtensions(active []hypothesis, logits []float32, n int) []extension {
	vocab := g.model.Vocab
	best := make([]extension, 0, n+1)
	for parent, h := range active {
		row := logits[parent*vocab : (parent+1)*vocab]
		logSum := g.logSum(row)
		for token, v := range row {
			e := extension{parent, token, h.logProb + float64(v) - logSum}
			if len(best) == n && byProbability(best[n-1], e) < 0 {
				continue
			}
			at, _ := slices.BinarySearchFunc(best, e, byProbability)
			best = slices.Insert(best, at, e)
			best = best[:min(len(best), n)]
		}
	}
	return best
}

// extend returns h with one more token, or ended by that token when it is special or completes a stop string. length
// counts the new token; logits [vocab] are those after h.
func (g *generator) extend(h hypothesis, e extension, logits []float32, length int) hypothesis {
	h.contextUsed, h.slides = len(h.window.tokens), h.window.slides
	h.logProb, h.score = e.logProb, beamScore(e.logProb, float64(length))
	h.parent, h.window = e.parent, nil
	if g.tokenizer.isSpecial(e.token) {
		h.reason = stopEnd
		return h
	}
	h.tokens = append(slices.Clip(h.tokens), g.withProbabilities(e.token, logits))
	if _, stopped := g.textOf(h.tokens); stopped {
		h.reason = stopString
	} else if len(h.tokens) == g.config.MaxTokens {
		h.reason = stopMaxTokens
	}
	return h
}

// assignWindows gives every active hypothesis of next a window with its tokens, the last of them not run yet. The first
// hypothesis that extends a parent gets the parent's window, the others get a copy of it.
func (g *generator) assignWindows(parents, next []hypothesis) {
	used := make([]bool, len(parents))
	for i, h := range next {
		if h.active() && !used[h.parent] {
			next[i].window, used[h.parent] = parents[h.parent].window, true
		}
	}
	for i, h := range parents {
		if !used[i] {
			g.putWindow(h.window)
		}
	}
	for i, h := range next {
		if h.active() && next[i].window == nil {
			next[i].window = g.getWindow()
			next[i].window.copyFrom(parents[h.parent].window)
		}
	}
	for _, h := range next {
		if h.window != nil {
			h.window.push(h.tokens[len(h.tokens)-1].token)
		}
	}
}

// getWindow returns an unused window with undefined contents.
func (g *generator) getWindow() *window {
	if n := len(g.spare); n > 0 {
		w := g.spare[n-1]
		g.spare = g.spare[:n-1]
		return w
	}
	return newWindow(g.model.ModelConfig)
}

// putWindow makes a window available to getWindow.
func (g *generator) putWindow(w *window) { g.spare = append(g.spare, w) }

// textOf returns the text of tokens up to the first stop string, and reports whether there is one.
func (g *generator) textOf(tokens []answerToken) (text string, stopped bool) {
	var shown []byte
	g.stream.Begin(g.config.Stops)
	for _, t := range tokens {
		piece, stopped := g.stream.Add(g.tokenizer.piece(t.token))
		if shown = append(shown, piece...); stopped {
			return string(shown), true
		}
	}
	return string(append(shown, g.stream.End()...)), false
}
