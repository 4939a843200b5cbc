//go:build !purego

package kernel

// wholeTileNEON: tile for n = neonCols.
//
//go:noescape
func wholeTileNEON(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m int, accumulate bool)

func peakNEON(rounds int)

const neonRows, neonCols = 6, 16

var neonKernel = kernel{
	name: "neon", rows: neonRows, cols: neonCols, lanes: 4, group: neonCols,
	tile: tileNEON, interleave: interleaveGeneric, peak: peakNEON, vectors: &portableVectors,
}

// machineKernels returns the NEON kernel: every arm64 processor can run it.
func machineKernels() []*kernel { return []*kernel{&neonKernel} }

// tileNEON computes a narrow tile as a whole one and copies its first n columns to c.
func tileNEON(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool) {
	if n == neonCols {
		wholeTileNEON(k, a, aRow, aCol, b, bRow, c, cRow, m, accumulate)
		return
	}
	var tile [neonRows * neonCols]float32
	wholeTileNEON(k, a, aRow, aCol, b, bRow, tile[:], neonCols, m, false)
	for i := range m {
		row := tile[i*neonCols:][:n]
		if accumulate {
			addGeneric(c[i*cRow:][:n], c[i*cRow:][:n], row)
		} else {
			copy(c[i*cRow:], row)
		}
	}
}
