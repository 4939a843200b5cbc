package main

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// The axes of charts: where a value lies, which values get a name, and how a value is written for people.

const (
	tickTarget    = 6
	logTickTarget = 6

	largestShown = 1e300 // magnitudes above count as infinite, so that a range never overflows
	narrowest    = 1e-9  // share of the magnitude below which a range counts as one value
)

// axis maps values to places in the drawing.
type axis struct {
	low, high float64 // values; of a logarithmic scale their logarithms
	from, to  float64 // places
	log       bool
}

// at is the place of a value.
func (a *axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return a.from + (v-a.low)/(a.high-a.low)*(a.to-a.from)
}

// newAxis spans the values, with a little room where they are all equal. Values that are not finite do not count.
func newAxis(values []float64, log bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1), log: log}
	for _, v := range values {
		if log {
			v = math.Log10(v)
		}
		if math.Abs(v) < largestShown {
			a.low, a.high = min(a.low, v), max(a.high, v)
		}
	}
	if a.low > a.high {
		a.low, a.high = 0, 1
	}
	if a.high-a.low <= narrowest*max(math.Abs(a.low), math.Abs(a.high)) {
		room := cmp.Or(math.Abs(a.low)/10, 1)
		a.low, a.high = a.low-room, a.high+room
	}
	return a
}

// ticks are round values within the scale.
func (a *axis) ticks() []float64 {
	if a.log {
		return a.logTicks()
	}
	raw := (a.high - a.low) / tickTarget
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if step >= raw {
			break
		}
		step *= factor
	}
	var ts []float64
	for i := math.Ceil(a.low/step - 1e-9); i*step <= a.high+1e-9*step; i++ {
		ts = append(ts, i*step)
	}
	return ts
}

// logTicks are powers of ten, or 1, 2, 5 times them where the scale spans few of them.
func (a *axis) logTicks() []float64 {
	factors := []float64{1}
	if a.high-a.low < 2 {
		factors = []float64{1, 2, 5}
	}
	every := math.Ceil((a.high - a.low) / logTickTarget)
	var ts []float64
	for e := math.Floor(a.low); e <= a.high; e++ {
		for _, f := range factors {
			if t := math.Log10(f) + e; t >= a.low-1e-9 && t <= a.high+1e-9 && math.Mod(e, every) == 0 {
				ts = append(ts, f*math.Pow(10, e))
			}
		}
	}
	return ts
}

// shortNumber writes a value for people: four digits or a whole number, an exponent where it is far from 1.
func shortNumber(v float64) string {
	size := math.Abs(v)
	switch {
	case !finite(v):
		return "not finite"
	case v == 0:
		return "0" // -0 too
	case size >= 1000 && size < 1e6:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size < 1e-3 || size >= 1e6:
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
		sign := strings.TrimPrefix(exponent[:1], "+")
		return strings.TrimSuffix(mantissa, ".0") + "e" + sign + strings.TrimLeft(exponent[1:], "0")
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
