package main

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// Beam search: every step considers all tokens after all open hypotheses and keeps the likeliest, until no open
// hypothesis can still beat the best ended one. Hypotheses of different lengths compare by (arXiv:1609.08144, section 7)
//
//	score = log P(tokens) / ((5 + length) / 6)^α
//
// A log-probability only falls as tokens join it, so what an open hypothesis can reach is bounded by its present sum
// over the largest divisor, that of the longest answer.

const lengthPenalty = 0.6 // α

// beamScore is the score of a sum of log-probabilities over length tokens, the end counted.
func beamScore(logProb, length float64) float64 {
	return logProb / math.Pow((5+length)/6, lengthPenalty)
}

// reach is the bound of the score of whatever continues a hypothesis.
func (g *generator) reach(h hypothesis) float64 { return beamScore(h.logProb, float64(g.MaxTokens)+1) }

// extension is a token that may follow a hypothesis.
type extension struct {
	from    int // which hypothesis
	token   int
	logProb float64 // of the hypothesis with the token
}

// byProbability orders the likeliest first; equal ones keep a fixed order.
func byProbability(a, b extension) int {
	return cmp.Or(cmp.Compare(b.logProb, a.logProb), cmp.Compare(a.from, b.from), cmp.Compare(a.token, b.token))
}

// search fills a with the best hypothesis of an answer to a prompt, and lists those that ended.
func (g *generator) search(ctx context.Context, a *answer, prompt []int) error {
	first := g.takeWindow()
	first.set(prompt)
	open := []hypothesis{{window: first}}
	for length := 1; len(open) > 0; length++ {
		next, err := g.extendBeams(open, length)
		if err != nil {
			return err
		}
		open = nil
		for _, h := range next {
			if h.reason == "" && ctx.Err() == nil {
				open = append(open, h)
				continue
			}
			if h.reason == "" {
				g.giveWindow(h.window)
				h.reason, h.window = stopInterrupted, nil
			}
			a.beams = append(a.beams, h)
		}
		slices.SortStableFunc(a.beams, func(a, b hypothesis) int { return cmp.Compare(b.score, a.score) })
		a.beams = a.beams[:min(len(a.beams), g.Beams)]
		if len(open) > 0 && len(a.beams) > 0 && a.beams[0].score >= g.reach(open[0]) {
			break
		}
	}
	for _, h := range open {
		g.giveWindow(h.window)
	}
	best := a.beams[0]
	a.tokens, a.reason, a.seen, a.slides = best.tokens, best.reason, best.seen, best.slides
	a.text, _ = g.textOf(best.tokens)
	return nil
}

// extendBeams gives open hypotheses their length-th token: the likeliest hypotheses, in order, at most Beams of them
// open. An ended one counts only if it is among the Beams likeliest itself.
func (g *generator) extendBeams(open []hypothesis, length int) ([]hypothesis, error) {
	V := g.model.Vocab
	logits, err := g.advanceBeams(open)
	if err != nil {
		return nil, err
	}
	var next []hypothesis
	opened := 0
	for rank, e := range g.likeliestExtensions(open, logits, 2*g.Beams) {
		if opened == g.Beams {
			break
		}
		h := g.join(open[e.from], e, logits[e.from*V:(e.from+1)*V], length)
		if h.reason == "" {
			opened++
		} else if rank >= g.Beams {
			continue
		}
		next = append(next, h)
	}
	g.handOnWindows(open, next)
	return next, nil
}

// advanceBeams runs the waiting tokens of all hypotheses: logits [len(open), V].
func (g *generator) advanceBeams(open []hypothesis) ([]float32, error) {
	windows := make([]*window, len(open))
	for i, h := range open {
		windows[i] = h.window
	}
	logits := g.advance(windows...)
	_, err := likeliest(logits)
	return logits, err
}

// likeliestExtensions returns the n likeliest, in order.
func (g *generator) likeliestExtensions(open []hypothesis, logits []float32, n int) []extension {
	V := g.model.Vocab
	best := make([]extension, 0, n+1)
	for from, h := range open {
		row := logits[from*V : (from+1)*V]
		logSum := g.logSum(row)
		for token, v := range row {
			e := extension{from, token, h.logProb + float64(v) - logSum}
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

// join adds a token to a hypothesis, or ends it. logits [V] are those after the hypothesis.
func (g *generator) join(h hypothesis, e extension, logits []float32, length int) hypothesis {
	h.seen, h.slides = len(h.window.tokens), h.window.slides
	h.logProb, h.score, h.from, h.window = e.logProb, beamScore(e.logProb, float64(length)), e.from, nil
	if g.tokenizer.isSpecial(e.token) {
		h.reason = stopEnd
		return h
	}
	h.tokens = append(slices.Clip(h.tokens), g.weigh(e.token, logits))
	if _, stopped := g.textOf(h.tokens); stopped {
		h.reason = stopString
	} else if len(h.tokens) == g.MaxTokens {
		h.reason = stopMaxTokens
	}
	return h
}

// handOnWindows gives every open one of next the window of the hypothesis that it continues, or a copy where another one
// has that already, and lets its new token wait there.
func (g *generator) handOnWindows(open, next []hypothesis) {
	used := make([]bool, len(open))
	for i, h := range next {
		if h.reason == "" && !used[h.from] {
			next[i].window, used[h.from] = open[h.from].window, true
		}
	}
	for i, h := range open {
		if !used[i] {
			g.giveWindow(h.window)
		}
	}
	for i, h := range next {
		if h.reason == "" && next[i].window == nil {
			next[i].window = g.takeWindow()
			next[i].window.copyFrom(open[h.from].window)
		}
	}
	for _, h := range next {
		if h.window != nil {
			h.window.push(h.tokens[len(h.tokens)-1].token)
		}
	}
}

// takeWindow returns a window that nobody uses. Its contents are undefined.
func (g *generator) takeWindow() *window {
	if n := len(g.spare); n > 0 {
		w := g.spare[n-1]
		g.spare = g.spare[:n-1]
		return w
	}
	return newWindow(g.model.ModelConfig)
}

func (g *generator) giveWindow(w *window) { g.spare = append(g.spare, w) }

// textOf is the text of tokens up to the first stop string, and whether there is one.
func (g *generator) textOf(tokens []answerToken) (text string, stopped bool) {
	var shown []byte
	g.stream.begin(g.Stops)
	for _, t := range tokens {
		piece, stopped := g.stream.add(g.tokenizer.piece(t.token))
		if shown = append(shown, piece...); stopped {
			return string(shown), true
		}
	}
	return string(append(shown, g.stream.end()...)), false
}
