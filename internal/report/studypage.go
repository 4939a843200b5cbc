package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/chart"
	"gogpt/internal/stats"
	"gogpt/internal/study"
)

// The page of a study: the verdicts on its comparisons, where each level of the last factor helps or costs, curves of
// the outcome over the rate, and what happens at releases. The factors besides the rate and the last one make the
// panels.

// studyPage is the content of the page of a study. The template also reads the fields of the summary.
type studyPage struct {
	*study.Summary
	Seeded      string // the seeds
	Confidence  string // of the intervals, in per cent
	Comparisons []comparisonRow
	Last        string // the name of the last factor
	Rate        string // the name of the rate; "" without one
	Rates       []string
	Differences []differenceRow
	Figures     []figure
	Releases    []releaseRow
	Rows        []cellRow
	Args        string // the flags of every run
	Data        string // the flag of a text that the user names; "" without one
	Levels      []fact // the flags of each level
}

// comparisonRow is one comparison with its drawing.
type comparisonRow struct {
	study.Judgement
	Class   string
	Text    string // the sum
	Drawing template.HTML
}

// differenceRow is one level of the last factor in one panel, over the rates.
type differenceRow struct {
	Panel     string // "" in every row of a panel but its first
	Level     string
	Reference bool
	Cells     []differenceCell
	Breaks    string // the lowest rate that breaks it
}

// differenceCell is the outcome of a reference, or the difference of another cell from it.
type differenceCell struct {
	Text, Effect, Class string
	Share               int // strength of the colour, per cent
}

// releaseRow is one release of one cell, its values as text.
type releaseRow struct {
	Cell                                                      study.Cell
	Step, LossBefore, LossAfter, NormBefore, NormAfter, Ratio string
	Peak                                                      string
}

// cellRow is one cell, its values as text.
type cellRow struct {
	Cell                                                      study.Cell
	Finished, Diverged                                        int
	Outcome, Difference, Class, Rise, NormRise, Peak, Clipped string
	Others                                                    []string // the other outcomes
}

// WriteStudy writes the page of a study to a file, whole or not at all.
func WriteStudy(path string, s *study.Summary) error {
	return writePage(path, "study", newStudyPage(s))
}

// newStudyPage returns the page of a study.
func newStudyPage(s *study.Summary) *studyPage {
	page := &studyPage{Summary: s, Seeded: strings.Trim(fmt.Sprint(s.Seeds), "[]"), Args: strings.Join(s.Base, " "),
		Comparisons: comparisonRows(s.Comparisons)}
	if len(s.Comparisons) > 0 {
		page.Confidence = strconv.FormatFloat(100*s.Comparisons[0].Confidence, 'f', 1, 64)
	}
	if s.Study.Text {
		page.Data = " --pretrain-data=FILE"
	}
	grid := newStudyGrid(s)
	page.Last, page.Rate, page.Rates = grid.last, grid.rate, grid.rates
	page.Differences, page.Figures = grid.differenceRows(), grid.figures()
	for _, c := range s.Cells {
		row := cellRow{Cell: c.Cell, Finished: c.Finished, Diverged: c.Diverged,
			Outcome: c.Text(s.Outcome), Difference: c.Against(), Class: effectClass(c.Effect), Rise: c.LargestRise.Text(3),
			NormRise: c.NormRise.Text(2), Peak: c.NormPeak.Text(1), Clipped: study.Percent(c.ClippedShare)}
		for _, o := range s.Others {
			row.Others = append(row.Others, c.Text(o))
		}
		page.Rows = append(page.Rows, row)
		for _, r := range c.Releases {
			page.Releases = append(page.Releases, releaseRow{Cell: c.Cell, Step: fmt.Sprintf("%.0f", float64(r.Step.Mean)),
				LossBefore: r.LossBefore.Text(3), LossAfter: r.LossAfter.Text(3), NormBefore: r.NormBefore.Text(2),
				NormAfter: r.NormAfter.Text(2), Ratio: r.NormRatio.Text(2), Peak: r.NormPeak.Text(1)})
		}
	}
	for _, f := range s.Study.Factors {
		for _, l := range f.Levels {
			page.Levels = append(page.Levels, fact{f.Name + ": " + l.Name, strings.Join(l.Flags, " ")})
		}
	}
	return page
}

// comparisonRows returns the comparisons, drawn on one scale.
func comparisonRows(judgements []study.Judgement) []comparisonRow {
	reach := 0.0
	for _, j := range judgements {
		if stats.Finite(float64(j.Low)) {
			reach = max(reach, math.Abs(float64(j.Low)), math.Abs(float64(j.High)))
		}
	}
	var rows []comparisonRow
	for _, j := range judgements {
		row := comparisonRow{Judgement: j, Class: "open", Text: j.Sum.Signed(4)}
		switch j.Verdict {
		case study.AsPredicted:
			row.Class = "good"
		case study.Contrary:
			row.Class = "bad"
		case string(study.Above), string(study.Below):
			row.Class = "found"
		}
		row.Drawing = drawDifference(float64(j.Low), float64(j.Sum.Mean), float64(j.High), cmp.Or(reach, 1), row.Class,
			"interval "+j.Interval())
		rows = append(rows, row)
	}
	return rows
}

// effectClass returns the class of an effect in the style sheet.
func effectClass(e study.Effect) string {
	return map[study.Effect]string{study.Helps: "good", study.Costs: "bad"}[e]
}

