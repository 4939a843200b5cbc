package main

import "sync/atomic"

// The products. c is cut into tiles that fit in the registers, and the inner dimension into blocks of depthBlock. An element of c
// is one chain of fused multiply-adds for each block, from zero and in the order of k; the blocks are added in their order.
// So its bits depend on a row of a, a column of b and the kernel alone: not on the element's place in a tile, on the views'
// strides, on the other rows or on the number of threads.

// matmul computes c = a·b with all threads. c must not overlap a or b and needs a stride of 1 along its rows or its columns.
func matmul(c, a, b matrix) { teamProduct(c, a, b, nil, false) }

// matmulAdd computes c += a·b, like matmul.
func matmulAdd(c, a, b matrix) { teamProduct(c, a, b, nil, true) }

// matmulBias computes c = a·b + bias, like matmul, with the same bias [columns of c] for every row; c has a stride of 1 along its rows.
func matmulBias(c, a, b matrix, bias []float32) { teamProduct(c, a, b, bias, true) }

// serialMatmul computes c = a·b, like matmul but on the calling thread.
func serialMatmul(c, a, b matrix) { serialProduct(c, a, b, nil, false) }

// serialMatmulAdd computes c += a·b, like matmul but on the calling thread.
func serialMatmulAdd(c, a, b matrix) { serialProduct(c, a, b, nil, true) }

const (
	// A block of b, depthBlock·columnBlock numbers, stays in three quarters of a 1 MiB second-level cache while all rows of a pass by; the
	// rows of a tile, 14·depthBlock numbers, stay in two thirds of a 32 KiB first-level cache while the columns of the block pass by.
	depthBlock  = 384
	columnBlock = 512

	// b is read where it lies by at most this many rows of a: copying it pays only when the copy is read several times.
	inPlaceRows = 64

	// A panel of a is copied when it meets at least this many columns of b.
	packUses = 256

	// Numbers at a distance of 4 KiB, or a multiple of it, share one set of a first-level cache, which holds 8 of them, not the
	// 14 rows of a tile. Other rows are read where they lie.
	cacheWay = 1 << 10

	// Fewer multiply-adds than this are done sooner than a sleeping thread could take its part.
	teamWork = 1 << 16

	// With this many rows for each thread the rows of c are shared out, not its columns: then every thread copies all of b, which
	// is little against so much work, and writes to memory of its own.
	teamRows = 64
)

// product is one product, or a part of it, and the room to rearrange its operands.
type product struct {
	c, a, b    matrix
	bias       []float32 // [columns of c] what every row of c is set to first; nil: nothing
	accumulate bool      // c is added to

	flipped []float32 // [columns of c][rows of c]
	packedA []float32 // [depthBlock][rows of a tile]
	packedB []float32 // [columnBlock/cols][depthBlock][cols of a tile]
}

func serialProduct(c, a, b matrix, bias []float32, accumulate bool) {
	p := takeProduct(c, a, b, bias, accumulate)
	p.run()
	p.release()
}

func teamProduct(c, a, b matrix, bias []float32, accumulate bool) {
	p := takeProduct(c, a, b, bias, accumulate)
	defer p.release()
	switch m, n, k := p.c.rows, p.c.cols, p.a.cols; {
	case m*n*k < teamWork:
		p.run()
	case m > n || m >= teamRows*threads():
		parallel(m, p, (*product).runRows)
	default:
		parallel((n+kern.cols-1)/kern.cols, p, (*product).runColumns)
	}
}

// runRows computes rows lo..hi of c.
func (p *product) runRows(lo, hi int) {
	serialProduct(p.c.rowsFrom(lo, hi), p.a.rowsFrom(lo, hi), p.b, p.bias, p.accumulate)
}

// runColumns computes the columns lo..hi of c, counted in tiles.
func (p *product) runColumns(lo, hi int) {
	lo, hi = lo*kern.cols, min(hi*kern.cols, p.c.cols)
	bias := p.bias
	if bias != nil {
		bias = bias[lo:hi]
	}
	serialProduct(p.c.colsFrom(lo, hi), p.a, p.b.colsFrom(lo, hi), bias, p.accumulate)
}

