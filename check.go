package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"gogpt/internal/kernel"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// A check shows that a backward pass computes the gradient of its forward pass. It compares the gradient g with central
// differences fd of the float64 reference:
//
//	fd_i = (L(w + h·e_i) − L(w − h·e_i)) / 2h          error = ‖g − fd‖ / ‖fd‖
//
// over the 32 largest and 32 random coordinates and 4 random directions of every tensor and of every layer's input.
// An approximate attention backward is measured twice: its distance to the exact gradient shows what the
// approximation costs, and differences of the model that it assumes show whether it is computed correctly.

const (
	largestCoordinates = 32
	randomCoordinates  = 32
	randomDirections   = 4

	differenceStep = 1e-4 // h; in float64 its truncation and rounding errors stay below 1e-6 of the gradient

	gradLimit = 1e-3 // largest accepted ‖g − fd‖ / ‖fd‖ of float32 code
	zeroLimit = 1e-6 // largest accepted entry of a gradient that is zero by theory

	// c_attn consists of three parts of equal size, q, k and v. The gradient of the bias of k is zero by theory: it adds
	// the same number to all scores of a query, and softmax does not change.
	qkvParts = 3
)

// gradRow is the result of the check of one tensor with one attention backward.
type gradRow struct {
	runlog.GradDistance
	RuleErr strictjson.Float `json:"rule_err"` // against differences of the model that the mode assumes
	Limit   strictjson.Float `json:"limit"`    // of RuleErr
	OK      bool             `json:"ok"`       // RuleErr is below Limit
}

// gradCheck checks one model on one batch.
type gradCheck struct {
	model *LLM
	batch *Batch
	ref   *checkReference
	seed  uint64

	smoothing float64 // of the loss whose gradient is taken

	progress func(what string) // called before each tensor; may be nil
}

// checkGradients measures every tensor in the given modes, the exact backward first. It calls progress, which may be
// nil, before each.
func checkGradients(m *LLM, b *Batch, seed uint64, progress func(what string), modes ...AttentionBackward) []gradRow {
	c := &gradCheck{model: m, batch: b, ref: newReference(m.ModelConfig, m.Params()), seed: seed, progress: progress}
	exact := c.gradients(ExactBackward)
	exactRows := c.checkMode(ExactBackward, exact, exact, nil)
	rows := exactRows
	for _, mode := range modes {
		if mode != ExactBackward {
			rows = append(rows, c.checkMode(mode, c.gradients(mode), exact, exactRows)...)
		}
	}
	m.SetAttentionBackward(ExactBackward)
	return rows
}

// gradients runs one backward pass and copies the gradients.
func (c *gradCheck) gradients(mode AttentionBackward) []gradTensor {
	m := c.model
	m.SetAttentionBackward(mode)
	clearGrads(m.Params())
	loss := m.Loss(c.batch, c.smoothing)
	var inputs []gradTensor // the lowest layer first
	m.afterBlockBackward = func(i int) { inputs = append(inputGradients(m.blocks[i].inputGrads(i)), inputs...) }
	m.Backward(1 / float64(loss.targets))
	m.afterBlockBackward = nil
	var gs []gradTensor
	for _, p := range m.Params() {
		gs = append(gs, paramGradients(p)...)
	}
	return append(append(gs, inputs...), inputGradients([]inputGrad{{"ln_f", m.lnF.dx}, {"lm_head", m.dnormed}})...)
}

// inputGradients copies gradients with respect to inputs of layers.
func inputGradients(inputs []inputGrad) (gs []gradTensor) {
	for _, in := range inputs {
		gs = append(gs, gradTensor{name: in.layer + " (input)", input: true, param: in.layer, g: slices.Clone(in.rows)})
	}
	return gs
}

