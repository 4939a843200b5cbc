package main

import (
	"math"
	"math/rand/v2"
)

// Multi-head causal self-attention   (arXiv:1706.03762, section 3.2)
//
//	[Q K V] = x·W_qkv + b_qkv              per head, d = C/heads channels each:
//	S = Q·Kᵀ/√d,  entries of the future removed
//	P = softmax(S) row by row,   O = P·V
//	y = [O of all heads]·W_O + b_O
//
// Exact backward. With D_i = Σ_j P_ij dP_ij = dO_i·O_i, softmax is differentiated without storing P
// (arXiv:2205.14135, appendix B.2): only log Σ exp S of every row is kept, and P is computed again.
//
//	dV = Pᵀ·dO       dP = dO·Vᵀ       dS = P ⊙ (dP − D)
//	dQ = dS·K/√d     dK = dSᵀ·Q/√d
//
// Two approximations of the part between y and [Q K V]; W_O and W_qkv themselves stay exact given d[Q K V]:
//
//	straight-through   dQ = dK = dV = dO. Assumes that the Jacobian of O by each of Q, K, V is the identity.
//	                   dV is exact with T = 1, where P = 1 and O = V. Fails otherwise: it gives Q and K gradients
//	                   that they do not have (at T = 1 the exact ones are 0) and sends none to earlier tokens.
//	stop-gradient      P is taken as a constant: dV = Pᵀ·dO is the exact one, dQ = dK = 0. All of it is exact with T = 1.
//	                   Fails where learning must change whom a token attends to: Q and K never learn.

// queryBlock is how many queries are scored at once: scratch memory is queryBlock·T a thread instead of T².
const queryBlock = 64

// Attention is one attention layer.
type Attention struct {
	C, heads, d int // channels, heads, channels a head
	layer       int // which block this is: the place of its keys and values in a cache

	qkv, out *Linear           // c_attn [C, 3C], c_proj [C, C]
	mode     AttentionBackward // which backward pass
	drop     dropout           // of attention weights

	// kept from forward
	seqs    []sequence // borrowed
	rows    []float32  // [T, 3C] Q | K | V side by side, borrowed from qkv
	o       []float32  // [T, C] the heads side by side
	logSums []float64  // [T, heads] log Σ_j exp S_ij

	// scratch
	do      []float32 // [T, C] borrowed
	drows   []float32 // [T, 3C]
	scratch []headScratch
}

// headScratch is the memory of one thread.
type headScratch struct{ p, dp []float32 } // [queryBlock, T]

func newAttention(name string, layer int, c ModelConfig, rng *rand.Rand) *Attention {
	return &Attention{C: c.Dim, heads: c.Heads, d: c.Dim / c.Heads, layer: layer,
		qkv: newLinear(name+".c_attn", c.Dim, 3*c.Dim, initStd, rng),
		out: newLinear(name+".c_proj", c.Dim, c.Dim, residualStd(c), rng)}
}

func (a *Attention) params() []*Param { return append(a.qkv.params(), a.out.params()...) }

// Forward returns y [T, C]. x [T, C] is kept until Backward. Sequences with a cache also attend to the tokens it holds,
// and leave their own keys and values in it.
func (a *Attention) Forward(x []float32, seqs []sequence) []float32 {
	T := len(x) / a.C
	a.seqs, a.rows, a.o = seqs, a.qkv.Forward(x), resized(a.o, len(x))
	if cap(a.logSums) < T*a.heads {
		a.logSums = make([]float64, T*a.heads)
	}
	a.logSums = a.logSums[:T*a.heads]
	for _, s := range seqs {
		if s.cache != nil {
			s.cache.store(a.layer, a.rows[s.start*3*a.C:][:s.n*3*a.C])
		}
	}
	a.eachHead((*Attention).forwardShare)
	return a.out.Forward(a.o)
}

// eachHead gives every thread a share of the heads of all sequences.
func (a *Attention) eachHead(share func(a *Attention, lo, hi int)) {
	for len(a.scratch) < threads() {
		a.scratch = append(a.scratch, headScratch{})
	}
	parallel(threads(), a, share)
}

// units calls work for the heads of share lo … hi: a head of a sequence is the unit that one thread computes.
func (a *Attention) units(lo, hi int, work func(a *Attention, s sequence, head int, mem *headScratch)) {
	for share := lo; share < hi; share++ {
		for unit := share; unit < len(a.seqs)*a.heads; unit += threads() {
			work(a, a.seqs[unit/a.heads], unit%a.heads, &a.scratch[share])
		}
	}
}

// views returns Q [n, d] of one head and K, V [past+n, d], its own and those of the cache.
func (a *Attention) views(s sequence, head int) (q, k, v matrix) {
	C, at := a.C, head*a.d
	qkv := rowMajor(a.rows[s.start*3*C:], s.n, 3*C)
	q = qkv.colsFrom(at, at+a.d)
	if s.cache != nil {
		keys, values := s.cache.rows(a.layer, s.past()+s.n)
		return q, keys.colsFrom(at, at+a.d), values.colsFrom(at, at+a.d)
	}
	return q, qkv.colsFrom(C+at, C+at+a.d), qkv.colsFrom(2*C+at, 2*C+at+a.d)
}

// headOf is the view [n, d] of one head of a sequence in rows of C channels.
func (a *Attention) headOf(rows []float32, s sequence, head int) matrix {
	return rowMajor(rows[s.start*a.C:], s.n, a.C).colsFrom(head*a.d, (head+1)*a.d)
}

func (a *Attention) forwardShare(lo, hi int) { a.units(lo, hi, (*Attention).forwardHead) }

