package kernel

import "sync/atomic"

// The product in blocks. c is cut into tiles that fit in the registers, and the inner dimension into blocks of
// depthBlock. Each block gives an element of c one chain of multiply-adds, with one rounding each where the processor
// can, from zero and in the order of k; the sums of the blocks are added in their order. So the bits of an element
// depend on a row of a, a column of b and the kernel alone: not on its place in a tile, on the strides of the views,
// on the other rows or on the number of threads.

const (
	// A block of b, depthBlock·columnBlock numbers, takes three quarters of a second-level cache of 1 MiB and stays there
	// while tile after tile of the rows of a is multiplied by it. The rows of a tile, 14·depthBlock numbers, take two
	// thirds of a first-level cache of 32 KiB and stay there while they are multiplied by all columns of the block.
	depthBlock  = 384
	columnBlock = 512

	// A product with at most this many rows reads b in place: a copy of b pays only when it is read several times.
	inPlaceRows = 64

	// Rows of a are copied when their distance is a multiple of 4 KiB (cacheWay numbers) and they are multiplied by at
	// least packUses columns of b. At such a distance they share one set of a first-level cache, which holds 8 of them,
	// not the 14 rows of a tile. Other rows are read in place.
	cacheWay = 1 << 10
	packUses = 256

	// A product with fewer multiply-adds than this takes less time than waking a worker.
	parallelWork = 1 << 16

	// With at least this many rows per thread, the threads share the rows of c, not its columns: each thread copies all of
	// b, which costs little against so much work, and writes to memory of its own.
	rowsPerThread = 64
)

// product is one product, or a part of it, and the memory for copies of its operands.
type product struct {
	c, a, b    Matrix
	bias       []float32 // [columns of c] the first value of every row of c; nil: none
	accumulate bool      // the product is added to c

	transposed []float32 // [columns of c][rows of c]
	packedA    []float32 // [depthBlock][rows of a tile]
	packedB    []float32 // [columnBlock/cols][depthBlock][cols of a tile]
}

// parallelProduct computes c = a·b, or c += a·b when accumulate is set. function is the name of the exported function
// that calls it, for the panic of a wrong size.
func parallelProduct(function string, c, a, b Matrix, bias []float32, accumulate bool) {
	checkProduct(function, c, a, b)
	p := newProduct(c, a, b, bias, accumulate)
	defer p.recycle()
	switch m, n, k := p.c.Rows, p.c.Cols, p.a.Cols; {
	case m*n*k < parallelWork:
		p.run()
	case m > n || m >= rowsPerThread*Threads():
		Parallel(m, p, (*product).runRows)
	default:
		Parallel((n+kern.cols-1)/kern.cols, p, (*product).runColumns)
	}
}

// serialProduct does what parallelProduct does, on the calling thread.
func serialProduct(function string, c, a, b Matrix, bias []float32, accumulate bool) {
	checkProduct(function, c, a, b)
	runProduct(c, a, b, bias, accumulate)
}

// runProduct computes a checked product on the calling thread.
func runProduct(c, a, b Matrix, bias []float32, accumulate bool) {
	p := newProduct(c, a, b, bias, accumulate)
	p.run()
	p.recycle()
}

// runRows computes rows lo..hi of c.
func (p *product) runRows(lo, hi int) {
	runProduct(p.c.RowsFrom(lo, hi), p.a.RowsFrom(lo, hi), p.b, p.bias, p.accumulate)
}

// runColumns computes columns lo..hi of c, counted in tiles.
func (p *product) runColumns(lo, hi int) {
	lo, hi = lo*kern.cols, min(hi*kern.cols, p.c.Cols)
	bias := p.bias
	if bias != nil {
		bias = bias[lo:hi]
	}
	runProduct(p.c.ColsFrom(lo, hi), p.a, p.b.ColsFrom(lo, hi), bias, p.accumulate)
}

// run computes the product on the calling thread, block by block.
func (p *product) run() {
	if p.readsTransposedB() {
		p.runTransposed()
		return
	}
	if p.a.Cols == 0 {
		p.runEmpty()
	}
	block := columnBlock
	if p.c.Rows <= kern.rows {
		block = kern.cols // b is read once, so the copy of one tile is enough
	}
	for j := p.runRow(); j < p.c.Cols; j += block {
		for k := 0; k < p.a.Cols; k += depthBlock {
			p.runBlock(j, min(j+block, p.c.Cols), k, min(k+depthBlock, p.a.Cols))
		}
	}
}

// readsTransposedB reports whether c has few rows and b is a transposed view. Then b, by far the largest operand, is
// not copied: bᵀ takes the place of a, whose rows a tile reads in place.
func (p *product) readsTransposedB() bool {
	return p.b.ColStride != 1 && p.b.RowStride == 1 && p.c.Rows > 1 && p.c.Rows <= kern.cols && p.c.Cols > kern.cols &&
		p.c.Cols%kern.group == 0 && !p.accumulate
}

// runTransposed computes cᵀ = bᵀ·aᵀ and transposes it.
func (p *product) runTransposed() {
	p.transposed = Resized(p.transposed, p.c.Rows*p.c.Cols)
	cT := RowMajor(p.transposed, p.c.Cols, p.c.Rows)
	runProduct(cT, p.b.T(), p.a.T(), nil, false)
	packTile(p.c.Data, p.c.RowStride, cT)
}

