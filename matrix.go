package main

// matrix is a view of float32 numbers: element (i, j) is data[i*rowStride + j*colStride].
type matrix struct {
	data                 []float32
	rows, cols           int
	rowStride, colStride int // in elements
}

// rowMajor views the first rows·cols numbers of data as a matrix whose rows follow one another.
func rowMajor(data []float32, rows, cols int) matrix {
	if rows < 0 || cols < 0 || len(data) < rows*cols {
		panic("rowMajor: len(data) < rows*cols")
	}
	return matrix{data, rows, cols, cols, 1}
}

// T returns the transposed view.
func (m matrix) T() matrix {
	return matrix{m.data, m.cols, m.rows, m.colStride, m.rowStride}
}

// rowsFrom returns the view of rows lo..hi, hi excluded.
func (m matrix) rowsFrom(lo, hi int) matrix {
	if lo < 0 || lo > hi || hi > m.rows {
		panic("matrix: rows out of range")
	}
	return matrix{m.from(lo, 0), hi - lo, m.cols, m.rowStride, m.colStride}
}

// colsFrom returns the view of columns lo..hi, hi excluded.
func (m matrix) colsFrom(lo, hi int) matrix {
	if lo < 0 || lo > hi || hi > m.cols {
		panic("matrix: columns out of range")
	}
	return matrix{m.from(0, lo), m.rows, hi - lo, m.rowStride, m.colStride}
}

// from returns the data from element (i, j) on; nothing when that lies behind the last element.
func (m matrix) from(i, j int) []float32 {
	return m.data[min(i*m.rowStride+j*m.colStride, len(m.data)):]
}

// check panics unless every element of the view lies inside its data.
func (m matrix) check() {
	if m.rows < 0 || m.cols < 0 || m.rowStride < 0 || m.colStride < 0 {
		panic("matmul: negative size or stride")
	}
	if m.rows > 0 && m.cols > 0 && (m.rows-1)*m.rowStride+(m.cols-1)*m.colStride >= len(m.data) {
		panic("matmul: a view reaches beyond its data")
	}
}
