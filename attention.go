package main

import (
	"math"
	"math/rand/v2"

	"gogpt/internal/kernel"
)

// Multi-head causal self-attention   (arXiv:1706.03762, section 3.2)
//
//	[Q K V] = x·W_qkv + b_qkv              per head, d = C/heads channels each:
//	S = Q·Kᵀ/√d,  entries of the future removed
//	P = softmax(S) row by row,   Z = P·V
//	y = [Z of all heads]·W_O + b_O
//
// Exact backward. With D_i = Σ_j P_ij dP_ij = dZ_i·Z_i, softmax is differentiated without storing P
// (arXiv:2205.14135, appendix B.2): forward keeps log Σ exp S of every row alone, and backward computes P again.
//
//	dV = Pᵀ·dZ       dP = dZ·Vᵀ       dS = P ⊙ (dP − D)
//	dQ = dS·K/√d     dK = dSᵀ·Q/√d
//
// Two approximations of the part between y and [Q K V]; W_O and W_qkv themselves stay exact given d[Q K V]:
//
//	straight-through   dQ = dK = dV = dZ. Assumes that the Jacobian of Z with respect to each of Q, K, V is the identity.
//	                   dV is exact with T = 1, where P = 1 and Z = V. Fails otherwise: it gives Q and K gradients
//	                   that they do not have (at T = 1 the exact ones are 0) and sends none to earlier tokens.
//	stop-gradient      P is taken as a constant: dV = Pᵀ·dZ is the exact one, dQ = dK = 0. All of it is exact with T = 1.
//	                   Fails where learning must change which tokens a token attends to: Q and K never learn.

// queryBlock is the number of queries whose scores a thread computes at once. It then needs queryBlock·T numbers of
// scratch memory instead of T².
const queryBlock = 64

// Attention is one attention layer.
type Attention struct {
	C, heads, d int // channels, heads, channels of a head
	block       int // number of its block, by which a cache finds its keys and values

	qkv, out *Linear           // c_attn [C, 3C], c_proj [C, C]
	mode     AttentionBackward // exact or an approximation
	drop     dropout           // of attention weights

	// kept from forward
	seqs    []sequence // [sequences] borrowed
	qkvRows []float32  // [T, 3C] Q | K | V side by side, borrowed from qkv
	z       []float32  // [T, C] Z of all heads side by side
	logSums []float64  // [T, heads] log Σ_j exp S_ij

	// scratch
	dz       []float32     // [T, C] borrowed from out
	dqkvRows []float32     // [T, 3C] dQ | dK | dV
	scratch  []headScratch // [threads]
}

// headScratch is the memory in which one thread computes a head: P and dP of a block of queries.
type headScratch struct{ p, dp []float32 } // [queries, keys]

func newAttention(name string, block int, c ModelConfig, rng *rand.Rand) *Attention {
	a := &Attention{C: c.Dim, heads: c.Heads, d: c.Dim / c.Heads, block: block,
		qkv: newLinear(name+".c_attn", c.Dim, 3*c.Dim, initStd, rng),
		out: newLinear(name+".c_proj", c.Dim, c.Dim, residualStd(c), rng)}
	setPart(PartQKV, a.qkv.params())
	setPart(PartAttentionOut, a.out.params())
	return a
}

func (a *Attention) params() []*Param { return append(a.qkv.params(), a.out.params()...) }

// Forward returns y [T, C]. x [T, C] is kept until Backward. Sequences with a cache also attend to the tokens that it
// holds, and add their own keys and values to it.
func (a *Attention) Forward(x []float32, seqs []sequence) []float32 {
	T := len(x) / a.C
	a.seqs, a.qkvRows = seqs, a.qkv.Forward(x)
	a.z, a.logSums = kernel.Resized(a.z, len(x)), kernel.Resized(a.logSums, T*a.heads)
	for _, s := range seqs {
		if s.cache != nil {
			s.cache.store(a.block, a.qkvRows[s.start*3*a.C:][:s.n*3*a.C])
		}
	}
	for len(a.scratch) < kernel.Threads() {
		a.scratch = append(a.scratch, headScratch{})
	}
	kernel.Parallel(kernel.Threads(), a, (*Attention).forwardHeads)
	return a.out.Forward(a.z)
}

