package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// onEachKernel runs f once for every kernel of this machine.
func onEachKernel(t *testing.T, f func(t *testing.T)) {
	defer func(k *kernel) { kern = k }(kern)
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) {
			require.NoError(t, selectKernel(k.name))
			f(t)
		})
	}
}

func randomFloats(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	return s
}

// The layouts of a view: rows one after another, with an odd gap, transposed, transposed with a gap, and no stride of 1.
const (
	layoutPlain = iota
	layoutGap
	layoutTransposed
	layoutTransposedGap
	layoutSparse
	layouts
)

// randomView returns a random matrix in the given layout. The numbers around its elements are random too: guards.
func randomView(rng *rand.Rand, rows, cols, layout int) matrix {
	switch layout {
	case layoutTransposed, layoutTransposedGap:
		return randomView(rng, cols, rows, layout-layoutTransposed).T()
	case layoutGap:
		return matrix{randomFloats(rng, rows*(cols+7)+5)[3:], rows, cols, cols + 7, 1}
	case layoutSparse:
		return matrix{randomFloats(rng, rows*(3*cols+1)+1), rows, cols, 3*cols + 1, 3}
	}
	return rowMajor(randomFloats(rng, rows*cols), rows, cols)
}

func (m matrix) at(i, j int) *float32 { return &m.data[i*m.rowStride+j*m.colStride] }

func (m matrix) clone() matrix {
	m.data = slices.Clone(m.data)
	return m
}

// requireProduct checks c against a·b, plus before when c was added to, in float64. The error of a chain of k roundings is at most
// k units of the last place, 2^-24, of Σ|a||b|; everything outside the view must be as before.
func requireProduct(t *testing.T, c, before, a, b matrix, accumulate bool) {
	want := slices.Clone(before.data)
	for i := range c.rows {
		for j := range c.cols {
			var s, bound float64
			if accumulate {
				s = float64(*before.at(i, j))
				bound = math.Abs(s)
			}
			for k := range a.cols {
				p := float64(*a.at(i, k)) * float64(*b.at(k, j))
				s += p
				bound += math.Abs(p)
			}
			got := *c.at(i, j)
			require.InDelta(t, s, got, 0x1p-24*float64(a.cols+2)*bound, "c[%d,%d], %d·%d·%d", i, j, c.rows, a.cols, c.cols)
			want[i*c.rowStride+j*c.colStride] = got
		}
	}
	requireSameBits(t, want, c.data)
}

func requireSameBits(t *testing.T, want, got []float32) {
	require.Len(t, got, len(want))
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "[%d]: %x, want %x", i, got[i], want[i])
		}
	}
}

// checkProduct runs one product of random operands.
func checkProduct(t *testing.T, rng *rand.Rand, m, k, n int, multiply func(c, a, b matrix), accumulate bool) {
	a, b := randomView(rng, m, k, rng.IntN(layouts)), randomView(rng, k, n, rng.IntN(layouts))
	c := randomView(rng, m, n, rng.IntN(layoutSparse))
	before, a0, b0 := c.clone(), a.clone(), b.clone()
	multiply(c, a, b)
	requireProduct(t, c, before, a, b, accumulate)
	requireSameBits(t, a0.data, a.data)
	requireSameBits(t, b0.data, b.data)
}

func TestProductsOfEverySmallSize(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for size := range 71 {
			x, y := rng.IntN(71), rng.IntN(71)
			checkProduct(t, rng, size, x, y, matmul, false)
			checkProduct(t, rng, x, size, y, serialMatmulAdd, true)
			checkProduct(t, rng, x, y, size, serialMatmul, false)
			checkProduct(t, rng, size, size, rng.IntN(20), matmulAdd, true)
		}
	})
}

func TestProductsAcrossBlocks(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, s := range [][3]int{{3, 2*depthBlock + 5, 67}, {1, 40, 2*columnBlock + 33}, {inPlaceRows + 1, depthBlock + 1, 70}} {
			checkProduct(t, rng, s[0], s[1], s[2], matmul, false)
			checkProduct(t, rng, s[0], s[1], s[2], matmulAdd, true)
		}
	})
}

