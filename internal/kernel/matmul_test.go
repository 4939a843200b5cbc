package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func (m Matrix) at(i, j int) *float32 { return &m.Data[i*m.RowStride+j*m.ColStride] }

func (m Matrix) clone() Matrix {
	m.Data = slices.Clone(m.Data)
	return m
}

// requireProduct requires that c is a·b, plus before when accumulate is set, as computed in float64. The error of a
// chain of k roundings is at most k units of the last place, 2^-24, of Σ|a||b|. Nothing else may change.
func requireProduct(t *testing.T, c, before, a, b Matrix, accumulate bool) {
	want := slices.Clone(before.Data)
	for i := range c.Rows {
		for j := range c.Cols {
			var s, bound float64
			if accumulate {
				s = float64(*before.at(i, j))
				bound = math.Abs(s)
			}
			for k := range a.Cols {
				p := float64(*a.at(i, k)) * float64(*b.at(k, j))
				s += p
				bound += math.Abs(p)
			}
			got := *c.at(i, j)
			tolerance := 0x1p-24 * float64(a.Cols+2) * bound
			require.InDelta(t, s, got, tolerance, "c[%d,%d], %d·%d·%d", i, j, c.Rows, a.Cols, c.Cols)
			want[i*c.RowStride+j*c.ColStride] = got
		}
	}
	requireEqualBits(t, want, c.Data)
}

// requireRandomProduct runs one product of random operands.
func requireRandomProduct(t *testing.T, rng *rand.Rand, m, k, n int, multiply func(c, a, b Matrix), accumulate bool) {
	a, b := randomView(rng, m, k, rng.IntN(layouts)), randomView(rng, k, n, rng.IntN(layouts))
	c := randomView(rng, m, n, rng.IntN(layoutSparse))
	before, a0, b0 := c.clone(), a.clone(), b.clone()
	multiply(c, a, b)
	requireProduct(t, c, before, a, b, accumulate)
	requireEqualBits(t, a0.Data, a.Data)
	requireEqualBits(t, b0.Data, b.Data)
}

func TestProduct_OfEverySmallSize(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for size := range 71 {
			x, y := rng.IntN(71), rng.IntN(71)
			requireRandomProduct(t, rng, size, x, y, MatMul, false)
			requireRandomProduct(t, rng, x, size, y, SerialMatMulAdd, true)
			requireRandomProduct(t, rng, x, y, size, SerialMatMul, false)
			requireRandomProduct(t, rng, size, size, rng.IntN(20), MatMulAdd, true)
		}
	})
}

func TestProduct_AcrossBlocks(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, s := range [][3]int{
			{3, 2*depthBlock + 5, 67}, {1, 40, 2*columnBlock + 33}, {inPlaceRows + 1, depthBlock + 1, 70},
		} {
			requireRandomProduct(t, rng, s[0], s[1], s[2], MatMul, false)
			requireRandomProduct(t, rng, s[0], s[1], s[2], MatMulAdd, true)
		}
	})
}

func TestBias_IsTheStartOfEveryRow(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 5))
		for _, s := range [][3]int{
			{0, 3, 4}, {3, 0, 4}, {1, 5, 700}, {1, depthBlock + 1, 300}, {70, 33, 65},
			{200, depthBlock + 3, columnBlock + 9}, {40, 9, 600},
		} {
			M, K, N := s[0], s[1], s[2]
			a, b := randomView(rng, M, K, rng.IntN(layouts)), randomView(rng, K, N, rng.IntN(layouts))
			got, bias := randomView(rng, M, N, layoutGap), randomNumbers(rng, N)
			want := got.clone()
			for i := range M {
				copy(want.from(i, 0)[:N], bias)
			}
			MatMulAdd(want, a, b)
			MatMulBias(got, a, b, bias)
			requireEqualBits(t, want.Data, got.Data)
		}
	})
}

// Rows at a distance of 4 KiB are copied, others are read in place. The bits are the same.
func TestProduct_CopiesRowsThatShareACacheSet(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const M, K, N = 31, 53, packUses + 7
		rng := rand.New(rand.NewPCG(9, 10))
		wide := RowMajor(randomNumbers(rng, M*2*cacheWay), M, 2*cacheWay).ColsFrom(11, 11+K)
		near := RowMajor(make([]float32, M*K), M, K)
		copyElements(near, wide)
		b := randomView(rng, K, N, layoutPlain)
		c, same := RowMajor(make([]float32, M*N), M, N), RowMajor(make([]float32, M*N), M, N)
		before := c.clone()
		SerialMatMul(c, wide, b)
		requireProduct(t, c, before, wide, b, false)
		SerialMatMul(same, near, b)
		requireEqualBits(t, same.Data, c.Data)
	})
}

// interleave may write whole groups of numbers behind a copied panel. The buffer for the copy has space for them, so
// that the numbers behind it stay as they were. With one row more than a tile, up to two tiles, the rows are two
// panels, and the second is the larger one.
func TestProduct_CopiedRowsStayInTheirBuffer(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const K, N = 53, packUses + 7
		rng := rand.New(rand.NewPCG(11, 12))
		for M := kern.rows + 1; M <= 2*kern.rows; M++ {
			wide := RowMajor(randomNumbers(rng, M*cacheWay), M, cacheWay).ColsFrom(11, 11+K)
			b, c := randomView(rng, K, N, layoutPlain), RowMajor(make([]float32, M*N), M, N)
			before, panel := c.clone(), (M+1)/2*K
			buffer := randomNumbers(rng, panel+64)
			guards := slices.Clone(buffer[panel:])
			p := newProduct(c, wide, b, nil, false)
			p.packedA = buffer[:0:panel]
			p.run()
			require.NotEmpty(t, p.packedA, "the rows were copied")
			p.packedA = nil
			p.recycle()
			requireProduct(t, c, before, wide, b, false)
			requireEqualBits(t, guards, buffer[panel:])
		}
	})
}