func (a *Attention) forwardHead(s sequence, head int, mem *headScratch) {
	q, k, v := a.views(s, head)
	o := a.headOf(a.o, s, head)
	for lo := 0; lo < s.n; lo += queryBlock {
		hi := min(lo+queryBlock, s.n)
		keys := s.past() + hi // the last query of the block sees this many
		p := scores(&mem.p, q.rowsFrom(lo, hi), k.rowsFrom(0, keys))
		for i := lo; i < hi; i++ {
			row := p.data[(i-lo)*keys : (i-lo+1)*keys]
			seen := s.past() + i + 1
			a.logSums[(s.start+i)*a.heads+head] = softmaxRow(row[:seen], a.factor())
			clear(row[seen:])
			a.dropRow(row[:seen], s.start+i, head)
		}
		serialMatmul(o.rowsFrom(lo, hi), p, v.rowsFrom(0, keys))
	}
}

// scores returns Q·Kᵀ [queries, keys] in the memory of buf: S without its factor.
func scores(buf *[]float32, q, k matrix) matrix {
	*buf = resized(*buf, q.rows*k.rows)
	s := rowMajor(*buf, q.rows, k.rows)
	serialMatmul(s, q, k.T())
	return s
}

// factor is 1/√d.
func (a *Attention) factor() float32 { return float32(1 / math.Sqrt(float64(a.d))) }

// Backward returns dx [T, C] and adds to the parameters' gradients. dy [T, C] is only read.
func (a *Attention) Backward(dy []float32) []float32 {
	// forward: y = O·W_O + b_O
	a.do = a.out.Backward(dy)
	a.drows = resized(a.drows, len(a.rows))
	if a.mode == StraightThrough {
		parallel(len(a.do)/a.C, a, (*Attention).copyThrough)
	} else {
		clear(a.drows)
		a.eachHead((*Attention).backwardShare)
	}
	// forward: [Q K V] = x·W_qkv + b_qkv
	return a.qkv.Backward(a.drows)
}

// copyThrough is the straight-through approximation: dQ = dK = dV = dO.
func (a *Attention) copyThrough(lo, hi int) {
	C := a.C
	for t := lo; t < hi; t++ {
		for part := range 3 {
			copy(a.drows[(3*t+part)*C:(3*t+part+1)*C], a.do[t*C:])
		}
	}
}

func (a *Attention) backwardShare(lo, hi int) { a.units(lo, hi, (*Attention).backwardHead) }

func (a *Attention) backwardHead(s sequence, head int, mem *headScratch) {
	C, at := a.C, head*a.d
	q, k, v := a.views(s, head)
	o, do := a.headOf(a.o, s, head), a.headOf(a.do, s, head)
	drows := rowMajor(a.drows[s.start*3*C:], s.n, 3*C)
	dq := drows.colsFrom(at, at+a.d)
	dk, dv := drows.colsFrom(C+at, C+at+a.d), drows.colsFrom(2*C+at, 2*C+at+a.d)
	for lo := 0; lo < s.n; lo += queryBlock {
		hi := min(lo+queryBlock, s.n)
		p := a.probabilities(s, head, mem, q.rowsFrom(lo, hi), k.rowsFrom(0, hi), lo)
		dob := do.rowsFrom(lo, hi)
		if a.mode == ExactBackward {
			// forward: O = P·V, P = softmax(S)
			mem.dp = resized(mem.dp, p.rows*p.cols)
			ds := rowMajor(mem.dp, p.rows, p.cols)
			serialMatmul(ds, dob, v.rowsFrom(0, hi).T())
			a.softmaxBackward(ds, p, o.rowsFrom(lo, hi), dob, s.start+lo, head)
			// forward: S = Q·Kᵀ/√d   (the 1/√d is in ds already)
			serialMatmul(dq.rowsFrom(lo, hi), ds, k.rowsFrom(0, hi))
			serialMatmulAdd(dk.rowsFrom(0, hi), ds.T(), q.rowsFrom(lo, hi))
		}
		// forward: O = P·V
		a.dropRows(p, s.start+lo, head)
		serialMatmulAdd(dv.rowsFrom(0, hi), p.T(), dob)
	}
}

// probabilities computes P [queries, keys] of a block again, from the scores and their kept log-sums.
func (a *Attention) probabilities(s sequence, head int, mem *headScratch, q, k matrix, first int) matrix {
	p := scores(&mem.p, q, k)
	for i := range p.rows {
		row := p.data[i*p.cols : (i+1)*p.cols]
		seen := first + i + 1
		expSum(row[:seen], row[:seen], a.factor(), float32(a.logSums[(s.start+first+i)*a.heads+head]))
		clear(row[seen:])
	}
	return p
}

// softmaxBackward turns dP [queries, keys] into dS/√d in place: dS = P ⊙ (dP − D), D_i = dO_i·O_i.
func (a *Attention) softmaxBackward(dp, p, o, do matrix, first, head int) {
	for i := range p.rows {
		D := dot(o.data[i*o.rowStride:][:a.d], do.data[i*do.rowStride:][:a.d])
		ds := dp.data[i*p.cols : (i+1)*p.cols]
		a.dropRow(ds, first+i, head)
		softmaxBackwardRow(ds, p.data[i*p.cols:(i+1)*p.cols], float32(D), a.factor())
	}
}

// dropRow drops from the attention weights of one query, or from their gradient, by the same mask.
func (a *Attention) dropRow(row []float32, t, head int) { a.drop.row(row, row, uint64(t*a.heads+head)) }

// dropRows does so for a block of queries.
func (a *Attention) dropRows(p matrix, first, head int) {
	for i := range p.rows {
		a.dropRow(p.data[i*p.cols:(i+1)*p.cols], first+i, head)
	}
}
