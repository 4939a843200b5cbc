package main

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// A timeline: rows of spans over the epochs, for what changes from one stage of a plan to the next.

const (
	timelineRowHeight = 36.0
	timelineBarHeight = 12.0
)

// span is a stretch of epochs, both ends included.
type span struct {
	from, to int
	text     string // stands in the bar
}

// timelineRow is a name and its spans.
type timelineRow struct {
	name  string
	color int
	spans []span
}

// timeline is a figure beside the charts.
type timeline struct {
	Title, Note string
	epochs      int
	rows        []timelineRow
}

// Legend is empty: rows carry their names.
func (t *timeline) Legend() []series { return nil }

// SVG draws the timeline.
func (t *timeline) SVG() template.HTML {
	x := axis{low: 0.5, high: float64(t.epochs) + 0.5, from: 14 + tickCharSize*float64(len("epoch")+1), to: chartWidth - chartRight}
	height := timelineRowHeight*float64(len(t.rows)) + chartBottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, height, html.EscapeString(t.Title))
	for i, row := range t.rows {
		y := timelineRowHeight * float64(i)
		fmt.Fprintf(&b, `<text class="row" x="%g" y="%g">%s</text>`, x.from, y+14, html.EscapeString(row.name))
		fmt.Fprintf(&b, `<rect class="track" x="%g" y="%g" width="%g" height="%g" rx="2"/>`, x.from, y+20, x.to-x.from, timelineBarHeight)
		for _, s := range row.spans {
			left, right := x.at(float64(s.from)-0.5), x.at(float64(s.to)+0.5)
			fmt.Fprintf(&b, `<rect class="span s%d" x="%.1f" y="%g" width="%.1f" height="%g" rx="2"><title>%s</title></rect>`,
				row.color%paletteSize, left, y+20, max(1, right-left-1), timelineBarHeight,
				html.EscapeString(fmt.Sprintf("%s %s: epochs %d to %d", row.name, s.text, s.from, s.to)))
			fmt.Fprintf(&b, `<text class="inbar" x="%.1f" y="%g" text-anchor="middle">%s</text>`, (left+right)/2, y+30, html.EscapeString(s.text))
		}
	}
	drawXAxis(&b, &x, height-chartBottom+4, "epoch")
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// spansOf joins neighbouring epochs with the same text; epochs with none are left out. text[i] is of epoch i+1.
func spansOf(text []string) []span {
	var spans []span
	for i, s := range text {
		switch n := len(spans); {
		case s == "":
		case n > 0 && spans[n-1].to == i && spans[n-1].text == s:
			spans[n-1].to = i + 1
		default:
			spans = append(spans, span{i + 1, i + 1, s})
		}
	}
	return spans
}
