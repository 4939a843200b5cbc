package kernel

// The portable twins of tile and interleave. Each product is rounded before it is added, float32(x*y): a compiler may
// fuse the two operations in one loop and not in another, and the elements of a tile would differ in their bits.

// tileGeneric keeps tiles of 1 or 2 rows by 4 columns in registers. It computes narrower ones element by element.
func tileGeneric(
	k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool,
) {
	switch {
	case m == 2 && n == 4:
		wholeTileGeneric(k, a, aRow, aCol, b, bRow, c, cRow, accumulate)
		return
	case m == 1 && n == 4:
		rowTileGeneric(k, a, aCol, b, bRow, c, accumulate)
		return
	}
	for i := range m {
		for j := range n {
			var s float32
			for t := range k {
				s += float32(a[i*aRow+t*aCol] * b[t*bRow+j])
			}
			if accumulate {
				s += c[i*cRow+j]
			}
			c[i*cRow+j] = s
		}
	}
}

// wholeTileGeneric: tile for m = 2 and n = 4.
func wholeTileGeneric(
	k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow int, accumulate bool,
) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for t := range k {
		x0, x1 := a[t*aCol], a[t*aCol+aRow]
		y := b[t*bRow : t*bRow+4 : t*bRow+4]
		s00 += float32(x0 * y[0])
		s01 += float32(x0 * y[1])
		s02 += float32(x0 * y[2])
		s03 += float32(x0 * y[3])
		s10 += float32(x1 * y[0])
		s11 += float32(x1 * y[1])
		s12 += float32(x1 * y[2])
		s13 += float32(x1 * y[3])
	}
	storeRow4(c, s00, s01, s02, s03, accumulate)
	storeRow4(c[cRow:], s10, s11, s12, s13, accumulate)
}

// rowTileGeneric: tile for m = 1 and n = 4.
func rowTileGeneric(k int, a []float32, aCol int, b []float32, bRow int, c []float32, accumulate bool) {
	var s0, s1, s2, s3 float32
	for t := range k {
		x := a[t*aCol]
		y := b[t*bRow : t*bRow+4 : t*bRow+4]
		s0 += float32(x * y[0])
		s1 += float32(x * y[1])
		s2 += float32(x * y[2])
		s3 += float32(x * y[3])
	}
	storeRow4(c, s0, s1, s2, s3, accumulate)
}

// storeRow4 writes four sums to c, or adds them to c when accumulate is set.
func storeRow4(c []float32, s0, s1, s2, s3 float32, accumulate bool) {
	if accumulate {
		s0, s1, s2, s3 = s0+c[0], s1+c[1], s2+c[2], s3+c[3]
	}
	c[0], c[1], c[2], c[3] = s0, s1, s2, s3
}

// interleaveGeneric: for t < k, i < rows { dst[t·width + i] = src[i·stride + t] }.
func interleaveGeneric(dst []float32, width int, src []float32, stride, rows, k int) {
	for i := range rows {
		row := src[i*stride:]
		for t, v := range row[:k] {
			dst[t*width+i] = v
		}
	}
}