func (p *product) run() {
	if p.flips() {
		p.runFlipped()
		return
	}
	if p.a.cols == 0 {
		p.empty()
	}
	block := columnBlock
	if p.c.rows <= kern.rows {
		block = kern.cols // b is read once: its copy need not outlive a tile
	}
	for j := p.runRow(); j < p.c.cols; j += block {
		for k := 0; k < p.a.cols; k += depthBlock {
			p.runBlock(j, min(j+block, p.c.cols), k, min(k+depthBlock, p.a.cols))
		}
	}
}

// flips tells a product of a few rows by a transposed b, which is larger than all else: the rows of a tile can read it where it lies.
func (p *product) flips() bool {
	return p.b.colStride != 1 && p.b.rowStride == 1 && p.c.rows > 1 && p.c.rows <= kern.cols && p.c.cols > kern.cols &&
		p.c.cols%kern.group == 0 && !p.accumulate
}

// runFlipped computes cᵀ = bᵀ·aᵀ and transposes it.
func (p *product) runFlipped() {
	p.flipped = grown(p.flipped, p.c.rows*p.c.cols)
	t := rowMajor(p.flipped, p.c.cols, p.c.rows)
	serialProduct(t, p.b.T(), p.a.T(), nil, false)
	packTile(p.c.data, p.c.rowStride, t)
}

// runRow computes the first columns of a single row of c, where the kernel has a way of its own; it returns how many.
func (p *product) runRow() (columns int) {
	width := p.rowWidth()
	for ; width > 0 && columns+width <= p.c.cols; columns += width {
		p.startRows(0, 1, columns, columns+width)
		for k := 0; k < p.a.cols; k += depthBlock {
			depth, a, b, c := min(depthBlock, p.a.cols-k), p.a.from(0, k), p.b.from(k, columns), p.c.from(0, columns)
			if p.b.colStride == 1 {
				kern.row(depth, a, p.a.colStride, b, p.b.rowStride, c, p.accumulate || k > 0)
			} else {
				kern.columns(depth, a, b, p.b.colStride, c, p.accumulate || k > 0)
			}
		}
	}
	return columns
}

// rowWidth is how many columns of a single row the kernel computes at a time in a way of its own; 0: it has none.
func (p *product) rowWidth() int {
	switch {
	case p.c.rows != 1 || kern.row == nil:
		return 0
	case p.b.colStride == 1:
		return kern.rowCols
	case p.b.rowStride == 1 && p.a.colStride == 1 && p.a.cols%kern.lanes == 0:
		return kern.lanes
	}
	return 0
}

// runBlock adds what the inner indices k0..k1 contribute to columns j0..j1 of c.
func (p *product) runBlock(j0, j1, k0, k1 int) {
	inPlace := p.b.colStride == 1 && p.c.rows <= inPlaceRows
	p.packBlock(j0, j1, k0, k1, inPlace)
	depth, M := k1-k0, p.c.rows
	panels := (M + kern.rows - 1) / kern.rows
	for i := range panels {
		lo, hi := M*i/panels, M*(i+1)/panels
		a, aRow, aCol := p.packRows(lo, hi, k0, k1, j1-j0)
		if k0 == 0 {
			p.startRows(lo, hi, j0, j1)
		}
		for j := j0; j < j1; j += kern.cols {
			n := min(kern.cols, j1-j)
			b, bRow := p.packedB[(j-j0)*depth:], kern.cols
			if inPlace && n == kern.cols {
				b, bRow = p.b.from(k0, j), p.b.rowStride
			}
			kern.tile(depth, a, aRow, aCol, b, bRow, p.c.from(lo, j), p.c.rowStride, hi-lo, n, p.accumulate || k0 > 0)
		}
	}
}

// startRows sets rows lo..hi, columns j0..j1 of c to the bias, right before the first product is added to them.
func (p *product) startRows(lo, hi, j0, j1 int) {
	if p.bias == nil {
		return
	}
	for i := lo; i < hi; i++ {
		copy(p.c.from(i, j0), p.bias[j0:j1])
	}
}

