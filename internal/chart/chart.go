// Package chart draws line charts and timelines as SVG (https://www.w3.org/TR/SVG11/) for a page of HTML. It knows
// nothing of the model.
//
// Sizes are in units of the drawing, which the page scales to its width. Colours and fonts come from the style sheet of
// the page: a series of colour i has the class "s" + i modulo 8, from s0 to s7.
package chart

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"gogpt/internal/stats"
)

const (
	chartWidth   = 480.0
	chartHeight  = 250.0
	chartTop     = 14.0 // from the edge of the drawing to the plot
	chartRight   = 14.0
	chartBottom  = 30.0
	tickCharSize = 8.2 // width of a character of a tick in the largest font of the page

	paletteSize = 8   // colours of the style sheet
	hoverLimit  = 120 // positions along x that show their values under the pointer
)

// Point is a point of a line, in units of the axes.
type Point struct{ X, Y float64 }

// Interval is a range of y at one x, in units of the axes.
type Interval struct{ X, Low, High float64 }

// Series is one line of a chart. The line has a gap where the chart does not show a point.
type Series struct {
	Name   string
	Color  int // index into the palette
	Dashed bool
	Listed bool // whether the legend names it
	Points []Point
	Band   []Interval // shaded around the line; may be empty
	Best   *Point     // marked with a ring; nil: no mark
}

// RefLine is a horizontal line with a name.
type RefLine struct {
	Y    float64
	Name string
}

// Chart is a set of lines over one x axis.
type Chart struct {
	Title, Note string
	XName       string
	Log         bool    // logarithmic y axis, without values of 0 and below
	LogX        bool    // logarithmic x axis with a tick at each x, which are few and above 0
	FromZero    bool    // the y axis begins at 0
	Top         float64 // values above it are cut off; 0: no limit
	Series      []Series
	Lines       []RefLine

	x, y   Axis      // set by SVG
	xTicks []float64 // likewise
}

// Empty reports whether no series has a point.
func (c *Chart) Empty() bool {
	return !slices.ContainsFunc(c.Series, func(s Series) bool { return len(s.Points) > 0 })
}

// Legend returns the series that the legend names, or nil when that is less than two.
func (c *Chart) Legend() []Series {
	listed := slices.DeleteFunc(slices.Clone(c.Series), func(s Series) bool { return !s.Listed })
	if len(listed) < 2 {
		return nil
	}
	return listed
}

// Class returns the class of the series' colour in the style sheet.
func (s Series) Class() string { return fmt.Sprintf("s%d", s.Color%paletteSize) }

// Exceeds reports whether a point of the series lies above a limit.
func (s Series) Exceeds(limit float64) bool {
	return slices.ContainsFunc(s.Points, func(p Point) bool { return p.Y > limit })
}

// shows reports whether the chart shows a value.
func (c *Chart) shows(y float64) bool {
	return stats.Finite(y) && !(c.Log && y <= 0) && (c.Top == 0 || y <= c.Top)
}

