package stats

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The two-sided critical values of textbooks, e.g. of Abramowitz and Stegun, table 26.10.
func TestStudentT_IsThatOfTheTables(t *testing.T) {
	for _, c := range []struct {
		probability float64
		freedom     int
		t           float64
	}{
		{0.95, 1, 12.706}, {0.95, 2, 4.303}, {0.95, 3, 3.182}, {0.95, 4, 2.776}, {0.95, 5, 2.571}, {0.95, 9, 2.262},
		{0.95, 10, 2.228}, {0.95, 30, 2.042}, {0.95, 120, 1.980}, {0.99, 1, 63.657}, {0.99, 2, 9.925},
		{0.99, 4, 4.604}, {0.99, 10, 3.169}, {0.90, 4, 2.132}, {0.90, 7, 1.895}, {0.999, 5, 6.869}, {0.50, 1, 1},
	} {
		require.InDelta(t, c.t, StudentT(c.probability, c.freedom), 0.00051, "%g of %d", c.probability, c.freedom)
	}
}

// At 1, 2 and 4 degrees of freedom the distribution has a formula that can be solved for t.
func TestStudentT_EqualsClosedForms(t *testing.T) {
	for _, p := range []float64{0, 0.1, 0.5, 0.95, 1 - 0.05/3, 0.9999} {
		require.InEpsilon(t, 1+math.Tan(p*math.Pi/2), 1+StudentT(p, 1), 1e-9)
		require.InEpsilon(t, 1+p*math.Sqrt(2/(1-p*p)), 1+StudentT(p, 2), 1e-9)
		a := 1 - p*p
		q := math.Cos(math.Acos(math.Sqrt(a))/3) / math.Sqrt(a)
		require.InEpsilon(t, 1+2*math.Sqrt(q-1), 1+StudentT(p, 4), 1e-6)
	}
}

func TestMeanSpread_IntervalOfAKnownSample(t *testing.T) {
	low, high := NewMeanSpread([]float64{1, 2, 3, 4}).Interval(0.95, 4)
	require.InDelta(t, 2.5-3.182446*math.Sqrt(5.0/3)/2, low, 1e-6)
	require.InDelta(t, 2.5+3.182446*math.Sqrt(5.0/3)/2, high, 1e-6)
	low, high = NewMeanSpread([]float64{2, 2, 2}).Interval(0.95, 3)
	require.Equal(t, []float64{2, 2}, []float64{low, high})
}
