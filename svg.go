package main

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
)

// Charts as SVG that stands inside a page. Sizes are in units of the drawing, which the page scales to its width; colours
// and fonts are the page's style sheet's: series i has the class s<i modulo paletteSize>.

const (
	chartWidth   = 480.0
	chartHeight  = 250.0
	chartTop     = 14.0 // from the drawing's edge to the plot
	chartRight   = 14.0
	chartBottom  = 30.0
	tickCharSize = 8.2 // width of a character of the largest font that the page sets ticks in

	paletteSize = 8
	hoverLimit  = 120 // places along x that tell their values
)

// point is a place in a chart, in units of its axes.
type point struct{ x, y float64 }

// interval is a range of y at one x.
type interval struct{ x, low, high float64 }

// series is one line of a chart. Points that the chart does not show leave a gap.
type series struct {
	name   string
	color  int // in the palette
	dashed bool
	listed bool // in the legend
	points []point
	band   []interval // shaded around the line; may be empty
	best   *point     // marked with a ring; may be nil
}

// refLine is a horizontal line with a name.
type refLine struct {
	y    float64
	name string
}

// chart is a set of lines over one x axis.
type chart struct {
	Title, Note string
	xName       string
	log         bool    // y axis; values of 0 and less are left out
	fromZero    bool    // the y axis begins at 0
	top         float64 // values above are cut off; 0: no limit
	series      []series
	lines       []refLine

	x, y axis // set by SVG
}

// empty tells that there is nothing to draw.
func (c *chart) empty() bool {
	return !slices.ContainsFunc(c.series, func(s series) bool { return len(s.points) > 0 })
}

// Legend is the lines to list, where there is more than one.
func (c *chart) Legend() []series {
	listed := slices.DeleteFunc(slices.Clone(c.series), func(s series) bool { return !s.listed })
	if len(listed) < 2 {
		return nil
	}
	return listed
}

// Name, Class and Dashed are what a legend shows of a line.
func (s series) Name() string  { return s.name }
func (s series) Class() string { return fmt.Sprintf("s%d", s.color%paletteSize) }
func (s series) Dashed() bool  { return s.dashed }

// exceeds tells whether a point lies above a limit.
func (s series) exceeds(limit float64) bool {
	return slices.ContainsFunc(s.points, func(p point) bool { return p.y > limit })
}

// shows tells the values that have a place in the chart.
func (c *chart) shows(y float64) bool {
	return finite(y) && !(c.log && y <= 0) && (c.top == 0 || y <= c.top)
}

