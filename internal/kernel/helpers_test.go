package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// eachKernel runs f once with every kernel of this machine.
func eachKernel(t *testing.T, f func(t *testing.T)) {
	defer func(k *kernel) { kern = k }(kern)
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) {
			require.NoError(t, Select(k.name))
			f(t)
		})
	}
}

// usingThreads runs f with n threads and restores their number.
func usingThreads(n int, f func()) {
	defer SetThreads(Threads())
	SetThreads(n)
	f()
}

func randomNumbers(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	return s
}

func requireEqualBits(t *testing.T, want, got []float32) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "[%d]: %x, want %x", i, got[i], want[i])
		}
	}
}

// The layouts of a view: rows one after another, with an odd gap, transposed, transposed with a gap, no stride of 1.
const (
	layoutPlain = iota
	layoutGap
	layoutTransposed
	layoutTransposedGap
	layoutSparse
	layouts
)

// randomView returns a random matrix in the given layout. The numbers around its elements are random too: guards.
func randomView(rng *rand.Rand, rows, cols, layout int) Matrix {
	switch layout {
	case layoutTransposed, layoutTransposedGap:
		return randomView(rng, cols, rows, layout-layoutTransposed).T()
	case layoutGap:
		return Matrix{randomNumbers(rng, rows*(cols+7)+5)[3:], rows, cols, cols + 7, 1}
	case layoutSparse:
		return Matrix{randomNumbers(rng, rows*(3*cols+1)+1), rows, cols, 3*cols + 1, 3}
	}
	return RowMajor(randomNumbers(rng, rows*cols), rows, cols)
}
