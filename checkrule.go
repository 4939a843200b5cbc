package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gogpt/internal/runlog"
)

// What each attention backward assumes. Its gradient is the exact gradient of a model whose attention follows another
// rule around the point of the check:
//
//	exact              the rule of GPT-2
//	stop-gradient      attention weights P = P₀
//	straight-through   Z = Z₀ + (Q − Q₀) + (K − K₀) + (V − V₀)
//
// The index 0 marks the values at the point of the check; Z is the result of the heads.

// gradTensor is one gradient to check: with respect to a parameter, a part of one, or the input of a layer.
type gradTensor struct {
	name  string
	input bool // with respect to the input of the layer that param names, not to a parameter
	param string
	index []int // positions in the parameter of a part of it; nil: all of it
	g     []float32
}

// probe is a direction in the space of a tensor: the positions of its non-zero entries, and the entries.
type probe struct {
	at []int
	by []float64
}

// movedReference is the reference with one tensor moved along a probe.
type movedReference struct {
	ref    checkReference
	batch  *Batch
	rule   AttentionBackward
	tensor gradTensor
	weight []float64 // the moved parameter, a copy

	base map[string][][]float64 // the rows with the index 0, by point of the forward pass and in their order there
	seen map[string]int         // rows so far at each point in the current forward pass

	move func(row int, x []float64) // moves a row of the layer's input; nil when a parameter is moved
}

// newMovedReference returns a copy of the reference in which t can be moved, with attention that follows the rule.
func newMovedReference(ref *checkReference, b *Batch, rule AttentionBackward, t gradTensor) *movedReference {
	m := &movedReference{ref: *ref, batch: b, rule: rule, tensor: t, base: map[string][][]float64{}}
	if !t.input {
		m.ref.weights = maps.Clone(ref.weights)
		m.weight = slices.Clone(ref.weights[t.param])
		m.ref.weights[t.param] = m.weight
	}
	if rule != ExactBackward {
		m.ref.tap = m.record
		m.ref.loss(b, 0)
	}
	if rule != ExactBackward || t.input {
		m.ref.tap = m.visit
	}
	return m
}

// loss returns the loss with the tensor moved by step along p.
func (m *movedReference) loss(p probe, step float64) float64 {
	m.seen = map[string]int{}
	if m.tensor.input {
		width := len(m.tensor.g) / len(m.batch.Inputs)
		m.move = func(row int, x []float64) {
			for i, at := range p.at {
				if at/width == row {
					x[at%width] += step * p.by[i]
				}
			}
		}
		return m.ref.loss(m.batch, 0)
	}
	base := make([]float64, len(p.at))
	for i, at := range p.at {
		w := m.weightAt(at)
		base[i] = *w
		*w += step * p.by[i]
	}
	loss := m.ref.loss(m.batch, 0)
	for i, at := range p.at {
		*m.weightAt(at) = base[i]
	}
	return loss
}

// weightAt returns the weight at a position of the tensor, which may be a part of the parameter.
func (m *movedReference) weightAt(at int) *float64 {
	if m.tensor.index != nil {
		at = m.tensor.index[at]
	}
	return &m.weight[at]
}

// record stores the rows with the index 0 that the rules need.
func (m *movedReference) record(point string, rows [][]float64) {
	for _, part := range []string{".weights", ".qkv", ".heads"} {
		if strings.HasSuffix(point, part) {
			for _, row := range rows {
				m.base[point] = append(m.base[point], slices.Clone(row))
			}
		}
	}
}

// visit applies the rule and the move to the rows at a point.
func (m *movedReference) visit(point string, rows [][]float64) {
	first := m.seen[point]
	m.seen[point] += len(rows)
	if m.move != nil && point == m.tensor.param {
		for t, row := range rows {
			m.move(first+t, row)
		}
	}
	attn, part := "", point
	if dot := strings.LastIndexByte(point, '.'); dot >= 0 {
		attn, part = point[:dot], point[dot+1:]
	}
	switch {
	case m.rule == StopGradient && part == "weights":
		for t, row := range rows {
			copy(row, m.base[point][first+t])
		}
	case m.rule == StraightThrough && part == "qkv":
		for t, row := range rows { // remember Q − Q₀ + K − K₀ + V − V₀ for the heads
			m.base[attn+".moved"] = append(m.base[attn+".moved"][:first+t], movedSum(row, m.base[point][first+t]))
		}
	case m.rule == StraightThrough && part == "heads":
		for t, row := range rows {
			for c := range row {
				row[c] = m.base[point][first+t][c] + m.base[attn+".moved"][first+t][c]
			}
		}
	}
}

// movedSum returns (Q − Q₀) + (K − K₀) + (V − V₀) for one row Q | K | V.
func movedSum(qkv, base []float64) []float64 {
	C := len(qkv) / 3
	sum := make([]float64, C)
	for i := range qkv {
		sum[i%C] += qkv[i] - base[i]
	}
	return sum
}

// The comparison during training (--log-attn-gradient=N): every N steps, the gradients of each approximate attention
// backward are compared with the exact ones, on the samples of the step and with the weights before it.
// `gogpt gradcheck` compares the same on a new model.
//
// In block i everything above the heads of its attention is exact in every mode: the difference begins at c_attn, and
// the blocks below receive it. "h.i (input)" is the gradient with respect to the input of block i.

// attentionDistances compares every approximate backward with the exact one on the samples, packed into one batch.
// Afterwards the model is in exact mode and its gradients are zero.
func attentionDistances(m *LLM, samples []example, smoothing float64) []runlog.GradDistance {
	c := gradCheck{model: m, batch: new(Batch).pack(samples), smoothing: smoothing}
	exact := c.trainedGradients(ExactBackward)
	var rows []runlog.GradDistance
	for _, mode := range []AttentionBackward{StraightThrough, StopGradient} {
		for i, g := range c.trainedGradients(mode) {
			d := runlog.GradDistance{Tensor: g.name, Mode: mode.String()}
			setDistance(&d, inFloat64(g.g), inFloat64(exact[i].g))
			rows = append(rows, d)
		}
	}
	m.SetAttentionBackward(ExactBackward)
	clearGrads(m.Params())
	return rows
}

// trainedGradients runs one backward pass and copies the gradients of the parameters that are not frozen and of the
// input of every block. It leaves out the bias of the keys: its exact gradient is zero, and a relative error is
// undefined.
func (c *gradCheck) trainedGradients(mode AttentionBackward) []gradTensor {
	frozen := map[string]bool{}
	for _, p := range c.model.Params() {
		frozen[p.Name] = !p.learns()
	}
	gs := slices.DeleteFunc(c.gradients(mode), func(g gradTensor) bool {
		return g.input || frozen[g.param] || strings.HasSuffix(g.name, ".c_attn.bias[k]")
	})
	whole := gradTensor{name: runlog.WholeGradient}
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

// compareAttentionEvery makes a trainer log, before every step whose number is a multiple of every, how far the
// approximate attention backwards are from the exact one. It does not change what is trained.
func compareAttentionEvery(every int, t *trainer, write func(record any) error) {
	t.beforeStep = func(step int, samples []example) error {
		if step%every != 0 {
			return nil
		}
		t.stepper.setDropout(step, 0)
		rows := attentionDistances(t.model, samples, t.cfg.Smoothing)
		t.model.SetAttentionBackward(t.cfg.Backward)
		return write(runlog.AttnGradient{Event: "attn_gradient", Phase: t.phase.name, Step: step, Rows: rows})
	}
}