// SVG draws the chart.
func (c *chart) SVG() template.HTML {
	c.fit()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(c.Title))
	c.drawAxes(&b)
	for _, s := range c.series {
		c.drawBand(&b, s)
	}
	for _, l := range c.lines {
		y := c.y.at(l.y)
		fmt.Fprintf(&b, `<path class="ref" d="M%.1f %.1fH%.1f"/>`, c.x.from, y, c.x.to)
		fmt.Fprintf(&b, `<text class="label" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, c.x.to, y-5, html.EscapeString(l.name))
	}
	for _, s := range c.series {
		c.drawLine(&b, s)
	}
	c.drawHovers(&b)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// fit chooses the scales.
func (c *chart) fit() {
	var xs, ys []float64
	for _, s := range c.series {
		for _, p := range s.points {
			xs = append(xs, p.x)
			if c.shows(p.y) {
				ys = append(ys, p.y)
			}
		}
		for _, v := range s.band {
			ys = append(ys, v.low, min(v.high, cmp.Or(c.top, math.Inf(1))))
		}
	}
	for _, l := range c.lines {
		ys = append(ys, l.y)
	}
	if c.fromZero {
		ys = append(ys, 0)
	}
	c.x, c.y = newAxis(xs, false), newAxis(ys, c.log)
	if room := (c.y.high - c.y.low) * 0.06; c.fromZero {
		c.y.high += room
	} else {
		c.y.low, c.y.high = c.y.low-room, c.y.high+room
	}
	widest := len(c.xName) + 1
	for _, t := range c.y.ticks() {
		widest = max(widest, len(shortNumber(t)))
	}
	c.x.from, c.x.to = 10+tickCharSize*float64(widest), chartWidth-chartRight
	c.y.from, c.y.to = chartHeight-chartBottom, chartTop
}

func (c *chart) drawAxes(b *strings.Builder) {
	for _, t := range c.y.ticks() {
		y := c.y.at(t)
		fmt.Fprintf(b, `<path class="grid-line" d="M%.1f %.1fH%.1f"/>`, c.x.from, y, c.x.to)
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, c.x.from-6, y+4, shortNumber(t))
	}
	drawXAxis(b, &c.x, c.y.from, c.xName)
}

// drawXAxis draws the axis at height y, its round values, and its name before the first of them.
func drawXAxis(b *strings.Builder, x *axis, y float64, name string) {
	fmt.Fprintf(b, `<path class="axis" d="M%.1f %.1fH%.1f"/>`, x.from, y, x.to)
	for _, t := range x.ticks() {
		if t == math.Trunc(t) {
			fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x.at(t), y+18, shortNumber(t))
		}
	}
	fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, x.from-6-tickCharSize, y+18, html.EscapeString(name))
}

func (c *chart) drawBand(b *strings.Builder, s series) {
	var d strings.Builder
	for _, v := range s.band {
		fmt.Fprintf(&d, "L%.1f %.1f", c.x.at(v.x), c.y.at(min(v.high, cmp.Or(c.top, v.high))))
	}
	for _, v := range slices.Backward(s.band) {
		fmt.Fprintf(&d, "L%.1f %.1f", c.x.at(v.x), c.y.at(min(v.low, cmp.Or(c.top, v.low))))
	}
	if d.Len() > 0 {
		fmt.Fprintf(b, `<path class="band %s" d="M%sZ"/>`, s.Class(), d.String()[1:])
	}
}

func (c *chart) drawLine(b *strings.Builder, s series) {
	var d strings.Builder
	pen := "M"
	for _, p := range s.points {
		if !c.shows(p.y) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", pen, c.x.at(p.x), c.y.at(p.y))
		pen = "L"
	}
	class := "line " + s.Class()
	if s.dashed {
		class += " dashed"
	}
	fmt.Fprintf(b, `<path class="%s" d="%s"/>`, class, d.String())
	if len(s.points) == 1 && d.Len() > 0 {
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"/>`, s.Class(), c.x.at(s.points[0].x), c.y.at(s.points[0].y))
	}
	if s.best != nil && c.shows(s.best.y) {
		fmt.Fprintf(b, `<circle class="best %s" cx="%.1f" cy="%.1f" r="5"/>`, s.Class(), c.x.at(s.best.x), c.y.at(s.best.y))
	}
}

// drawHovers lays invisible columns over the plot that tell the values at their place.
func (c *chart) drawHovers(b *strings.Builder) {
	values := map[float64]string{}
	for _, s := range c.series {
		for _, p := range s.points {
			values[p.x] += "\n" + s.name + ": " + shortNumber(p.y)
		}
	}
	places := slices.Sorted(maps.Keys(values))
	stride := 1 + len(places)/hoverLimit
	width := (c.x.to - c.x.from) / float64(max(1, len(places)-1)) * float64(stride)
	for i := 0; i < len(places); i += stride {
		left := max(c.x.from, c.x.at(places[i])-width/2)
		right := min(c.x.to, c.x.at(places[i])+width/2)
		fmt.Fprintf(b, `<rect class="hover" x="%.1f" y="%g" width="%.1f" height="%g"><title>%s</title></rect>`,
			left, chartTop, right-left, c.y.from-chartTop, html.EscapeString(c.xName+" "+shortNumber(places[i])+values[places[i]]))
	}
}