// runRow computes the first columns of a single row, if the kernel has a function for it, and returns their number.
func (p *product) runRow() (columns int) {
	width := p.rowWidth()
	for ; width > 0 && columns+width <= p.c.Cols; columns += width {
		p.startRows(0, 1, columns, columns+width)
		for k := 0; k < p.a.Cols; k += depthBlock {
			depth, a, b, c := min(depthBlock, p.a.Cols-k), p.a.from(0, k), p.b.from(k, columns), p.c.from(0, columns)
			if p.b.ColStride == 1 {
				kern.row(depth, a, p.a.ColStride, b, p.b.RowStride, c, p.accumulate || k > 0)
			} else {
				kern.rowTransposed(depth, a, b, p.b.ColStride, c, p.accumulate || k > 0)
			}
		}
	}
	return columns
}

// rowWidth returns how many columns the kernel's function for a single row computes at a time; 0: it has none.
func (p *product) rowWidth() int {
	switch {
	case p.c.Rows != 1 || kern.row == nil:
		return 0
	case p.b.ColStride == 1:
		return kern.rowCols
	case p.b.RowStride == 1 && p.a.ColStride == 1 && p.a.Cols%kern.lanes == 0:
		return kern.lanes
	}
	return 0
}

// runBlock adds the terms of the inner indices k0..k1 to columns j0..j1 of c.
func (p *product) runBlock(j0, j1, k0, k1 int) {
	inPlace := p.b.ColStride == 1 && p.c.Rows <= inPlaceRows
	p.packBlock(j0, j1, k0, k1, inPlace)
	depth, M := k1-k0, p.c.Rows
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
				b, bRow = p.b.from(k0, j), p.b.RowStride
			}
			kern.tile(depth, a, aRow, aCol, b, bRow, p.c.from(lo, j), p.c.RowStride, hi-lo, n, p.accumulate || k0 > 0)
		}
	}
}

// startRows sets rows lo..hi, columns j0..j1 of c to the bias, just before the first product is added to them.
func (p *product) startRows(lo, hi, j0, j1 int) {
	if p.bias == nil {
		return
	}
	for i := lo; i < hi; i++ {
		copy(p.c.from(i, j0), p.bias[j0:j1])
	}
}

// runEmpty computes a product with no inner index: every sum is 0.
func (p *product) runEmpty() {
	p.startRows(0, p.c.Rows, 0, p.c.Cols)
	if !p.accumulate {
		p.c.clear()
	}
}

// packBlock copies rows k0..k1, columns j0..j1 of b to packedB, tile after tile. When b is read in place, it copies
// only a last tile that is narrower than the others.
func (p *product) packBlock(j0, j1, k0, k1 int, inPlace bool) {
	w := kern.cols
	p.packedB = Resized(p.packedB, (j1-j0+w)*(k1-k0)+w)
	for j := j0; j < j1; j += w {
		if n := min(w, j1-j); n < w || !inPlace {
			packTile(p.packedB[(j-j0)*(k1-k0):], w, p.b.ColsFrom(j, j+n).RowsFrom(k0, k1).T())
		}
	}
}

// packRows returns rows lo..hi, columns k0..k1 of a and their strides. It copies them to packedA when they are used
// often and would evict each other from the cache.
func (p *product) packRows(lo, hi, k0, k1, uses int) (a []float32, aRow, aCol int) {
	if p.a.RowStride%cacheWay != 0 || uses < packUses {
		return p.a.from(lo, k0), p.a.RowStride, p.a.ColStride
	}
	w := hi - lo
	p.packedA = Resized(p.packedA, (w+1)*(k1-k0)+16) // interleave may write up to 15 numbers behind the last
	packTile(p.packedA, w, p.a.RowsFrom(lo, hi).ColsFrom(k0, k1))
	return p.packedA, 1, w
}

// packTile: for i < src.Rows, t < src.Cols { dst[t·width + i] = src(i, t) }.
func packTile(dst []float32, width int, src Matrix) {
	switch {
	case src.RowStride == 1 && kern.copyTile != nil && src.Rows == kern.cols && width == kern.cols:
		kern.copyTile(dst, src.Data, src.ColStride, src.Cols)
	case src.RowStride == 1:
		for t := range src.Cols {
			copy(dst[t*width:t*width+src.Rows], src.from(0, t))
		}
	case src.ColStride == 1:
		for i := 0; i < src.Rows; i += kern.group {
			kern.interleave(dst[i:], width, src.from(i, 0), src.RowStride, min(kern.group, src.Rows-i), src.Cols)
		}
	default:
		for t := range src.Cols {
			for i := range src.Rows {
				dst[t*width+i] = src.Data[i*src.RowStride+t*src.ColStride]
			}
		}
	}
}

// idleProducts keeps products, with their memory, for the next call.
var idleProducts [64]atomic.Pointer[product]

// newProduct returns the product c = a·b, or cᵀ = bᵀ·aᵀ where the columns of c do not lie side by side: run needs that.
func newProduct(c, a, b Matrix, bias []float32, accumulate bool) *product {
	if c.ColStride != 1 {
		c, a, b = c.T(), b.T(), a.T()
	}
	p := reusedProduct()
	p.c, p.a, p.b, p.bias, p.accumulate = c, a, b, bias, accumulate
	return p
}

// reusedProduct returns an idle product with its memory, or a new one.
func reusedProduct() *product {
	for i := range idleProducts {
		if p := idleProducts[i].Swap(nil); p != nil {
			return p
		}
	}
	return new(product)
}

// recycle keeps p for reusedProduct, unless idleProducts is full.
func (p *product) recycle() {
	p.c, p.a, p.b, p.bias = Matrix{}, Matrix{}, Matrix{}, nil
	for i := range idleProducts {
		if idleProducts[i].CompareAndSwap(nil, p) {
			return
		}
	}
}
