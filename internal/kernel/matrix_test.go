package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func zeroMatrix(rows, cols int) Matrix { return RowMajor(make([]float32, rows*cols), rows, cols) }

func TestMatrix_RejectsViewsOutsideTheData(t *testing.T) {
	require.PanicsWithValue(t, "kernel.RowMajor: len(data) < rows*cols", func() { RowMajor(make([]float32, 5), 2, 3) })
	m := zeroMatrix(2, 3)
	require.PanicsWithValue(t, "kernel.Matrix.RowsFrom: rows out of range", func() { m.RowsFrom(1, 3) })
	require.PanicsWithValue(t, "kernel.Matrix.ColsFrom: columns out of range", func() { m.ColsFrom(2, 1) })
	beyond := Matrix{make([]float32, 3), 2, 2, 2, 1}
	require.PanicsWithValue(t, "kernel.MatMul: a view reaches beyond its data",
		func() { MatMul(zeroMatrix(2, 2), beyond, zeroMatrix(2, 2)) })
	negative := Matrix{make([]float32, 4), 2, 2, -2, 1}
	require.PanicsWithValue(t, "kernel.MatMul: negative size or stride",
		func() { MatMul(zeroMatrix(2, 2), zeroMatrix(2, 2), negative) })
}

// The message names the function that the program called, and the shapes.
func TestProduct_RejectsWrongShapes(t *testing.T) {
	c := zeroMatrix(2, 3)
	for name, multiply := range map[string]func(c, a, b Matrix){
		"MatMul": MatMul, "MatMulAdd": MatMulAdd, "SerialMatMul": SerialMatMul, "SerialMatMulAdd": SerialMatMulAdd,
		"MatMulBias": func(c, a, b Matrix) { MatMulBias(c, a, b, make([]float32, 3)) },
	} {
		prefix := "kernel." + name + ": shapes do not fit: c 2×3, "
		require.PanicsWithValue(t, prefix+"a 2×4, b 5×3", func() { multiply(c, zeroMatrix(2, 4), zeroMatrix(5, 3)) })
		require.PanicsWithValue(t, prefix+"a 1×4, b 4×3", func() { multiply(c, zeroMatrix(1, 4), zeroMatrix(4, 3)) })
		require.PanicsWithValue(t, prefix+"a 2×4, b 4×2", func() { multiply(c, zeroMatrix(2, 4), zeroMatrix(4, 2)) })
	}
	const strides = "kernel.MatMul: c needs a stride of 1, and rows that do not overlap"
	for _, c := range []Matrix{{make([]float32, 9), 2, 2, 4, 2}, {make([]float32, 9), 2, 2, 1, 1}} {
		require.PanicsWithValue(t, strides, func() { MatMul(c, zeroMatrix(2, 2), zeroMatrix(2, 2)) })
	}
}

func TestBias_HasOneNumberPerColumn(t *testing.T) {
	a, b := zeroMatrix(2, 4), zeroMatrix(4, 3)
	for n := range 3 {
		require.Panics(t, func() { MatMulBias(zeroMatrix(2, 3), a, b, make([]float32, n)) })
	}
	require.PanicsWithValue(t, "kernel.MatMulBias: 0 biases for 3 columns of c",
		func() { MatMulBias(zeroMatrix(2, 3), a, b, nil) })
	require.PanicsWithValue(t, "kernel.MatMulBias: c needs a stride of 1 along its rows",
		func() { MatMulBias(zeroMatrix(3, 2).T(), a, b, make([]float32, 3)) })
}

func TestResized_UsesTheMemoryOfALargeBuffer(t *testing.T) {
	buf := make([]float32, 4)
	for n := range 5 {
		require.Same(t, &buf[0], &Resized(buf, n)[:1][0])
		require.Len(t, Resized(buf[:0], n), n)
	}
	require.Len(t, Resized(buf, 5), 5)
	require.Len(t, Resized[int](nil, 3), 3)
}
