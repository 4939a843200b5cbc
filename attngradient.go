package main

import (
	"fmt"
	"slices"
	"strings"
)

// The gradient laboratory: every so many steps of a training run, each approximate attention backward against the exact
// one, on the step's own samples and at the weights before the step. What an approximation assumes, where it is exact and
// where it breaks stands at the head of attention.go; `gogpt gradcheck` measures the same on a fresh model.
//
// In block i everything above its attention's heads is exact, whatever the mode: the difference begins at c_attn and is
// passed down. "h.i (input)" is the gradient that reaches what lies below block i.

// wholeGradient is the name of all trained parameters' gradients as one vector.
const wholeGradient = "all parameters"

// attentionDistances measures every approximate backward on the samples, packed into one batch. It leaves the model in the
// exact mode, with gradients of zero.
func attentionDistances(m *LLM, samples []example, smoothing float64) []gradDistance {
	c := gradCheck{model: m, batch: new(Batch).pack(samples), smoothing: smoothing}
	exact := c.trainedGradients(ExactBackward)
	var rows []gradDistance
	for _, mode := range []AttentionBackward{StraightThrough, StopGradient} {
		for i, g := range c.trainedGradients(mode) {
			d := gradDistance{Tensor: g.name, Mode: mode.String()}
			d.compare(inFloat64(g.g), inFloat64(exact[i].g))
			rows = append(rows, d)
		}
	}
	m.SetAttentionBackward(ExactBackward)
	clearGrads(m.Params())
	return rows
}

// trainedGradients runs one backward pass and copies the gradients of what is trained, and what each block passes down.
// The keys' bias, whose exact gradient is zero by theory, has no relative error and is left out.
func (c *gradCheck) trainedGradients(mode AttentionBackward) []gradTensor {
	frozen := map[string]bool{}
	for _, p := range c.model.Params() {
		frozen[p.Name] = p.Frozen
	}
	gs := slices.DeleteFunc(c.gradients(mode), func(g gradTensor) bool {
		return g.input || frozen[g.param] || strings.HasSuffix(g.name, ".c_attn.bias[k]")
	})
	whole := gradTensor{name: wholeGradient}
	for _, g := range gs {
		if !strings.HasSuffix(g.name, "]") { // the parts of c_attn are in its whole
			whole.g = append(whole.g, g.g...)
		}
	}
	for i, b := range c.model.blocks {
		gs = append(gs, gradTensor{name: fmt.Sprintf("h.%d (input)", i), input: true, g: slices.Clone(b.dx)})
	}
	return append([]gradTensor{whole}, gs...)
}
