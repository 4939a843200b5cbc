package main

import (
	"fmt"
	"math"
)

// GPT-2, forward only, in plain float64 loops: the first file to read. The tests compare the fast layers with it.
//
// x holds one row per token and one number per channel: the residual stream, to which every block adds twice. The
// weights are slices by name, their rows one after another: the weight of a linear layer from n to m channels is n
// rows of m numbers. The names are those of GPT-2:
//
//	wte, wpe               embeddings: one row per token of the vocabulary, one row per position
//	h.0, h.1, …            blocks, each made of ln_1, attn, ln_2 and mlp
//	ln_1, ln_2, ln_f       LayerNorm: before attention, before the feed-forward network (mlp), and the final one
//	attn.c_attn, c_proj    the linear layer that computes queries, keys and values, and the output projection
//	mlp.c_fc, c_proj       the two linear layers of the feed-forward network

// reference is one model: its sizes and its weights.
type reference struct {
	layers, heads, dim, vocab int

	weights map[string][]float64 // e.g. "h.0.attn.c_attn.weight" [dim, 3·dim]
}

// logits returns one row of vocab logits per token. softmax turns them into the probabilities of the next token.
func (r *reference) logits(tokens []int) [][]float64 {
	x := r.embed(tokens)
	for i := range r.layers {
		block := fmt.Sprintf("h.%d", i)
		x = plus(x, r.attention(block+".attn", r.layerNorm(block+".ln_1", x)))
		x = plus(x, r.feedForward(block+".mlp", r.layerNorm(block+".ln_2", x)))
	}
	return r.project(r.layerNorm("ln_f", x))
}

// embed returns, for each token, the sum of its embedding and the embedding of its position.
func (r *reference) embed(tokens []int) [][]float64 {
	x := make([][]float64, len(tokens))
	for t, token := range tokens {
		x[t] = make([]float64, r.dim)
		for c := range x[t] {
			x[t][c] = r.weights["wte.weight"][token*r.dim+c] + r.weights["wpe.weight"][t*r.dim+c]
		}
	}
	return x
}

// layerNorm gives every row mean 0 and variance 1, then multiplies by a gain and adds a bias per channel.
func (r *reference) layerNorm(name string, x [][]float64) [][]float64 {
	const eps = 1e-5
	gain, bias := r.weights[name+".weight"], r.weights[name+".bias"]
	y := make([][]float64, len(x))
	for t := range x {
		n := float64(len(x[t]))
		var mean, variance float64
		for _, v := range x[t] {
			mean += v / n
		}
		for _, v := range x[t] {
			variance += (v - mean) * (v - mean) / n
		}
		y[t] = make([]float64, len(x[t]))
		for c, v := range x[t] {
			y[t][c] = gain[c]*(v-mean)/math.Sqrt(variance+eps) + bias[c]
		}
	}
	return y
}

// linear returns y = x·W + b.
func (r *reference) linear(name string, x [][]float64) [][]float64 {
	w, b := r.weights[name+".weight"], r.weights[name+".bias"]
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

// attention computes, for every token, a weighted sum of the values of itself and the tokens before it.
func (r *reference) attention(name string, x [][]float64) [][]float64 {
	qkv := r.linear(name+".c_attn", x) // queries, keys and values side by side, dim channels each
	return r.linear(name+".c_proj", r.gather(r.attentionWeights(qkv), qkv))
}

// attentionWeights returns, per token t and head, the probabilities softmax(query·key/√d) over the tokens s ≤ t, with
// d = dim/heads. Each head works on d channels of its own.
func (r *reference) attentionWeights(qkv [][]float64) [][][]float64 {
	d := r.dim / r.heads
	probs := make([][][]float64, len(qkv))
	for t := range qkv {
		probs[t] = make([][]float64, r.heads)
		for head := range r.heads {
			query := qkv[t][head*d : (head+1)*d]
			for s := range t + 1 {
				key := qkv[s][r.dim+head*d : r.dim+(head+1)*d]
				probs[t][head] = append(probs[t][head], inner(query, key)/math.Sqrt(float64(d)))
			}
			softmaxFloat64(probs[t][head])
		}
	}
	return probs
}

// gather returns, per token and head, the sum of the values of the tokens up to itself, each times its probability.
func (r *reference) gather(probs [][][]float64, qkv [][]float64) [][]float64 {
	d := r.dim / r.heads
	z := make([][]float64, len(qkv))
	for t := range qkv {
		z[t] = make([]float64, r.dim)
		for head := range r.heads {
			for s, p := range probs[t][head] {
				for c := range d {
					z[t][head*d+c] += p * qkv[s][2*r.dim+head*d+c]
				}
			}
		}
	}
	return z
}

// feedForward applies two linear layers with GELU between them.
func (r *reference) feedForward(name string, x [][]float64) [][]float64 {
	return r.linear(name+".c_proj", gelu(r.linear(name+".c_fc", x)))
}

// gelu returns GELU of every number, a smooth form of max(0, u), in the approximation by tanh that GPT-2 uses.
func gelu(u [][]float64) [][]float64 {
	a := make([][]float64, len(u))
	for t := range u {
		a[t] = make([]float64, len(u[t]))
		for c, v := range u[t] {
			a[t][c] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		}
	}
	return a
}

// project returns the inner product of every row with the embedding of every token.
func (r *reference) project(x [][]float64) [][]float64 {
	logits := make([][]float64, len(x))
	for t := range x {
		logits[t] = make([]float64, r.vocab)
		for token := range logits[t] {
			logits[t][token] = inner(x[t], r.weights["wte.weight"][token*r.dim:(token+1)*r.dim])
		}
	}
	return logits
}

// loss returns −log p of the target under softmax(logits). Label smoothing takes the share smoothing from the target
// and spreads it evenly over the vocabulary: the loss is then a mean of −log p over all tokens with these shares.
func (r *reference) loss(logits []float64, target int, smoothing float64) float64 {
	p := append([]float64(nil), logits...)
	softmaxFloat64(p)
	loss := -(1 - smoothing) * math.Log(p[target])
	for _, other := range p {
		loss -= smoothing / float64(r.vocab) * math.Log(other)
	}
	return loss
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

// softmaxFloat64 turns scores into probabilities in place. Subtracting the largest score changes no probability and
// keeps exp from overflowing.
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
