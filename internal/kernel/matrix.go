package kernel

import "fmt"

// Matrix is a view of float32 numbers: element (i, j) is Data[i·RowStride + j·ColStride]. A view shares the memory of
// the slice that it was made from.
type Matrix struct {
	Data                 []float32
	Rows, Cols           int
	RowStride, ColStride int // in elements
}

// RowMajor views the first rows·cols numbers of data as a matrix whose rows follow one another.
func RowMajor(data []float32, rows, cols int) Matrix {
	if rows < 0 || cols < 0 || len(data) < rows*cols {
		panic("kernel.RowMajor: len(data) < rows*cols")
	}
	return Matrix{data, rows, cols, cols, 1}
}

// T returns the transposed view.
func (m Matrix) T() Matrix {
	return Matrix{m.Data, m.Cols, m.Rows, m.ColStride, m.RowStride}
}

// RowsFrom returns the view of rows lo … hi, hi excluded.
func (m Matrix) RowsFrom(lo, hi int) Matrix {
	if lo < 0 || lo > hi || hi > m.Rows {
		panic("kernel.Matrix.RowsFrom: rows out of range")
	}
	return Matrix{m.from(lo, 0), hi - lo, m.Cols, m.RowStride, m.ColStride}
}

// ColsFrom returns the view of columns lo … hi, hi excluded.
func (m Matrix) ColsFrom(lo, hi int) Matrix {
	if lo < 0 || lo > hi || hi > m.Cols {
		panic("kernel.Matrix.ColsFrom: columns out of range")
	}
	return Matrix{m.from(0, lo), m.Rows, hi - lo, m.RowStride, m.ColStride}
}

// from returns the data from element (i, j) on. It is empty when the element lies behind the end of the data.
func (m Matrix) from(i, j int) []float32 {
	return m.Data[min(i*m.RowStride+j*m.ColStride, len(m.Data)):]
}

// clear sets every element of m, whose columns lie side by side, to 0.
func (m Matrix) clear() {
	for i := range m.Rows {
		clear(m.from(i, 0)[:m.Cols])
	}
}

// Resized returns a slice of n elements. It uses the memory of buf when that is large enough, and allocates otherwise.
// The elements have no defined values.
func Resized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

// The products. Each is defined by a plain loop; parallelProduct and serialProduct (matmul.go) compute the same faster.
// c must not overlap a or b, and its elements must lie side by side along its rows or along its columns. The views a
// and b may have any strides.

// MatMul computes c = a·b with all threads:
//
//	for i := range c.Rows {
//		for j := range c.Cols {
//			s := 0
//			for k := range a.Cols {
//				s += a(i,k) · b(k,j)
//			}
//			c(i,j) = s
//		}
//	}
func MatMul(c, a, b Matrix) { parallelProduct("kernel.MatMul", c, a, b, nil, false) }

// MatMulAdd computes c += a·b with all threads: MatMul with c(i,j) += s.
func MatMulAdd(c, a, b Matrix) { parallelProduct("kernel.MatMulAdd", c, a, b, nil, true) }

// MatMulBias computes c = a·b + bias with all threads: MatMul with c(i,j) = bias[j] + s. The elements of c must lie
// side by side along its rows.
func MatMulBias(c, a, b Matrix, bias []float32) {
	if len(bias) != c.Cols {
		panic(fmt.Sprintf("kernel.MatMulBias: %d biases for %d columns of c", len(bias), c.Cols))
	}
	if c.ColStride != 1 {
		panic("kernel.MatMulBias: c needs a stride of 1 along its rows")
	}
	parallelProduct("kernel.MatMulBias", c, a, b, bias, true)
}

// SerialMatMul computes c = a·b on the calling thread.
func SerialMatMul(c, a, b Matrix) { serialProduct("kernel.SerialMatMul", c, a, b, nil, false) }

// SerialMatMulAdd computes c += a·b on the calling thread.
func SerialMatMulAdd(c, a, b Matrix) { serialProduct("kernel.SerialMatMulAdd", c, a, b, nil, true) }

// checkProduct panics when c = a·b cannot be computed. The message names the function that the program called.
func checkProduct(function string, c, a, b Matrix) {
	if c.Rows != a.Rows || c.Cols != b.Cols || a.Cols != b.Rows {
		panic(fmt.Sprintf("%s: shapes do not fit: c %d×%d, a %d×%d, b %d×%d",
			function, c.Rows, c.Cols, a.Rows, a.Cols, b.Rows, b.Cols))
	}
	c.check(function)
	a.check(function)
	b.check(function)
	if c.ColStride != 1 {
		c = c.T()
	}
	if c.ColStride != 1 || c.Rows > 1 && c.RowStride < c.Cols {
		panic(function + ": c needs a stride of 1, and rows that do not overlap")
	}
}

// check panics unless every element of the view lies inside its data.
func (m Matrix) check(function string) {
	if m.Rows < 0 || m.Cols < 0 || m.RowStride < 0 || m.ColStride < 0 {
		panic(function + ": negative size or stride")
	}
	if m.Rows > 0 && m.Cols > 0 && (m.Rows-1)*m.RowStride+(m.Cols-1)*m.ColStride >= len(m.Data) {
		panic(function + ": a view reaches beyond its data")
	}
}