func TestABiasIsTheStartOfEveryRow(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 5))
		for _, s := range [][3]int{{0, 3, 4}, {3, 0, 4}, {1, 5, 700}, {1, depthBlock + 1, 300}, {70, 33, 65}, {200, depthBlock + 3, columnBlock + 9}, {40, 9, 600}} {
			M, K, N := s[0], s[1], s[2]
			a, b := randomView(rng, M, K, rng.IntN(layouts)), randomView(rng, K, N, rng.IntN(layouts))
			got, bias := randomView(rng, M, N, layoutGap), randomFloats(rng, N)
			want := got.clone()
			for i := range M {
				copy(want.from(i, 0)[:N], bias)
			}
			matmulAdd(want, a, b)
			matmulBias(got, a, b, bias)
			requireSameBits(t, want.data, got.data)
		}
	})
}

// Rows at a distance of 4 KiB are copied, others are read in place: the same bits.
func TestRowsThatShareACacheSetAreCopied(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		const M, K, N = 31, 53, packUses + 7
		rng := rand.New(rand.NewPCG(9, 10))
		wide := rowMajor(randomFloats(rng, M*2*cacheWay), M, 2*cacheWay).colsFrom(11, 11+K)
		near := rowMajor(make([]float32, M*K), M, K)
		copyElements(near, wide)
		b := randomView(rng, K, N, layoutPlain)
		c, same := rowMajor(make([]float32, M*N), M, N), rowMajor(make([]float32, M*N), M, N)
		before := c.clone()
		serialMatmul(c, wide, b)
		requireProduct(t, c, before, wide, b, false)
		serialMatmul(same, near, b)
		requireSameBits(t, same.data, c.data)
	})
}

// One row alone, copied operands of other strides and any number of threads: always the same bits.
func TestBitsDependOnOneRowAndOneColumnOnly(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		const M, K, N = 83, depthBlock + 44, 300
		rng := rand.New(rand.NewPCG(5, 6))
		a, b := randomView(rng, M, K, layoutPlain), randomView(rng, K, N, layoutPlain)
		want := rowMajor(make([]float32, M*N), M, N)
		serialMatmul(want, a, b)

		got := rowMajor(make([]float32, M*N), M, N)
		for _, n := range []int{1, 2, 3, 7} {
			withThreads(n, func() {
				clear(got.data)
				matmul(got, a, b)
				requireSameBits(t, want.data, got.data)
				transposed := rowMajor(make([]float32, M*N), N, M)
				matmul(transposed.T(), a, b)
				clear(got.data)
				copyElements(got, transposed.T())
				requireSameBits(t, want.data, got.data)
			})
		}
		for _, layout := range []int{layoutGap, layoutTransposed, layoutSparse} {
			a2, b2 := randomView(rng, M, K, layout), randomView(rng, K, N, layout)
			copyElements(a2, a)
			copyElements(b2, b)
			for _, rows := range []int{1, 2, 5, 40} {
				clear(got.data)
				for i := 0; i < M; i += rows {
					hi := min(i+rows, M)
					serialMatmul(got.rowsFrom(i, hi), a2.rowsFrom(i, hi), b2)
				}
				requireSameBits(t, want.data, got.data)
			}
		}
	})
}

// One row and a few rows have ways of their own, where b is read as it lies: the bits of rows among many.
func TestFewRowsHaveTheBitsOfRowsAmongMany(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 7))
		for _, K := range []int{1, 16, 48, depthBlock, depthBlock + 16, 2*depthBlock + 5} {
			for _, N := range []int{15, 16, 33, 192, 421} {
				for _, layout := range []int{layoutPlain, layoutGap, layoutTransposed, layoutTransposedGap} {
					a, b := randomView(rng, 40, K, layoutPlain), randomView(rng, K, N, layout)
					want, bias := randomView(rng, 40, N, layoutGap), randomFloats(rng, N)
					got := want.clone()
					matmul(want, a, b)
					for _, rows := range []int{1, 2, 3, 16, 32} {
						matmul(got.rowsFrom(40-rows, 40), a.rowsFrom(40-rows, 40), b)
						requireSameBits(t, want.from(40-rows, 0), got.from(40-rows, 0))
					}
					matmulBias(want, a, b, bias)
					matmulAdd(want, a, b)
					matmulBias(got.rowsFrom(0, 1), a.rowsFrom(0, 1), b, bias)
					matmulAdd(got.rowsFrom(0, 1), a.rowsFrom(0, 1), b)
					requireSameBits(t, want.data[:N], got.data[:N])
				}
			}
		}
	})
}

