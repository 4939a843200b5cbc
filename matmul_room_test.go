package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// interleave may write whole groups of numbers behind a copied panel: the room for the copy holds them, so that the memory behind
// it stays as it was. With one row more than a tile, up to two tiles, the rows are two panels, the second the larger one.
func TestProducts_CopiedRowsStayInTheirRoom(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		const K, N = 53, packUses + 7
		rng := rand.New(rand.NewPCG(11, 12))
		for M := kern.rows + 1; M <= 2*kern.rows; M++ {
			wide := rowMajor(randomFloats(rng, M*cacheWay), M, cacheWay).colsFrom(11, 11+K)
			b, c := randomView(rng, K, N, layoutPlain), rowMajor(make([]float32, M*N), M, N)
			before, panel := c.clone(), (M+1)/2*K
			room := randomFloats(rng, panel+64)
			guards := slices.Clone(room[panel:])
			p := takeProduct(c, wide, b, nil, false)
			p.packedA = room[:0:panel]
			p.run()
			require.NotEmpty(t, p.packedA, "the rows were copied")
			p.packedA = nil
			p.release()
			requireProduct(t, c, before, wide, b, false)
			requireSameBits(t, guards, room[panel:])
		}
	})
}
