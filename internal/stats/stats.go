// Package stats has the few statistics that measurements and their reports share. It knows nothing of the model. Sums
// are in float64.
package stats

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/strictjson"
)

// Finite reports whether x is neither NaN nor infinite.
func Finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Median returns the middle one of the sorted values; of an even number of values, the upper one of the middle two. It
// sorts values in place and panics when there are none.
func Median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// MeanSpread is the mean of a few values and their spread, the sample standard deviation:
//
//	mean = Σ x / n    spread = √( Σ (x − mean)² / (n − 1) )
//
// Without values both are NaN; of one value the spread is NaN.
type MeanSpread struct {
	Mean   strictjson.Float `json:"mean"`
	Spread strictjson.Float `json:"spread"`
}

// NewMeanSpread returns the mean and the spread of the values.
func NewMeanSpread(values []float64) MeanSpread {
	n, sum, squares := float64(len(values)), 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	for _, v := range values {
		squares += (v - sum/n) * (v - sum/n)
	}
	return MeanSpread{strictjson.Float(sum / n), strictjson.Float(math.Sqrt(squares / max(0, n-1)))}
}

// Signed returns Text with the sign of the mean before it.
func (m MeanSpread) Signed(digits int) string { return WithSign(m.Text(digits)) }

// WithSign returns the text of a number with its sign, "+" or "−", before it. Other text stays as it is.
func WithSign(number string) string {
	if less, ok := strings.CutPrefix(number, "-"); ok {
		return "−" + less
	}
	if number != "" && number[0] >= '0' && number[0] <= '9' {
		return "+" + number
	}
	return number
}

// Text returns "mean ± spread" with this number of digits after the point: the mean alone when the spread is not
// finite, and "–" when the mean is not.
func (m MeanSpread) Text(digits int) string {
	if !Finite(float64(m.Mean)) {
		return "–"
	}
	text := strconv.FormatFloat(float64(m.Mean), 'f', digits, 64)
	if Finite(float64(m.Spread)) {
		text += " ± " + strconv.FormatFloat(float64(m.Spread), 'f', digits, 64)
	}
	return text
}