// forwardHeads does the work of threads lo … hi. Every head of every sequence has a number; with n threads, a thread
// computes every n-th head.
func (a *Attention) forwardHeads(lo, hi int) {
	for thread := lo; thread < hi; thread++ {
		for i := thread; i < len(a.seqs)*a.heads; i += kernel.Threads() {
			a.forwardHead(a.seqs[i/a.heads], i%a.heads, &a.scratch[thread])
		}
	}
}

// forwardHead computes Z of one head of one sequence, a block of queries at a time.
func (a *Attention) forwardHead(s sequence, head int, mem *headScratch) {
	q, k, v := a.queriesKeysValues(s, head)
	z := a.headOf(a.z, s, head)
	for lo := 0; lo < s.n; lo += queryBlock {
		hi := min(lo+queryBlock, s.n)
		keys := s.past() + hi // as many as the last query of the block sees
		p := scores(&mem.p, q.RowsFrom(lo, hi), k.RowsFrom(0, keys))
		for i := lo; i < hi; i++ {
			row := p.Data[(i-lo)*keys : (i-lo+1)*keys]
			seen := s.past() + i + 1 // query i sees the keys up to its own
			a.logSums[(s.start+i)*a.heads+head] = softmaxRow(row[:seen], a.factor())
			clear(row[seen:])
			a.dropRow(row[:seen], s.start+i, head)
		}
		kernel.SerialMatMul(z.RowsFrom(lo, hi), p, v.RowsFrom(0, keys))
	}
}

// Backward returns dx [T, C] and adds to the parameters' gradients. dy [T, C] is only read. It is for training: no
// sequence may have a cache.
func (a *Attention) Backward(dy []float32) []float32 {
	// forward: y = Z·W_O + b_O
	a.dz = a.out.Backward(dy)
	a.dqkvRows = kernel.Resized(a.dqkvRows, len(a.qkvRows))
	if a.mode == StraightThrough {
		kernel.Parallel(len(a.dz)/a.C, a, (*Attention).copyThrough)
	} else {
		clear(a.dqkvRows)
		kernel.Parallel(kernel.Threads(), a, (*Attention).backwardHeads)
	}
	// forward: [Q K V] = x·W_qkv + b_qkv
	return a.qkv.Backward(a.dqkvRows)
}

// copyThrough computes rows lo … hi of the straight-through approximation: dQ = dK = dV = dZ.
func (a *Attention) copyThrough(lo, hi int) {
	C := a.C
	for t := lo; t < hi; t++ {
		for part := range 3 {
			copy(a.dqkvRows[(3*t+part)*C:(3*t+part+1)*C], a.dz[t*C:])
		}
	}
}

// backwardHeads does the work of threads lo … hi, which compute the same heads as in forwardHeads.
func (a *Attention) backwardHeads(lo, hi int) {
	for thread := lo; thread < hi; thread++ {
		for i := thread; i < len(a.seqs)*a.heads; i += kernel.Threads() {
			a.backwardHead(a.seqs[i/a.heads], i%a.heads, &a.scratch[thread])
		}
	}
}

// backwardHead computes dQ, dK and dV of one head of one sequence; with stop-gradient, dQ and dK stay 0.
func (a *Attention) backwardHead(s sequence, head int, mem *headScratch) {
	C, at := a.C, head*a.d
	q, k, v := a.queriesKeysValues(s, head)
	z, dz := a.headOf(a.z, s, head), a.headOf(a.dz, s, head)
	dqkv := kernel.RowMajor(a.dqkvRows[s.start*3*C:], s.n, 3*C)
	dq := dqkv.ColsFrom(at, at+a.d)
	dk, dv := dqkv.ColsFrom(C+at, C+at+a.d), dqkv.ColsFrom(2*C+at, 2*C+at+a.d)
	for lo := 0; lo < s.n; lo += queryBlock {
		hi := min(lo+queryBlock, s.n)
		p := a.probabilities(s, head, mem, q.RowsFrom(lo, hi), k.RowsFrom(0, hi), lo)
		dzBlock := dz.RowsFrom(lo, hi)
		if a.mode == ExactBackward {
			// forward: P = softmax(S), Z = P·V
			mem.dp = kernel.Resized(mem.dp, p.Rows*p.Cols)
			ds := kernel.RowMajor(mem.dp, p.Rows, p.Cols) // dP at first
			kernel.SerialMatMul(ds, dzBlock, v.RowsFrom(0, hi).T())
			a.softmaxBackward(ds, p, z.RowsFrom(lo, hi), dzBlock, s.start+lo, head)
			// forward: S = Q·Kᵀ/√d   (the 1/√d is in ds already)
			kernel.SerialMatMul(dq.RowsFrom(lo, hi), ds, k.RowsFrom(0, hi))
			kernel.SerialMatMulAdd(dk.RowsFrom(0, hi), ds.T(), q.RowsFrom(lo, hi))
		}
		// forward: Z = P·V, after dropout of P
		a.dropRows(p, s.start+lo, head)
		kernel.SerialMatMulAdd(dv.RowsFrom(0, hi), p.T(), dzBlock)
	}
}