// paramGradients copies the gradient of a parameter and, of c_attn, also the gradients of its parts q, k and v.
func paramGradients(p *Param) []gradTensor {
	whole := gradTensor{name: p.Name, param: p.Name, g: slices.Clone(p.Grad)}
	if !strings.Contains(p.Name, ".c_attn.") {
		return []gradTensor{whole}
	}
	bias := strings.HasSuffix(p.Name, ".bias")
	if bias { // without the key part, whose gradient is zero: a relative error is undefined there
		whole = gradTensor{name: p.Name, param: p.Name, index: []int{}}
	}
	gs := []gradTensor{}
	width := p.Shape[len(p.Shape)-1]
	for part, letter := range []string{"q", "k", "v"} {
		t := gradTensor{name: p.Name + "[" + letter + "]", param: p.Name, index: []int{}}
		for i, g := range p.Grad {
			if i%width/(width/qkvParts) == part {
				t.index, t.g = append(t.index, i), append(t.g, g)
			}
		}
		gs = append(gs, t)
		if bias && letter != "k" {
			whole.index, whole.g = append(whole.index, t.index...), append(whole.g, t.g...)
		}
	}
	return append([]gradTensor{whole}, gs...)
}

// checkMode compares the gradients of a mode with differences of its rule and with the exact ones. Above the attention
// every rule is the exact one: a gradient there that equals the exact one bit for bit has been checked already.
func (c *gradCheck) checkMode(mode AttentionBackward, got, exact []gradTensor, exactRows []gradRow) []gradRow {
	rows := make([]gradRow, len(got))
	work := make(chan int)
	var wg sync.WaitGroup
	for range kernel.Threads() {
		wg.Go(func() {
			for i := range work {
				if exactRows != nil && c.aboveAttention(got[i]) && slices.Equal(got[i].g, exact[i].g) {
					rows[i] = exactRows[i].asMode(mode)
				} else {
					rows[i] = c.checkTensor(mode, got[i], exact[i])
				}
			}
		})
	}
	for i := range got {
		if c.progress != nil {
			c.progress(fmt.Sprintf("%s, %d of %d: %s", mode, i+1, len(got), got[i].name))
		}
		work <- i
	}
	close(work)
	wg.Wait()
	return rows
}

// aboveAttention reports whether a gradient is the same in every mode: that of all layers after the heads of the last
// block.
func (c *gradCheck) aboveAttention(t gradTensor) bool {
	layer, inLast := strings.CutPrefix(t.param, fmt.Sprintf("h.%d.", c.model.Layers-1))
	for _, above := range []string{"attn.c_proj", "ln_2", "mlp."} {
		if inLast && strings.HasPrefix(layer, above) {
			return true
		}
	}
	return t.param == "lm_head" || strings.HasPrefix(t.param, "ln_f")
}

// asMode returns the row of a mode whose gradient is the exact one.
func (r gradRow) asMode(mode AttentionBackward) gradRow {
	r.Mode, r.RelErr, r.Cosine, r.NormRatio = mode.String(), 0, 1, 1
	return r
}

// checkTensor checks one gradient of a mode.
func (c *gradCheck) checkTensor(mode AttentionBackward, t, exact gradTensor) gradRow {
	row := gradRow{GradDistance: runlog.GradDistance{Tensor: t.name, Mode: mode.String()}, Limit: gradLimit}
	if c.zeroByTheory(t) {
		return c.checkZero(row, mode, t)
	}
	g, fd := c.differences(mode, t)
	setDistance(&row.GradDistance, g, fd)
	row.RuleErr = row.RelErr
	row.OK = row.RuleErr < row.Limit // false for NaN
	if mode != ExactBackward {
		setDistance(&row.GradDistance, inFloat64(t.g), inFloat64(exact.g))
	}
	return row
}

// zeroByTheory reports whether the exact gradient is zero whatever the weights are: that of the keys' bias, and, where
// every sequence is one token, whose only score softmax turns into 1, that of everything about queries and keys.
func (c *gradCheck) zeroByTheory(t gradTensor) bool {
	single := len(c.batch.Lengths) == len(c.batch.Inputs)
	return strings.HasSuffix(t.name, ".c_attn.bias[k]") ||
		single && (strings.HasSuffix(t.name, "[q]") || strings.HasSuffix(t.name, "[k]"))
}

