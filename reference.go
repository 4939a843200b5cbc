package main

import (
	"fmt"
	"math"
)

// GPT-2 once more, forward only, in plain float64 loops: the text to read first, and the oracle of every check.
// x is a list of rows, one a token; w holds the weights by name. Nothing here is fast, shared or clever.

// reference computes the loss of one model in float64.
type reference struct {
	ModelConfig
	w map[string][]float64 // weights by name, row-major

	// tap, where set, sees the rows that enter a layer or leave a part of attention, and may change them.
	tap func(point string, rows [][]float64)
}

// newReference copies the weights of a model.
func newReference(c ModelConfig, params []*Param) *reference {
	r := &reference{ModelConfig: c, w: map[string][]float64{}}
	for _, p := range params {
		w := make([]float64, len(p.W))
		for i, v := range p.W {
			w[i] = float64(v)
		}
		r.w[p.Name] = w
	}
	return r
}

// logits returns one row of V logits for every token of a sequence.
func (r *reference) logits(tokens []int) [][]float64 {
	x := make([][]float64, len(tokens))
	for t, token := range tokens {
		x[t] = make([]float64, r.Dim)
		for c := range x[t] {
			x[t][c] = r.w["wte.weight"][token*r.Dim+c] + r.w["wpe.weight"][t*r.Dim+c]
		}
	}
	for i := range r.Layers {
		h := fmt.Sprintf("h.%d", i)
		x = plus(x, r.attention(h+".attn", r.layerNorm(h+".ln_1", x)))
		x = plus(x, r.feedForward(h+".mlp", r.layerNorm(h+".ln_2", x)))
	}
	x = r.enter("lm_head", r.layerNorm("ln_f", x))
	logits := make([][]float64, len(x))
	for t := range x {
		logits[t] = make([]float64, r.Vocab)
		for v := range logits[t] {
			logits[t][v] = inner(x[t], r.w["wte.weight"][v*r.Dim:(v+1)*r.Dim])
		}
	}
	return logits
}

// layerNorm gives every row mean 0 and variance 1, then a gain and a bias for every channel.
func (r *reference) layerNorm(name string, x [][]float64) [][]float64 {
	x = r.enter(name, x)
	gain, bias := r.w[name+".weight"], r.w[name+".bias"]
	y := make([][]float64, len(x))
	for t := range x {
		var mean, variance float64
		for _, v := range x[t] {
			mean += v / float64(r.Dim)
		}
		for _, v := range x[t] {
			variance += (v - mean) * (v - mean) / float64(r.Dim)
		}
		y[t] = make([]float64, r.Dim)
		for c, v := range x[t] {
			y[t][c] = gain[c]*(v-mean)/math.Sqrt(variance+lnEps) + bias[c]
		}
	}
	return y
}

// linear is y = x·W + b with W [len(x[t]), len(b)].
func (r *reference) linear(name string, x [][]float64) [][]float64 {
	x = r.enter(name, x)
	w, b := r.w[name+".weight"], r.w[name+".bias"]
	y := make([][]float64, len(x))
	for t := range x {
		y[t] = append([]float64(nil), b...)
		for i, v := range x[t] {
			for o, wio := range w[i*len(b) : (i+1)*len(b)] {
				y[t][o] += v * wio
			}
		}
	}
	return y
}

// attention lets every token gather values from itself and the tokens before it, weighted by softmax(query·key/√d).
func (r *reference) attention(name string, x [][]float64) [][]float64 {
	qkv := r.enter(name+".qkv", r.linear(name+".c_attn", x))
	d := r.Dim / r.Heads
	o := make([][]float64, len(x))
	for t := range x {
		o[t] = make([]float64, r.Dim)
		weights := make([][]float64, r.Heads)
		for h := range r.Heads {
			q := qkv[t][h*d : (h+1)*d]
			for s := range t + 1 {
				k := qkv[s][r.Dim+h*d : r.Dim+(h+1)*d]
				weights[h] = append(weights[h], inner(q, k)/math.Sqrt(float64(d)))
			}
			softmaxFloat64(weights[h])
		}
		weights = r.enter(name+".weights", weights)
		for h := range r.Heads {
			for s, p := range weights[h] {
				for c := range d {
					o[t][h*d+c] += p * qkv[s][2*r.Dim+h*d+c]
				}
			}
		}
	}
	return r.linear(name+".c_proj", r.enter(name+".heads", o))
}

// feedForward is two linear layers with GELU, in its tanh form, between them.
func (r *reference) feedForward(name string, x [][]float64) [][]float64 {
	u := r.enter(name+".gelu", r.linear(name+".c_fc", x))
	for t := range u {
		for c, v := range u[t] {
			u[t][c] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		}
	}
	return r.linear(name+".c_proj", u)
}

// loss is the mean of −log p over the targets that count, p smoothed by ε as in loss.go.
func (r *reference) loss(b *Batch, smoothing float64) float64 {
	var total float64
	start, count := 0, 0
	for _, n := range b.Lengths {
		for t, p := range r.logits(b.Inputs[start : start+n]) {
			target := b.Targets[start+t]
			if target == ignored {
				continue
			}
			softmaxFloat64(p)
			total -= (1 - smoothing) * math.Log(p[target])
			for _, pv := range p {
				total -= smoothing / float64(r.Vocab) * math.Log(pv)
			}
			count++
		}
		start += n
	}
	return total / float64(count)
}

// enter shows a copy of the rows to the tap, so that a change there touches this one place only.
func (r *reference) enter(point string, rows [][]float64) [][]float64 {
	if r.tap == nil {
		return rows
	}
	own := make([][]float64, len(rows))
	for t := range rows {
		own[t] = append([]float64(nil), rows[t]...)
	}
	r.tap(point, own)
	return own
}

func plus(x, y [][]float64) [][]float64 {
	z := make([][]float64, len(x))
	for t := range x {
		z[t] = make([]float64, len(x[t]))
		for c := range z[t] {
			z[t][c] = x[t][c] + y[t][c]
		}
	}
	return z
}

func inner(x, y []float64) float64 {
	var s float64
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

func softmaxFloat64(s []float64) {
	top, total := math.Inf(-1), 0.0
	for _, v := range s {
		top = max(top, v)
	}
	for i, v := range s {
		s[i] = math.Exp(v - top)
		total += s[i]
	}
	for i := range s {
		s[i] /= total
	}
}