// probabilities computes P [queries, keys] of a block again, from the scores and logSums. first is the number of the
// block's first query in the sequence.
func (a *Attention) probabilities(s sequence, head int, mem *headScratch, q, k kernel.Matrix, first int) kernel.Matrix {
	p := scores(&mem.p, q, k)
	for i := range p.Rows {
		row := p.Data[i*p.Cols : (i+1)*p.Cols]
		seen := first + i + 1
		kernel.ExpSum(row[:seen], row[:seen], a.factor(), float32(a.logSums[(s.start+first+i)*a.heads+head]))
		clear(row[seen:])
	}
	return p
}

// softmaxBackward turns dP [queries, keys] into dS/√d in place: dS = P ⊙ (dP − D), D_i = dZ_i·Z_i. t is the row of the
// batch that holds the first query. Dropout of P comes between P and Z, so dP passes through its mask first.
func (a *Attention) softmaxBackward(dp, p, z, dz kernel.Matrix, t, head int) {
	for i := range p.Rows {
		D := kernel.Dot(z.Data[i*z.RowStride:][:a.d], dz.Data[i*dz.RowStride:][:a.d])
		ds := dp.Data[i*p.Cols : (i+1)*p.Cols]
		a.dropRow(ds, t+i, head)
		kernel.SoftmaxBackwardRow(ds, p.Data[i*p.Cols:(i+1)*p.Cols], float32(D), a.factor())
	}
}

// dropRow drops from the probabilities of the query in row t of the batch, or from their gradient, by the same mask.
func (a *Attention) dropRow(row []float32, t, head int) { a.drop.row(row, row, uint64(t*a.heads+head)) }

// dropRows drops from the probabilities of a block of queries, which begins in row t of the batch.
func (a *Attention) dropRows(p kernel.Matrix, t, head int) {
	for i := range p.Rows {
		a.dropRow(p.Data[i*p.Cols:(i+1)*p.Cols], t+i, head)
	}
}

// queriesKeysValues returns Q [n, d] of one head, and its K and V [past+n, d], from the cache if there is one.
func (a *Attention) queriesKeysValues(s sequence, head int) (q, k, v kernel.Matrix) {
	C, at := a.C, head*a.d
	qkv := kernel.RowMajor(a.qkvRows[s.start*3*C:], s.n, 3*C)
	q = qkv.ColsFrom(at, at+a.d)
	if s.cache != nil {
		keys, values := s.cache.rows(a.block, s.past()+s.n)
		return q, keys.ColsFrom(at, at+a.d), values.ColsFrom(at, at+a.d)
	}
	return q, qkv.ColsFrom(C+at, C+at+a.d), qkv.ColsFrom(2*C+at, 2*C+at+a.d)
}

// headOf returns the view [n, d] of one head of a sequence in rows [T, C].
func (a *Attention) headOf(rows []float32, s sequence, head int) kernel.Matrix {
	return kernel.RowMajor(rows[s.start*a.C:], s.n, a.C).ColsFrom(head*a.d, (head+1)*a.d)
}

// scores returns Q·Kᵀ [queries, keys], S without its factor, in the memory of buf.
func scores(buf *[]float32, q, k kernel.Matrix) kernel.Matrix {
	*buf = kernel.Resized(*buf, q.Rows*k.Rows)
	s := kernel.RowMajor(*buf, q.Rows, k.Rows)
	kernel.SerialMatMul(s, q, k.T())
	return s
}

// factor returns 1/√d.
func (a *Attention) factor() float32 { return float32(1 / math.Sqrt(float64(a.d))) }
