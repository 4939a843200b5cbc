package main

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// The page of an ablation: a table with the verdict of every change, and its curves beside those of the stable
// configuration.

const (
	differenceWidth  = 200.0 // of the little drawing of a difference
	differenceHeight = 22.0
)

// ablationPage is what the template shows.
type ablationPage struct {
	Title   string
	Seeds   int
	Base    string
	Rows    []ablationRow
	Figures []figure
}

// ablationRow is one change in the table.
type ablationRow struct {
	changeResult
	Class   string // of the verdict
	Drawing template.HTML
}

// The figures of a row, as text.
func (r ablationRow) Best() string  { return r.BestVal.text(4) }
func (r ablationRow) Val() string   { return r.FinalVal.text(4) }
func (r ablationRow) Train() string { return r.FinalTrain.text(4) }
func (r ablationRow) Epoch() string { return r.BestEpoch.text(1) }
func (r ablationRow) Args() string  { return strings.Join(r.Flags, " ") }

func newAblationPage(s *ablationSummary) *ablationPage {
	page := &ablationPage{Title: "Ablations", Seeds: len(s.Seeds), Base: strings.Join(s.Base, " ")}
	reach := differenceReach(s.Changes)
	for _, c := range s.Changes {
		row := ablationRow{changeResult: c, Class: "open"}
		switch {
		case c.better:
			row.Class = "good"
		case c.worse:
			row.Class = "bad"
		}
		if c.Name != stableName {
			row.Drawing = drawDifference(c, row.Class, reach)
			page.Figures = append(page.Figures, ablationChart(c, s.Changes[0]))
		}
		page.Rows = append(page.Rows, row)
	}
	return page
}

// Diff is the difference with its sign.
func (r ablationRow) Diff() string {
	text := r.Difference.text(4)
	if less, ok := strings.CutPrefix(text, "-"); ok {
		return "−" + less
	}
	return "+" + text
}

// differenceReach is the largest difference that the drawings show: twice the median of what there is, so that one change
// that explodes does not flatten the others.
func differenceReach(changes []changeResult) float64 {
	var sizes []float64
	for _, c := range changes {
		if size := math.Abs(float64(c.Difference.Mean)) + float64(c.Difference.Spread); size > 0 {
			sizes = append(sizes, size)
		}
	}
	if len(sizes) == 0 {
		return 1
	}
	slices.Sort(sizes)
	return 2 * sizes[len(sizes)/2]
}

// drawDifference draws mean and spread of a difference around the stable configuration in the middle; better is left.
// A mean that lies beyond the reach becomes an arrow at the edge.
func drawDifference(c changeResult, class string, reach float64) template.HTML {
	mean, spread := float64(c.Difference.Mean), float64(c.Difference.Spread)
	if !finite(mean) || !finite(spread) {
		return ""
	}
	x := axis{low: -reach, high: reach, from: 5, to: differenceWidth - 5}
	place := func(v float64) float64 { return x.at(max(-reach, min(reach, v))) }
	middle := differenceHeight / 2
	mark := fmt.Sprintf(`<circle class="dot %s" cx="%.1f" cy="%g" r="4"/>`, class, place(mean), middle)
	if math.Abs(mean) > reach {
		tip := math.Copysign(5, mean)
		mark = fmt.Sprintf(`<path class="dot %s" d="M%.1f %gl%g 5v-10z"/>`, class, place(mean)+tip, middle, -2*tip)
	}
	return template.HTML(fmt.Sprintf(`<svg class="difference" viewBox="0 0 %g %g" role="img" aria-label="difference %.4f, spread %.4f nats">`+
		`<path class="axis" d="M%.1f 1V%g"/><path class="line %s" d="M%.1f %gH%.1f"/>%s</svg>`,
		differenceWidth, differenceHeight, mean, spread, x.at(0), differenceHeight-1,
		class, place(mean-spread), middle, place(mean+spread), mark))
}

// ablationChart lays the losses of a change over those of the stable configuration.
func ablationChart(change, stable changeResult) *chart {
	c := &chart{Title: change.Name, Note: change.What + ". " + strings.ToUpper(change.Verdict[:1]) + change.Verdict[1:] + ".", xName: "epoch"}
	for i, r := range []changeResult{stable, change} {
		val := lossBand(r.curves, (*epochRecord).monitored)
		val.name, val.color, val.listed = r.Name, i, true
		train := lossBand(r.curves, func(e *epochRecord) float64 { return float64(e.AvgLoss) })
		train.name, train.color, train.dashed, train.band = r.Name+", training", i, true, nil
		c.series = append(c.series, train, val)
	}
	if l := stable.curves[0]; l != nil {
		bound := math.Log(float64(l.run.Vocab))
		c.lines, c.top = []refLine{{bound, fmt.Sprintf("ln V = %.2f", bound)}}, bound+explodedAbove
	}
	return c
}

// lossBand is the mean of a loss over seeds, with the spread around it, as far as the shortest run goes. Runs that
// diverged are left out unless all did.
func lossBand(runs []*runLog, loss func(*epochRecord) float64) series {
	var phases []*phaseLog
	for _, l := range runs {
		if p := kept(l); p != nil {
			phases = append(phases, p)
		}
	}
	for _, l := range runs {
		if len(phases) == 0 && len(l.phases) > 0 {
			phases = append(phases, l.phases[0])
		}
	}
	var s series
	for epoch := 0; len(phases) > 0; epoch++ {
		var values []float64
		for _, p := range phases {
			if epoch == len(p.epochs) {
				return s
			}
			values = append(values, loss(p.epochs[epoch]))
		}
		m := meanSpreadOf(values)
		x, mean, spread := float64(epoch+1), float64(m.Mean), float64(m.Spread)
		s.points = append(s.points, point{x, mean})
		if finite(spread) {
			s.band = append(s.band, interval{x, mean - spread, mean + spread})
		}
	}
	return s
}