func copyElements(dst, src matrix) {
	for i := range src.rows {
		for j := range src.cols {
			*dst.at(i, j) = *src.at(i, j)
		}
	}
}

func TestProductPassesSpecialValuesOn(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		const M, K, N = 17, 20, 35
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		rng := rand.New(rand.NewPCG(7, 8))
		for _, special := range []float32{nan, inf} {
			for i := range M {
				a, b := randomView(rng, M, K, layoutPlain), randomView(rng, K, N, rng.IntN(layouts))
				c := randomView(rng, M, N, layoutPlain)
				*a.at(i, i%K) = special
				matmul(c, a, b)
				for r := range M {
					for j := range N {
						v := float64(*c.at(r, j))
						require.Equal(t, r == i, math.IsNaN(v) || math.IsInf(v, 0), "row %d with %v in row %d", r, special, i)
					}
				}
			}
		}
		c := rowMajor([]float32{nan}, 1, 1)
		matmul(c, rowMajor([]float32{0x1p-149}, 1, 1), rowMajor([]float32{3}, 1, 1))
		require.Equal(t, float32(3*0x1p-149), c.data[0], "subnormal numbers are not flushed; what c held is overwritten")
		matmul(c, rowMajor([]float32{inf}, 1, 1), rowMajor([]float32{0}, 1, 1))
		require.True(t, c.data[0] != c.data[0], "Inf·0 is NaN")
	})
}

func TestProductDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	a, b := randomView(rng, 70, 60, layoutPlain), randomView(rng, 80, 60, layoutPlain)
	c := randomView(rng, 70, 80, layoutPlain)
	require.Zero(t, testing.AllocsPerRun(100, func() { serialMatmul(c, a, b.T()) }))
	withThreads(2, func() {
		for range 100 { // until each thread has its room
			matmul(c, a, b.T())
		}
		require.Zero(t, testing.AllocsPerRun(100, func() { matmul(c, a, b.T()) }))
	})
}

func TestProductRejectsWrongShapes(t *testing.T) {
	m := func(rows, cols int) matrix { return rowMajor(make([]float32, rows*cols), rows, cols) }
	const shapes = "matmul: shapes of c, a, b do not fit"
	require.PanicsWithValue(t, shapes, func() { matmul(m(2, 3), m(2, 4), m(5, 3)) })
	require.PanicsWithValue(t, shapes, func() { matmul(m(2, 3), m(1, 4), m(4, 3)) })
	require.PanicsWithValue(t, shapes, func() { matmul(m(2, 3), m(2, 4), m(4, 2)) })
	const strides = "matmul: c needs a stride of 1, and rows that do not overlap"
	require.PanicsWithValue(t, strides, func() { matmul(matrix{make([]float32, 9), 2, 2, 4, 2}, m(2, 2), m(2, 2)) })
	require.PanicsWithValue(t, strides, func() { matmul(matrix{make([]float32, 9), 2, 2, 1, 1}, m(2, 2), m(2, 2)) })
	const bias = "matmul: a bias needs the length of c's rows, and a stride of 1 along them"
	require.PanicsWithValue(t, bias, func() { matmulBias(m(2, 3), m(2, 4), m(4, 3), make([]float32, 2)) })
	require.PanicsWithValue(t, bias, func() { matmulBias(m(3, 2).T(), m(2, 4), m(4, 3), make([]float32, 3)) })
	const beyond = "matmul: a view reaches beyond its data"
	require.PanicsWithValue(t, beyond, func() { matmul(m(2, 2), matrix{make([]float32, 3), 2, 2, 2, 1}, m(2, 2)) })
	require.PanicsWithValue(t, "rowMajor: len(data) < rows*cols", func() { rowMajor(make([]float32, 5), 2, 3) })
	require.PanicsWithValue(t, "matrix: rows out of range", func() { m(2, 3).rowsFrom(1, 3) })
	require.PanicsWithValue(t, "matrix: columns out of range", func() { m(2, 3).colsFrom(2, 1) })
}

func TestUnknownKernelIsAnError(t *testing.T) {
	defer func(k *kernel) { kern = k }(kern)
	require.ErrorContains(t, selectKernel("avx1024"), "GOGPT_KERNEL=avx1024: not a kernel of this machine (")
	require.NoError(t, selectKernel("portable"))
	require.Equal(t, "portable", kernelName())
	require.NoError(t, selectKernel(""))
	require.Equal(t, kernels[0].name, kernelName())
}
