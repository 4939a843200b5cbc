package chart

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAxis_TicksAreRoundAndWithinItsRange(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
		want      []string
	}{
		{0, 1, false, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{-0.3, 0.3, false, []string{"-0.3", "-0.2", "-0.1", "0", "0.1", "0.2", "0.3"}},
		{5.51, 7.62, false, []string{"6", "6.5", "7", "7.5"}},
		{0, 1e-4, false, []string{"0", "2e-5", "4e-5", "6e-5", "8e-5", "1e-4"}},
		{1, 500, false, []string{"100", "200", "300", "400", "500"}},
		{150, 2048, true, []string{"200", "500", "1000", "2000"}},
		{1e-8, 1e4, true, []string{"1e-8", "1e-6", "1e-4", "0.01", "1", "100", "10000"}},
	} {
		a := NewAxis([]float64{c.low, c.high}, c.log)
		var got []string
		for _, v := range a.ticks() {
			got = append(got, ShortNumber(v))
		}
		require.Equal(t, c.want, got)
	}
}

func TestAxis_HasARangeForAnyValues(t *testing.T) {
	for _, values := range [][]float64{nil, {3}, {0, 0}, {math.NaN(), math.Inf(1)}, {-1, 0}, {1e17, 1e17 + 16},
		{-1.7e308, 1.7e308}, {5e-324, 1}} {
		for _, log := range []bool{false, true} {
			a := NewAxis(values, log)
			require.Less(t, a.Low, a.High)
			require.Less(t, len(a.ticks()), 20)
		}
	}
}

func TestShortNumber_HasFewDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.23456: "1.235", 12345: "12345", 1e-4: "1e-4", 3e-3: "3e-3",
		0.02: "0.02", 2.5e7: "2.5e7", -0.5: "-0.5", 100: "100", math.Inf(1): "not finite", math.NaN(): "not finite"} {
		require.Equal(t, want, ShortNumber(v))
	}
}