// empty is the product over no inner index at all.
func (p *product) empty() {
	p.startRows(0, p.c.rows, 0, p.c.cols)
	if !p.accumulate {
		p.c.clear()
	}
}

// packBlock copies rows k0..k1, columns j0..j1 of b to packedB, tile after tile; when b is read in place, only the last tile
// where it is narrower than the others.
func (p *product) packBlock(j0, j1, k0, k1 int, inPlace bool) {
	w := kern.cols
	p.packedB = grown(p.packedB, (j1-j0+w)*(k1-k0)+w)
	for j := j0; j < j1; j += w {
		if n := min(w, j1-j); n < w || !inPlace {
			packTile(p.packedB[(j-j0)*(k1-k0):], w, p.b.colsFrom(j, j+n).rowsFrom(k0, k1).T())
		}
	}
}

// packRows returns rows lo..hi, columns k0..k1 of a and their strides. They are copied to packedA when they are used often and
// would push each other out of the cache.
func (p *product) packRows(lo, hi, k0, k1, uses int) (a []float32, aRow, aCol int) {
	if p.a.rowStride%cacheWay != 0 || uses < packUses {
		return p.a.from(lo, k0), p.a.rowStride, p.a.colStride
	}
	w := hi - lo
	p.packedA = grown(p.packedA, (w+1)*(k1-k0)+16)
	packTile(p.packedA, w, p.a.rowsFrom(lo, hi).colsFrom(k0, k1))
	return p.packedA, 1, w
}

// packTile: for i < src.rows, t < src.cols { dst[t·width + i] = src(i, t) }.
func packTile(dst []float32, width int, src matrix) {
	switch {
	case src.rowStride == 1 && kern.copyTile != nil && src.rows == kern.cols && width == kern.cols:
		kern.copyTile(dst, src.data, src.colStride, src.cols)
	case src.rowStride == 1:
		for t := range src.cols {
			copy(dst[t*width:t*width+src.rows], src.from(0, t))
		}
	case src.colStride == 1:
		for i := 0; i < src.rows; i += kern.group {
			kern.interleave(dst[i:], width, src.from(i, 0), src.rowStride, min(kern.group, src.rows-i), src.cols)
		}
	default:
		for t := range src.cols {
			for i := range src.rows {
				dst[t*width+i] = src.data[i*src.rowStride+t*src.colStride]
			}
		}
	}
}

// clear sets every element to 0.
func (m matrix) clear() {
	for i := range m.rows {
		clear(m.from(i, 0)[:m.cols])
	}
}

func grown(s []float32, n int) []float32 {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]float32, n)
}

// idleProducts keeps products, and with them their room, for the next call.
var idleProducts [64]atomic.Pointer[product]

// takeProduct checks the operands. c is viewed so that its columns lie side by side: where only its rows do, cᵀ = bᵀ·aᵀ is computed.
func takeProduct(c, a, b matrix, bias []float32, accumulate bool) *product {
	if c.rows != a.rows || c.cols != b.cols || a.cols != b.rows {
		panic("matmul: shapes of c, a, b do not fit")
	}
	if bias != nil && (len(bias) != c.cols || c.colStride != 1) {
		panic("matmul: a bias needs the length of c's rows, and a stride of 1 along them")
	}
	if c.colStride != 1 {
		c, a, b = c.T(), b.T(), a.T()
	}
	if c.colStride != 1 || c.rows > 1 && c.rowStride < c.cols {
		panic("matmul: c needs a stride of 1, and rows that do not overlap")
	}
	c.check()
	a.check()
	b.check()
	p := idleProduct()
	p.c, p.a, p.b, p.bias, p.accumulate = c, a, b, bias, accumulate
	return p
}

func idleProduct() *product {
	for i := range idleProducts {
		if p := idleProducts[i].Swap(nil); p != nil {
			return p
		}
	}
	return new(product)
}

func (p *product) release() {
	p.c, p.a, p.b, p.bias = matrix{}, matrix{}, matrix{}, nil
	for i := range idleProducts {
		if idleProducts[i].CompareAndSwap(nil, p) {
			return
		}
	}
}