// SVG returns the drawing.
func (c *Chart) SVG() template.HTML {
	c.fit()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		chartWidth, chartHeight, html.EscapeString(c.Title))
	c.drawAxes(&b)
	for _, s := range c.Series {
		c.drawBand(&b, s)
	}
	for _, l := range c.Lines {
		y := c.y.At(l.Y)
		fmt.Fprintf(&b, `<path class="ref" d="M%.1f %.1fH%.1f"/>`, c.x.From, y, c.x.To)
		fmt.Fprintf(&b, `<text class="label" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			c.x.To, y-5, html.EscapeString(l.Name))
	}
	for _, s := range c.Series {
		c.drawLine(&b, s)
	}
	c.drawHovers(&b)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// fit sets the axes so that they span everything that the chart shows.
func (c *Chart) fit() {
	var xs, ys []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			xs = append(xs, p.X)
			if c.shows(p.Y) {
				ys = append(ys, p.Y)
			}
		}
		for _, v := range s.Band {
			ys = append(ys, v.Low, min(v.High, cmp.Or(c.Top, math.Inf(1))))
		}
	}
	for _, l := range c.Lines {
		ys = append(ys, l.Y)
	}
	if c.FromZero {
		ys = append(ys, 0)
	}
	c.x, c.y = NewAxis(xs, c.LogX), NewAxis(ys, c.Log)
	c.xTicks = c.x.wholeTicks()
	if c.LogX {
		slices.Sort(xs)
		c.xTicks = slices.Compact(xs)
		room := (c.x.High - c.x.Low) * 0.06
		c.x.Low, c.x.High = c.x.Low-room, c.x.High+room
	}
	if room := (c.y.High - c.y.Low) * 0.06; c.FromZero {
		c.y.High += room
	} else {
		c.y.Low, c.y.High = c.y.Low-room, c.y.High+room
	}
	widest := len(c.XName) + 1
	for _, t := range c.y.ticks() {
		widest = max(widest, len(ShortNumber(t)))
	}
	c.x.From, c.x.To = 10+tickCharSize*float64(widest), chartWidth-chartRight
	c.y.From, c.y.To = chartHeight-chartBottom, chartTop
}

// drawAxes draws both axes with their ticks.
func (c *Chart) drawAxes(b *strings.Builder) {
	for _, t := range c.y.ticks() {
		y := c.y.At(t)
		fmt.Fprintf(b, `<path class="grid-line" d="M%.1f %.1fH%.1f"/>`, c.x.From, y, c.x.To)
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			c.x.From-6, y+4, ShortNumber(t))
	}
	drawXAxis(b, &c.x, c.xTicks, c.y.From, c.XName)
}

// drawXAxis draws the axis at height y, its ticks, and its name to the left of them.
func drawXAxis(b *strings.Builder, x *Axis, ticks []float64, y float64, name string) {
	fmt.Fprintf(b, `<path class="axis" d="M%.1f %.1fH%.1f"/>`, x.From, y, x.To)
	for _, t := range ticks {
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			x.At(t), y+18, ShortNumber(t))
	}
	fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
		x.From-6-tickCharSize, y+18, html.EscapeString(name))
}

// drawBand draws the band of a series, cut off at Top.
func (c *Chart) drawBand(b *strings.Builder, s Series) {
	var d strings.Builder
	for _, v := range s.Band {
		fmt.Fprintf(&d, "L%.1f %.1f", c.x.At(v.X), c.y.At(min(v.High, cmp.Or(c.Top, v.High))))
	}
	for _, v := range slices.Backward(s.Band) {
		fmt.Fprintf(&d, "L%.1f %.1f", c.x.At(v.X), c.y.At(min(v.Low, cmp.Or(c.Top, v.Low))))
	}
	if d.Len() > 0 {
		fmt.Fprintf(b, `<path class="band %s" d="M%sZ"/>`, s.Class(), d.String()[1:])
	}
}

// drawLine draws the line of a series, its only point as a dot, and the ring around its best point.
func (c *Chart) drawLine(b *strings.Builder, s Series) {
	var d strings.Builder
	pen := "M"
	for _, p := range s.Points {
		if !c.shows(p.Y) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", pen, c.x.At(p.X), c.y.At(p.Y))
		pen = "L"
	}
	class := "line " + s.Class()
	if s.Dashed {
		class += " dashed"
	}
	fmt.Fprintf(b, `<path class="%s" d="%s"/>`, class, d.String())
	if len(s.Points) == 1 && d.Len() > 0 {
		only := s.Points[0]
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"/>`, s.Class(), c.x.At(only.X), c.y.At(only.Y))
	}
	if s.Best != nil && c.shows(s.Best.Y) {
		fmt.Fprintf(b, `<circle class="best %s" cx="%.1f" cy="%.1f" r="5"/>`,
			s.Class(), c.x.At(s.Best.X), c.y.At(s.Best.Y))
	}
}

// drawHovers draws transparent columns over the plot that show all values at their x when the pointer is on them.
func (c *Chart) drawHovers(b *strings.Builder) {
	values := map[float64]string{}
	for _, s := range c.Series {
		for _, p := range s.Points {
			values[p.X] += "\n" + s.Name + ": " + ShortNumber(p.Y)
		}
	}
	xs := slices.Sorted(maps.Keys(values))
	stride := 1 + len(xs)/hoverLimit
	width := (c.x.To - c.x.From) / float64(max(1, len(xs)-1)) * float64(stride)
	for i := 0; i < len(xs); i += stride {
		left := max(c.x.From, c.x.At(xs[i])-width/2)
		right := min(c.x.To, c.x.At(xs[i])+width/2)
		fmt.Fprintf(b, `<rect class="hover" x="%.1f" y="%g" width="%.1f" height="%g"><title>%s</title></rect>`,
			left, chartTop, right-left, c.y.From-chartTop,
			html.EscapeString(c.XName+" "+ShortNumber(xs[i])+values[xs[i]]))
	}
}
