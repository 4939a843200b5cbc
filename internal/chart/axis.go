package chart

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/stats"
)

// Axes: the position of a value, the values that get a tick, and how a value is written.
//
//	position = From + (v − Low) / (High − Low) · (To − From)     v a value, or its log10 on a logarithmic axis
//
// Ticks stand at 1, 2 or 5 times a power of ten.

const (
	tickTarget    = 6 // ticks of an axis, about
	logTickTarget = 6 // ticks of a logarithmic axis that spans many powers of ten, about

	largestShown = 1e300 // magnitudes above count as infinite, so that a range never overflows
	narrowest    = 1e-9  // share of the magnitude below which a range counts as one value
)

// Axis maps values to positions in the drawing, linearly or, from NewAxis, logarithmically.
type Axis struct {
	Low, High float64 // the range of values; of a logarithmic axis, of their log10
	From, To  float64 // the positions of Low and High
	log       bool
}

// At returns the position of a value.
func (a *Axis) At(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return a.From + (v-a.Low)/(a.High-a.Low)*(a.To-a.From)
}

// NewAxis returns an axis from the smallest to the largest value, and a little wider when all values are equal. It
// ignores values that are not finite. The caller sets From and To.
func NewAxis(values []float64, log bool) Axis {
	a := Axis{Low: math.Inf(1), High: math.Inf(-1), log: log}
	for _, v := range values {
		if log {
			v = math.Log10(v)
		}
		if math.Abs(v) < largestShown {
			a.Low, a.High = min(a.Low, v), max(a.High, v)
		}
	}
	if a.Low > a.High {
		a.Low, a.High = 0, 1
	}
	if a.High-a.Low <= narrowest*max(math.Abs(a.Low), math.Abs(a.High)) {
		room := cmp.Or(math.Abs(a.Low)/10, 1)
		a.Low, a.High = a.Low-room, a.High+room
	}
	return a
}

// ticks returns the values that get a tick, in ascending order.
func (a *Axis) ticks() []float64 {
	if a.log {
		return a.logTicks()
	}
	raw := (a.High - a.Low) / tickTarget
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if step >= raw {
			break
		}
		step *= factor
	}
	var ts []float64
	for i := math.Ceil(a.Low/step - 1e-9); i*step <= a.High+1e-9*step; i++ {
		ts = append(ts, i*step)
	}
	return ts
}

// wholeTicks returns the ticks that are whole numbers.
func (a *Axis) wholeTicks() []float64 {
	return slices.DeleteFunc(a.ticks(), func(t float64) bool { return t != math.Trunc(t) })
}

// logTicks returns powers of ten, and 2 and 5 times them on an axis that spans less than two of them.
func (a *Axis) logTicks() []float64 {
	factors := []float64{1}
	if a.High-a.Low < 2 {
		factors = []float64{1, 2, 5}
	}
	every := math.Ceil((a.High - a.Low) / logTickTarget)
	var ts []float64
	for e := math.Floor(a.Low); e <= a.High; e++ {
		for _, f := range factors {
			if t := math.Log10(f) + e; t >= a.Low-1e-9 && t <= a.High+1e-9 && math.Mod(e, every) == 0 {
				ts = append(ts, f*math.Pow(10, e))
			}
		}
	}
	return ts
}

// ShortNumber returns a value in few characters: four significant digits, a whole number from 1000 on, and an exponent
// below 0.01 and from 1e6 on, as in "2.5e7".
func ShortNumber(v float64) string {
	size := math.Abs(v)
	switch {
	case !stats.Finite(v):
		return "not finite"
	case v == 0:
		return "0" // and -0
	case size >= 1000 && size < 1e6:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size < 1e-2 || size >= 1e6:
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
		sign := strings.TrimPrefix(exponent[:1], "+")
		return strings.TrimSuffix(mantissa, ".0") + "e" + sign + strings.TrimLeft(exponent[1:], "0")
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
