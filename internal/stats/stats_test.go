package stats

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFinite_ExcludesNaNAndInfinities(t *testing.T) {
	for x, want := range map[float64]bool{0: true, -1.5: true, math.MaxFloat64: true, math.SmallestNonzeroFloat64: true,
		math.NaN(): false, math.Inf(1): false, math.Inf(-1): false} {
		require.Equal(t, want, Finite(x), "%g", x)
	}
}

func TestMedian_IsTheMiddleOrTheUpperOfTheMiddleTwo(t *testing.T) {
	require.Equal(t, 7.0, Median([]float64{7}))
	require.Equal(t, 2.0, Median([]float64{9, 1, 2}))
	require.Equal(t, 3.0, Median([]float64{4, 1, 3, 2}))
	values := []float64{3, 1, 2}
	Median(values)
	require.Equal(t, []float64{1, 2, 3}, values, "sorted in place")
	require.Panics(t, func() { Median(nil) })
}

func TestMeanSpread_IsThatOfASample(t *testing.T) {
	m := NewMeanSpread([]float64{1, 2, 3, 4})
	require.InDelta(t, 2.5, float64(m.Mean), 1e-12)
	require.InDelta(t, math.Sqrt(5.0/3), float64(m.Spread), 1e-12)
	require.True(t, math.IsNaN(float64(NewMeanSpread([]float64{1}).Spread)), "one value has no spread")
	none := NewMeanSpread(nil)
	require.True(t, math.IsNaN(float64(none.Mean)) && math.IsNaN(float64(none.Spread)))
}

func TestMeanSpread_IsShownAsFarAsItIsKnown(t *testing.T) {
	m := NewMeanSpread([]float64{1, 2, 3, 4})
	require.Equal(t, "2.50 ± 1.29", m.Text(2))
	require.Equal(t, "2 ± 1", m.Text(0))
	require.Equal(t, "1.5", NewMeanSpread([]float64{1.5}).Text(1))
	require.Equal(t, "–", NewMeanSpread(nil).Text(2))
	require.Equal(t, "–", NewMeanSpread([]float64{1, math.Inf(1)}).Text(2))
	require.Equal(t, "+2.50 ± 1.29", m.Signed(2))
	require.Equal(t, "−1.5", NewMeanSpread([]float64{-1.5}).Signed(1))
	require.Equal(t, "–", NewMeanSpread(nil).Signed(2))
	text, err := json.Marshal(NewMeanSpread([]float64{1.5}))
	require.NoError(t, err)
	require.Equal(t, `{"mean":1.5,"spread":null}`, string(text))
}
