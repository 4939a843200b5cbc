package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"gogpt/internal/chart"
	"gogpt/internal/runlog"
	"gogpt/internal/stats"
)

// The page of an ablation: a table with the verdict on every change, and its curves with those of the stable
// configuration.

const (
	differenceWidth  = 200.0 // of the drawing of a difference
	differenceHeight = 22.0
)

// ablationPage is the content of the page of an ablation.
type ablationPage struct {
	Title   string
	Seeds   int
	Base    string
	Rows    []ablationRow
	Figures []figure
}

// ablationRow is one change in the table.
type ablationRow struct {
	Comparison
	Class   string // of the verdict
	Drawing template.HTML
}

// The methods of a row return its values as text, for the template.

func (r ablationRow) Best() string  { return r.BestVal.Text(4) }
func (r ablationRow) Val() string   { return r.FinalVal.Text(4) }
func (r ablationRow) Train() string { return r.FinalTrain.Text(4) }
func (r ablationRow) Epoch() string { return r.BestEpoch.Text(1) }
func (r ablationRow) Args() string  { return strings.Join(r.Flags, " ") }

// WriteAblation writes the page of an ablation to a file, whole or not at all.
func WriteAblation(path string, s *Ablation) error {
	return writePage(path, "ablation", newAblationPage(s))
}

// newAblationPage returns the page: a row for each change, and a figure for each but the stable configuration.
func newAblationPage(s *Ablation) *ablationPage {
	page := &ablationPage{Title: "Ablations", Seeds: len(s.Seeds), Base: strings.Join(s.Base, " ")}
	reach := differenceReach(s.Changes)
	for _, c := range s.Changes {
		row := ablationRow{Comparison: c, Class: "open"}
		switch {
		case c.better:
			row.Class = "good"
		case c.worse:
			row.Class = "bad"
		}
		if c.Name != StableName {
			mean, spread := float64(c.Difference.Mean), float64(c.Difference.Spread)
			label := fmt.Sprintf("difference %.4f, spread %.4f nats", mean, spread)
			row.Drawing = drawDifference(mean-spread, mean, mean+spread, reach, row.Class, label)
			page.Figures = append(page.Figures, ablationChart(c, s.Changes[0]))
		}
		page.Rows = append(page.Rows, row)
	}
	return page
}

// Diff returns the difference with its sign.
func (r ablationRow) Diff() string { return r.Difference.Signed(4) }

// differenceReach returns the largest difference that the drawings show, which is twice the median of all differences:
// so one very large difference does not make the others too small to see.
func differenceReach(changes []Comparison) float64 {
	var sizes []float64
	for _, c := range changes {
		if size := math.Abs(float64(c.Difference.Mean)) + float64(c.Difference.Spread); size > 0 {
			sizes = append(sizes, size)
		}
	}
	if len(sizes) == 0 {
		return 1
	}
	return 2 * stats.Median(sizes)
}

// drawDifference draws the mean of a difference as a dot and the range around it as a line. 0 is in the middle, and
// negative differences are to the left of it. A mean beyond the reach becomes an arrow at the edge.
func drawDifference(low, mean, high, reach float64, class, label string) template.HTML {
	if !stats.Finite(low) || !stats.Finite(high) {
		return ""
	}
	x := chart.Axis{Low: -reach, High: reach, From: 5, To: differenceWidth - 5}
	position := func(v float64) float64 { return x.At(max(-reach, min(reach, v))) }
	middle := differenceHeight / 2
	mark := fmt.Sprintf(`<circle class="dot %s" cx="%.1f" cy="%g" r="4"/>`, class, position(mean), middle)
	if math.Abs(mean) > reach {
		tip := math.Copysign(5, mean)
		mark = fmt.Sprintf(`<path class="dot %s" d="M%.1f %gl%g 5v-10z"/>`, class, position(mean)+tip, middle, -2*tip)
	}
	return template.HTML(fmt.Sprintf(`<svg class="difference" viewBox="0 0 %g %g" role="img" `+
		`aria-label="%s">`+
		`<path class="axis" d="M%.1f 1V%g"/><path class="line %s" d="M%.1f %gH%.1f"/>%s</svg>`,
		differenceWidth, differenceHeight, html.EscapeString(label), x.At(0), differenceHeight-1,
		class, position(low), middle, position(high), mark))
}

// ablationChart shows the losses of a change over those of the stable configuration.
func ablationChart(changed, stable Comparison) *chart.Chart {
	verdict := strings.ToUpper(changed.Verdict[:1]) + changed.Verdict[1:]
	c := &chart.Chart{Title: changed.Name, Note: changed.What + ". " + verdict + ".", XName: "epoch"}
	for i, r := range []Comparison{stable, changed} {
		val := lossBand(r.logs, (*runlog.Epoch).Monitored)
		val.Name, val.Color, val.Listed = r.Name, i, true
		train := lossBand(r.logs, func(e *runlog.Epoch) float64 { return float64(e.AvgLoss) })
		train.Name, train.Color, train.Dashed, train.Band = r.Name+", training", i, true, nil
		c.Series = append(c.Series, train, val)
	}
	if l := stable.logs[0]; l != nil {
		bound := math.Log(float64(l.Run.Vocab))
		c.Lines, c.Top = []chart.RefLine{{Y: bound, Name: fmt.Sprintf("ln vocab = %.2f", bound)}}, bound+explodedAbove
	}
	return c
}

// lossBand returns the mean of a loss over the runs with the spread around it, up to the last epoch of the shortest
// run. It leaves out runs that diverged, unless all did.
func lossBand(runs []*runlog.Log, loss func(*runlog.Epoch) float64) chart.Series {
	var phases []*runlog.Phase
	for _, l := range runs {
		if p := Kept(l); p != nil {
			phases = append(phases, p)
		}
	}
	for _, l := range runs {
		if len(phases) == 0 && len(l.Phases) > 0 {
			phases = append(phases, l.Phases[0])
		}
	}
	var s chart.Series
	for epoch := 0; len(phases) > 0; epoch++ {
		var values []float64
		for _, p := range phases {
			if epoch == len(p.Epochs) {
				return s
			}
			values = append(values, loss(p.Epochs[epoch]))
		}
		m := stats.NewMeanSpread(values)
		x, mean, spread := float64(epoch+1), float64(m.Mean), float64(m.Spread)
		s.Points = append(s.Points, chart.Point{X: x, Y: mean})
		if stats.Finite(spread) {
			s.Band = append(s.Band, chart.Interval{X: x, Low: mean - spread, High: mean + spread})
		}
	}
	return s
}
