package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTensor_HalfPrecisionConvertsExactly(t *testing.T) {
	all := make([]byte, 0, 1<<17)
	for h := range 1 << 16 {
		all = binary.LittleEndian.AppendUint16(all, uint16(h))
	}
	// A number is (−1)^sign · 2^exponent · 1.fraction, or 0.fraction at the smallest exponent; the largest is for Inf and
	// NaN.
	for dtype, format := range map[string]struct{ fractionBits, bias int }{"F16": {10, 15}, "BF16": {7, 127}} {
		values, err := readFloats(bytes.NewReader(all), dtype, 1<<16)
		require.NoError(t, err)
		for h, got := range values {
			fractions := 1 << format.fractionBits
			exponent, fraction := h&0x7fff/fractions, h%fractions
			want := math.Ldexp(1+float64(fraction)/float64(fractions), exponent-format.bias)
			switch {
			case exponent == 0:
				want = math.Ldexp(float64(fraction)/float64(fractions), 1-format.bias)
			case exponent == 2*format.bias+1 && fraction == 0:
				want = math.Inf(1)
			case exponent == 2*format.bias+1:
				want = math.NaN()
			}
			if h>>15 == 1 {
				want = -want
			}
			if math.IsNaN(want) {
				require.True(t, math.IsNaN(float64(got)), "%s %#04x", dtype, h)
				require.Equal(t, h>>15 == 1, math.Signbit(float64(got)))
				continue
			}
			require.Equal(t, math.Float64bits(want), math.Float64bits(float64(got)), "%s %#04x", dtype, h)
		}
	}
}
