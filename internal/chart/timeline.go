package chart

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// Timelines: rows of spans over epochs.

const (
	timelineRowHeight = 36.0
	timelineBarHeight = 12.0
)

// Span is a range of epochs in which one state holds.
type Span struct {
	From, To int    // first and last epoch
	Text     string // the state, written in the bar
}

// Row is one row of a timeline.
type Row struct {
	Name  string
	Color int // index into the palette
	Spans []Span
}

// Timeline shows which state holds in which epochs.
type Timeline struct {
	Title, Note string
	Epochs      int // from 1
	Rows        []Row
}

// Legend returns nil, as every row shows its name.
func (t *Timeline) Legend() []Series { return nil }

// SVG returns the drawing.
func (t *Timeline) SVG() template.HTML {
	x := Axis{Low: 0.5, High: float64(t.Epochs) + 0.5,
		From: 14 + tickCharSize*float64(len("epoch")+1), To: chartWidth - chartRight}
	height := timelineRowHeight*float64(len(t.Rows)) + chartBottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, height, html.EscapeString(t.Title))
	for i, row := range t.Rows {
		y := timelineRowHeight * float64(i)
		fmt.Fprintf(&b, `<text class="row" x="%g" y="%g">%s</text>`, x.From, y+14, html.EscapeString(row.Name))
		fmt.Fprintf(&b, `<rect class="track" x="%g" y="%g" width="%g" height="%g" rx="2"/>`,
			x.From, y+20, x.To-x.From, timelineBarHeight)
		for _, s := range row.Spans {
			left, right := x.At(float64(s.From)-0.5), x.At(float64(s.To)+0.5)
			fmt.Fprintf(&b, `<rect class="span s%d" x="%.1f" y="%g" width="%.1f" height="%g" rx="2"><title>%s</title></rect>`,
				row.Color%paletteSize, left, y+20, max(1, right-left-1), timelineBarHeight,
				html.EscapeString(fmt.Sprintf("%s %s: epochs %d to %d", row.Name, s.Text, s.From, s.To)))
			fmt.Fprintf(&b, `<text class="inbar" x="%.1f" y="%g" text-anchor="middle">%s</text>`,
				(left+right)/2, y+30, html.EscapeString(s.Text))
		}
	}
	drawXAxis(&b, &x, x.wholeTicks(), height-chartBottom+4, "epoch")
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// SpansOf returns one span for each run of epochs with the same text, and none for epochs without a text. text[i]
// belongs to epoch i+1.
func SpansOf(text []string) []Span {
	var spans []Span
	for i, s := range text {
		switch n := len(spans); {
		case s == "":
		case n > 0 && spans[n-1].To == i && spans[n-1].Text == s:
			spans[n-1].To = i + 1
		default:
			spans = append(spans, Span{i + 1, i + 1, s})
		}
	}
	return spans
}
