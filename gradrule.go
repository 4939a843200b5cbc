package main

import (
	"maps"
	"slices"
	"strings"
)

// What an attention backward assumes, as a change of the float64 reference: its gradient is the exact gradient of a
// model whose attention, around the point of the check, behaves as the rule says.
//
//	exact              as it is
//	stop-gradient      attention weights P held at their values
//	straight-through   O = O₀ + (Q − Q₀) + (K − K₀) + (V − V₀)

// gradTensor is one gradient under check: of a parameter, of a part of one, or of a layer's input.
type gradTensor struct {
	name  string
	input bool      // of a layer's input; else of the parameter named param
	param string    // whose gradient this is
	index []int     // positions in the parameter; nil: all of it
	g     []float32 // the gradient
}

// probe is a direction in the space of a tensor, by its non-zero entries.
type probe struct {
	at []int
	by []float64
}

// movedReference is the reference with one tensor moved along a probe.
type movedReference struct {
	ref    reference
	batch  *Batch
	rule   AttentionBackward
	tensor gradTensor
	weight []float64 // the moved parameter, a copy

	held map[string][][]float64 // rows at the point of the check, in the order of their visits
	seen map[string]int         // rows of each point visited in this pass

	move func(row int, x []float64) // of the layer's input under check; nil: none
}

func newMovedReference(ref *reference, b *Batch, rule AttentionBackward, t gradTensor) *movedReference {
	m := &movedReference{ref: *ref, batch: b, rule: rule, tensor: t, held: map[string][][]float64{}}
	if !t.input {
		m.ref.w = maps.Clone(ref.w)
		m.weight = slices.Clone(ref.w[t.param])
		m.ref.w[t.param] = m.weight
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

// loss is the loss with the tensor moved by step along p.
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
		if m.tensor.index != nil {
			at = m.tensor.index[at]
		}
		base[i] = m.weight[at]
		m.weight[at] += step * p.by[i]
	}
	loss := m.ref.loss(m.batch, 0)
	for i, at := range p.at {
		if m.tensor.index != nil {
			at = m.tensor.index[at]
		}
		m.weight[at] = base[i]
	}
	return loss
}

// record keeps what the rules hold fixed.
func (m *movedReference) record(point string, rows [][]float64) {
	for _, part := range []string{".weights", ".qkv", ".heads"} {
		if strings.HasSuffix(point, part) {
			for _, row := range rows {
				m.held[point] = append(m.held[point], slices.Clone(row))
			}
		}
	}
}

// visit applies the rule and the move to the rows that pass a point.
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
			copy(row, m.held[point][first+t])
		}
	case m.rule == StraightThrough && part == "qkv":
		for t, row := range rows { // remember Q − Q₀ + K − K₀ + V − V₀ for the heads
			m.held[attn+".moved"] = append(m.held[attn+".moved"][:first+t], movedSum(row, m.held[point][first+t]))
		}
	case m.rule == StraightThrough && part == "heads":
		for t, row := range rows {
			for c := range row {
				row[c] = m.held[point][first+t][c] + m.held[attn+".moved"][first+t][c]
			}
		}
	}
}

// movedSum is (Q − Q₀) + (K − K₀) + (V − V₀) of one row Q | K | V.
func movedSum(qkv, base []float64) []float64 {
	C := len(qkv) / 3
	sum := make([]float64, C)
	for i := range qkv {
		sum[i%C] += qkv[i] - base[i]
	}
	return sum
}