// studyGrid orders the cells of a study by panel, level of the last factor, and rate.
type studyGrid struct {
	summary *study.Summary
	last    string   // the name of the last factor
	rate    string   // the name of the rate; "" without one
	panels  []string // each once, in order
	levels  []string // of the last factor
	rates   []string // one of "" without a rate
	cells   map[[3]string]*study.CellSummary
}

// newStudyGrid returns the cells of a study by panel, level and rate.
func newStudyGrid(s *study.Summary) *studyGrid {
	rate, last := s.Study.RateFactor(), len(s.Factors)-1
	g := &studyGrid{summary: s, last: s.Factors[last], cells: map[[3]string]*study.CellSummary{}}
	if rate >= 0 {
		g.rate = s.Factors[rate]
	}
	for i := range s.Cells {
		c := &s.Cells[i]
		var panel []string
		at := ""
		for f, level := range c.Cell {
			switch f {
			case rate:
				at = level
			case last:
			default:
				panel = append(panel, level)
			}
		}
		key := [3]string{strings.Join(panel, ", "), c.Cell[last], at}
		g.cells[key] = c
		for i, list := range []*[]string{&g.panels, &g.levels, &g.rates} {
			if !slices.Contains(*list, key[i]) {
				*list = append(*list, key[i])
			}
		}
	}
	return g
}

// differenceRows returns the table of differences: in each panel the reference with its outcome, then the other levels
// with their differences from it.
func (g *studyGrid) differenceRows() []differenceRow {
	largest := 0.0
	for _, c := range g.cells {
		if c.Effect != "" {
			largest = max(largest, math.Abs(float64(c.Difference.Mean)))
		}
	}
	var rows []differenceRow
	for _, panel := range g.panels {
		for i, level := range g.levels {
			row := differenceRow{Panel: panel, Level: level, Reference: i == 0, Breaks: g.breaksAt(panel, level)}
			if i > 0 {
				row.Panel = ""
			}
			for _, rate := range g.rates {
				cell := g.cells[[3]string{panel, level, rate}]
				if i == 0 {
					row.Cells = append(row.Cells, differenceCell{Text: cell.Text(g.summary.Outcome)})
				} else {
					row.Cells = append(row.Cells, newDifferenceCell(cell, largest))
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// newDifferenceCell returns a cell of the table of differences. The colour of an effect is the stronger the larger the
// difference, down to a quarter of that of the largest.
func newDifferenceCell(c *study.CellSummary, largest float64) differenceCell {
	cell := differenceCell{Text: c.Difference.Signed(4), Effect: string(c.Effect), Class: effectClass(c.Effect)}
	if cell.Class != "" {
		cell.Share = 10 + int(30*math.Sqrt(math.Abs(float64(c.Difference.Mean))/largest))
	}
	return cell
}

// breaksAt returns the lowest rate that breaks a level of the last factor in a panel, or "–".
func (g *studyGrid) breaksAt(panel, level string) string {
	for _, rate := range g.rates {
		if g.cells[[3]string{panel, level, rate}].Breaks {
			return rate
		}
	}
	return "–"
}

// figures returns the curves of the outcome over the rate: for each panel with a line for each level of the last
// factor, then of the reference with a line for each panel. Without two rates there are none.
func (g *studyGrid) figures() []figure {
	if len(g.rates) < 2 {
		return nil
	}
	var figures []figure
	for _, panel := range g.panels {
		c := g.newChart(panel, "one line for each level of "+g.last)
		for i, level := range g.levels {
			c.Series = append(c.Series, g.line(panel, level, level, i))
		}
		figures = append(figures, c)
	}
	if len(g.panels) > 1 {
		c := g.newChart(g.levels[0], g.last+": "+g.levels[0])
		for i, panel := range g.panels {
			c.Series = append(c.Series, g.line(panel, g.levels[0], panel, i))
		}
		figures = append(figures, c)
	}
	return figures
}

// newChart returns a chart of the outcome over the rate, without lines.
func (g *studyGrid) newChart(title, note string) *chart.Chart {
	name := g.summary.Outcome.String()
	if title != "" {
		name += ": " + title
	}
	c := &chart.Chart{Title: strings.ToUpper(name[:1]) + name[1:], LogX: true, XName: g.rate,
		Note: note + "; means, with bands of ± spread over the seeds"}
	diverged := slices.ContainsFunc(g.summary.Cells, func(c study.CellSummary) bool { return c.Diverged > 0 })
	if vocab := float64(g.summary.Vocab); diverged {
		c.Lines = []chart.RefLine{{Y: math.Log(vocab), Name: fmt.Sprintf("ln vocab = %.2f", math.Log(vocab))}}
	}
	return c
}

// line returns the outcome of one panel and level over the rates.
func (g *studyGrid) line(panel, level, name string, color int) chart.Series {
	s := chart.Series{Name: name, Color: color, Listed: true}
	for _, rate := range g.rates {
		x, _ := strconv.ParseFloat(rate, 64)
		o := g.cells[[3]string{panel, level, rate}].Outcomes[g.summary.Outcome]
		mean, spread := float64(o.Mean), float64(o.Spread)
		s.Points = append(s.Points, chart.Point{X: x, Y: mean})
		if stats.Finite(spread) {
			s.Band = append(s.Band, chart.Interval{X: x, Low: mean - spread, High: mean + spread})
		}
	}
	return s
}