// checkZero checks a gradient that is zero by theory: its errors are absolute, and cosine and norm ratio are undefined.
// Only straight-through gives it other values, and all of them are error.
func (c *gradCheck) checkZero(row gradRow, mode AttentionBackward, t gradTensor) gradRow {
	for _, g := range t.g {
		row.RelErr = max(row.RelErr, strictjson.Float(math.Abs(float64(g))))
	}
	row.Cosine, row.NormRatio = strictjson.Float(math.NaN()), strictjson.Float(math.NaN())
	row.RuleErr, row.Limit = row.RelErr, zeroLimit
	if mode == StraightThrough {
		ruleErr, _, _ := compareVectors(c.differences(mode, t))
		row.RuleErr, row.Limit = strictjson.Float(ruleErr), gradLimit
	}
	row.OK = row.RuleErr < row.Limit
	return row
}

// setDistance sets the distance of g to want.
func setDistance(d *runlog.GradDistance, g, want []float64) {
	relErr, cosine, ratio := compareVectors(g, want)
	d.RelErr, d.Cosine, d.NormRatio = strictjson.Float(relErr), strictjson.Float(cosine), strictjson.Float(ratio)
}

// compareVectors returns ‖g − want‖/‖want‖, the cosine between them and ‖g‖/‖want‖. When both vectors are zero, the
// error is 0.
func compareVectors(g, want []float64) (relErr, cosine, ratio float64) {
	var diff, gg, ww, gw float64
	for i := range g {
		diff += (g[i] - want[i]) * (g[i] - want[i])
		gg += g[i] * g[i]
		ww += want[i] * want[i]
		gw += g[i] * want[i]
	}
	if diff == 0 && ww == 0 {
		return 0, 1, 1
	}
	return math.Sqrt(diff / ww), gw / math.Max(math.Sqrt(gg*ww), math.SmallestNonzeroFloat64), math.Sqrt(gg / ww)
}

// limitShare returns an error in relation to its limit, and +Inf for NaN.
func limitShare(err, limit strictjson.Float) float64 {
	if math.IsNaN(float64(err)) {
		return math.Inf(1)
	}
	return float64(err / limit)
}

// inFloat64 returns a copy of x in float64.
func inFloat64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// probes chooses the coordinates and directions in which a gradient is checked.
func (c *gradCheck) probes(t gradTensor) []probe {
	rng := newRNG(c.seed, checkStream)
	order := make([]int, len(t.g))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(math.Abs(float64(t.g[j])), math.Abs(float64(t.g[i])))
	})
	chosen := slices.Clone(order[:min(largestCoordinates, len(order))])
	for range min(randomCoordinates, len(order)) {
		chosen = append(chosen, rng.IntN(len(order)))
	}
	var ps []probe
	for _, i := range chosen {
		ps = append(ps, probe{[]int{i}, []float64{1}})
	}
	for range randomDirections {
		p := probe{at: slices.Sorted(slices.Values(order)), by: make([]float64, len(order))}
		var squares float64
		for i := range p.by {
			p.by[i] = rng.NormFloat64()
			squares += p.by[i] * p.by[i]
		}
		for i := range p.by {
			p.by[i] /= math.Sqrt(squares)
		}
		ps = append(ps, p)
	}
	return ps
}

// differences returns, for every probe, the gradient along it and the central difference along it.
func (c *gradCheck) differences(mode AttentionBackward, t gradTensor) (g, fd []float64) {
	moved := newMovedReference(c.ref, c.batch, mode, t)
	for _, p := range c.probes(t) {
		var along float64
		for i, at := range p.at {
			along += p.by[i] * float64(t.g[at])
		}
		up, down := moved.loss(p, differenceStep), moved.loss(p, -differenceStep)
		g, fd = append(g, along), append(fd, (up-down)/(2*differenceStep))
	}
	return g, fd
}