// One row alone, operands with other strides, any number of threads: the bits are always the same.
func TestProduct_BitsDependOnOneRowAndOneColumnOnly(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const M, K, N = 83, depthBlock + 44, 300
		rng := rand.New(rand.NewPCG(5, 6))
		a, b := randomView(rng, M, K, layoutPlain), randomView(rng, K, N, layoutPlain)
		want := RowMajor(make([]float32, M*N), M, N)
		SerialMatMul(want, a, b)

		got := RowMajor(make([]float32, M*N), M, N)
		for _, n := range []int{1, 2, 3, 7} {
			usingThreads(n, func() {
				clear(got.Data)
				MatMul(got, a, b)
				requireEqualBits(t, want.Data, got.Data)
				transposed := RowMajor(make([]float32, M*N), N, M)
				MatMul(transposed.T(), a, b)
				clear(got.Data)
				copyElements(got, transposed.T())
				requireEqualBits(t, want.Data, got.Data)
			})
		}
		for _, layout := range []int{layoutGap, layoutTransposed, layoutSparse} {
			a2, b2 := randomView(rng, M, K, layout), randomView(rng, K, N, layout)
			copyElements(a2, a)
			copyElements(b2, b)
			for _, rows := range []int{1, 2, 5, 40} {
				clear(got.Data)
				for i := 0; i < M; i += rows {
					hi := min(i+rows, M)
					SerialMatMul(got.RowsFrom(i, hi), a2.RowsFrom(i, hi), b2)
				}
				requireEqualBits(t, want.Data, got.Data)
			}
		}
	})
}

// One row and a few rows have functions of their own, which read b in place. Their bits are those of rows among many.
func TestProduct_FewRowsHaveTheBitsOfRowsAmongMany(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 7))
		for _, K := range []int{1, 16, 48, depthBlock, depthBlock + 16, 2*depthBlock + 5} {
			for _, N := range []int{15, 16, 33, 192, 421} {
				for _, layout := range []int{layoutPlain, layoutGap, layoutTransposed, layoutTransposedGap} {
					a, b := randomView(rng, 40, K, layoutPlain), randomView(rng, K, N, layout)
					want, bias := randomView(rng, 40, N, layoutGap), randomNumbers(rng, N)
					got := want.clone()
					MatMul(want, a, b)
					for _, rows := range []int{1, 2, 3, 16, 32} {
						MatMul(got.RowsFrom(40-rows, 40), a.RowsFrom(40-rows, 40), b)
						requireEqualBits(t, want.from(40-rows, 0), got.from(40-rows, 0))
					}
					MatMulBias(want, a, b, bias)
					MatMulAdd(want, a, b)
					MatMulBias(got.RowsFrom(0, 1), a.RowsFrom(0, 1), b, bias)
					MatMulAdd(got.RowsFrom(0, 1), a.RowsFrom(0, 1), b)
					requireEqualBits(t, want.Data[:N], got.Data[:N])
				}
			}
		}
	})
}

func copyElements(dst, src Matrix) {
	for i := range src.Rows {
		for j := range src.Cols {
			*dst.at(i, j) = *src.at(i, j)
		}
	}
}

func TestProduct_KeepsNaNInfinityAndSubnormals(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const M, K, N = 17, 20, 35
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		rng := rand.New(rand.NewPCG(7, 8))
		for _, special := range []float32{nan, inf} {
			for i := range M {
				a, b := randomView(rng, M, K, layoutPlain), randomView(rng, K, N, rng.IntN(layouts))
				c := randomView(rng, M, N, layoutPlain)
				*a.at(i, i%K) = special
				MatMul(c, a, b)
				for r := range M {
					for j := range N {
						v := float64(*c.at(r, j))
						require.Equal(t, r == i, math.IsNaN(v) || math.IsInf(v, 0), "row %d with %v in row %d", r, special, i)
					}
				}
			}
		}
		c := RowMajor([]float32{nan}, 1, 1)
		MatMul(c, RowMajor([]float32{0x1p-149}, 1, 1), RowMajor([]float32{3}, 1, 1))
		require.Equal(t, float32(3*0x1p-149), c.Data[0], "a subnormal number stays, and the old value of c has no effect")
		MatMul(c, RowMajor([]float32{inf}, 1, 1), RowMajor([]float32{0}, 1, 1))
		require.True(t, c.Data[0] != c.Data[0], "Inf·0 is NaN")
	})
}

func TestProduct_DoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	a, b := randomView(rng, 70, 60, layoutPlain), randomView(rng, 80, 60, layoutPlain)
	c := randomView(rng, 70, 80, layoutPlain)
	require.Zero(t, testing.AllocsPerRun(100, func() { SerialMatMul(c, a, b.T()) }))
	usingThreads(2, func() {
		for range 100 { // until each thread has its memory
			MatMul(c, a, b.T())
		}
		require.Zero(t, testing.AllocsPerRun(100, func() { MatMul(c, a, b.T()) }))
	})
}
