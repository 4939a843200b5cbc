package main

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
)

// Which curves a report draws of one phase, of one run or of several laid over each other.

const (
	explodedAbove = 1.5 // nats above ln V, where losses leave the chart
	wideRange     = 100 // ratio of norms from which their axis is logarithmic
)

// figure is a drawing with its heading.
type figure interface {
	Legend() []series
	SVG() template.HTML
}

// phaseRun is one run's part in a phase.
type phaseRun struct {
	log *runLog
	*phaseLog
	color int
}

// phaseFigures draws a phase.
func phaseFigures(runs []phaseRun) []figure {
	charts := []*chart{lossChart(runs), pplChart(runs), normChart(runs), clippedChart(runs), rateChart(runs), speedChart(runs)}
	charts = append(charts, ratioCharts(runs)...)
	charts = append(charts, gradientCharts(runs)...)
	var figures []figure
	for _, c := range charts {
		if !c.empty() {
			figures = append(figures, c)
		}
	}
	return append(figures, planTimeline(runs))
}

// perEpoch is one line a run: a value of every epoch.
func perEpoch(runs []phaseRun, value func(*epochRecord) jsonFloat) []series {
	var lines []series
	for _, r := range runs {
		line := series{name: r.log.name, color: r.color, listed: true}
		for _, e := range r.epochs {
			line.points = append(line.points, point{float64(e.Epoch), float64(value(e))})
		}
		lines = append(lines, line)
	}
	return lines
}

// lossLines are the training and, dashed, the validation losses, put through a function; the best epoch of each run is
// marked on the line that is monitored.
func lossLines(runs []phaseRun, of func(nats float64) float64) []series {
	train := perEpoch(runs, func(e *epochRecord) jsonFloat { return jsonFloat(of(float64(e.AvgLoss))) })
	val := perEpoch(runs, func(e *epochRecord) jsonFloat {
		if e.ValLoss == nil {
			return jsonFloat(math.NaN())
		}
		return jsonFloat(of(float64(*e.ValLoss)))
	})
	var lines []series
	for i, r := range runs {
		val[i].name, val[i].dashed, val[i].listed = r.log.name+", validation", true, false
		if len(runs) == 1 {
			train[i].name = "training"
			val[i].name, val[i].color, val[i].listed = "validation", 1, true
		}
		lines = append(lines, train[i])
		if best := r.best(); best != nil {
			if best.ValLoss != nil {
				lines = append(lines, val[i])
			}
			lines[len(lines)-1].best = &point{float64(best.Epoch), of(best.monitored())}
		}
	}
	return lines
}

func lossChart(runs []phaseRun) *chart {
	c := &chart{Title: "Loss", Note: "nats a token; the ring marks the best epoch", xName: "epoch",
		series: lossLines(runs, func(nats float64) float64 { return nats })}
	for _, v := range distinct(runs, func(r phaseRun) float64 { return float64(r.log.run.Vocab) }) {
		c.lines = append(c.lines, refLine{math.Log(v), fmt.Sprintf("ln V = %.2f, guessing among %.0f", math.Log(v), v)})
	}
	return lossNotes(c, runs, math.Log)
}

func pplChart(runs []phaseRun) *chart {
	c := &chart{Title: "Perplexity", Note: "exp(loss), logarithmic", xName: "epoch", log: true, series: lossLines(runs, math.Exp)}
	for _, v := range distinct(runs, func(r phaseRun) float64 { return float64(r.log.run.Vocab) }) {
		c.lines = append(c.lines, refLine{v, fmt.Sprintf("V = %.0f", v)})
	}
	return lossNotes(c, runs, func(v float64) float64 { return v })
}

// lossNotes cuts off what explodes, on the scale that turns a vocabulary's size into the value of guessing, and explains
// that and the dashes.
func lossNotes(c *chart, runs []phaseRun, guessing func(vocab float64) float64) *chart {
	for _, r := range runs {
		c.top = max(c.top, guessing(float64(r.log.run.Vocab)*math.Exp(explodedAbove)))
	}
	if slices.ContainsFunc(c.series, func(s series) bool { return s.exceeds(c.top) }) {
		c.Note += fmt.Sprintf("; above %s cut off", shortNumber(c.top))
	}
	if len(runs) > 1 && slices.ContainsFunc(c.series, func(s series) bool { return s.dashed }) {
		c.Note += "; dashed: validation"
	}
	return c
}

func normChart(runs []phaseRun) *chart {
	c := &chart{Title: "Gradient norm", Note: "of all parameters, before clipping, mean of the epoch", xName: "epoch", fromZero: true,
		series: perEpoch(runs, func(e *epochRecord) jsonFloat { return e.AvgGradNorm })}
	var norms []float64
	for _, s := range c.series {
		for _, p := range s.points {
			norms = append(norms, p.y)
		}
	}
	if y := newAxis(norms, true); y.high-y.low > math.Log10(wideRange) {
		c.log, c.fromZero, c.Note = true, false, c.Note+", logarithmic"
	}
	for _, v := range distinct(runs, phaseRun.clip) {
		if v > 0 {
			c.lines = append(c.lines, refLine{v, "clip " + shortNumber(v)})
		}
	}
	return c
}

// clip is the limit of the gradient norm, 0 for none.
func (r phaseRun) clip() float64 {
	if r.log.run.Config["clip-logits"] == "true" {
		return 0
	}
	v, _ := strconv.ParseFloat(r.log.run.Config["clip"], 64)
	return v
}

func clippedChart(runs []phaseRun) *chart {
	return &chart{Title: "Clipped steps", Note: "per cent of the epoch's steps", xName: "epoch", fromZero: true,
		series: perEpoch(runs, func(e *epochRecord) jsonFloat { return 100 * e.ClippedShare })}
}

func rateChart(runs []phaseRun) *chart {
	return &chart{Title: "Learning rate", Note: "of the epoch's last step", xName: "epoch", fromZero: true,
		series: perEpoch(runs, func(e *epochRecord) jsonFloat { return e.LR })}
}

func speedChart(runs []phaseRun) *chart {
	return &chart{Title: "Speed", Note: "tokens a second", xName: "epoch", fromZero: true,
		series: perEpoch(runs, func(e *epochRecord) jsonFloat { return e.TokensPerSec })}
}

// paramGroups are the groups of paramGroup in the order of the model.
var paramGroups = []string{"embedding", "layernorm", "attention", "feedforward"}

// ratioCharts show the update-to-weight ratio: of one run all groups in one chart, of several runs a chart a group.
func ratioCharts(runs []phaseRun) []*chart {
	var charts []*chart
	for i, group := range paramGroups {
		lines := perEpoch(runs, func(e *epochRecord) jsonFloat { return e.UpdateRatio[group] })
		if len(runs) == 1 && i > 0 {
			lines[0].name, lines[0].color = group, i
			charts[0].series = append(charts[0].series, lines...)
			continue
		}
		charts = append(charts, &chart{Title: "Update ratio: " + group, Note: "‖Δw‖/‖w‖ of the epoch's last step, logarithmic",
			xName: "epoch", log: true, series: lines})
	}
	if len(runs) == 1 {
		charts[0].Title, charts[0].series[0].name, charts[0].series[0].color = "Update-to-weight ratio", paramGroups[0], 0
	}
	return charts
}

// gradientCharts show what the gradient laboratory logged: how far each approximate backward points from the exact one.
func gradientCharts(runs []phaseRun) []*chart {
	var charts []*chart
	for _, tensor := range []string{wholeGradient, "h.0 (input)"} {
		c := &chart{Title: "Attention backward: " + tensor, Note: "cosine between the approximate gradient and the exact one", xName: "step"}
		for _, r := range runs {
			for i, mode := range []AttentionBackward{StraightThrough, StopGradient} {
				line := series{name: mode.String(), color: i, dashed: i > 0, listed: true}
				if len(runs) > 1 {
					line.name, line.color = r.log.name+", "+mode.String(), r.color
				}
				for _, g := range r.gradients {
					line.points = append(line.points, cosineAt(g, mode, tensor)...)
				}
				if len(line.points) > 0 {
					c.series = append(c.series, line)
				}
			}
		}
		c.lines = []refLine{{1, "exact"}}
		charts = append(charts, c)
	}
	return charts
}

// cosineAt is the cosine of one tensor in one comparison, if it is there.
func cosineAt(g attnGradientRecord, mode AttentionBackward, tensor string) []point {
	for _, row := range g.Rows {
		if row.Mode == mode.String() && row.Tensor == tensor {
			return []point{{float64(g.Step), float64(row.Cosine)}}
		}
	}
	return nil
}

// planTimeline shows what was frozen and how many micro-batches made a step.
func planTimeline(runs []phaseRun) *timeline {
	t := &timeline{Title: "Plan", Note: "what was frozen, and micro-batches a step (×)"}
	for _, r := range runs {
		t.epochs = max(t.epochs, len(r.epochs))
		prefix := ""
		if len(runs) > 1 {
			prefix = r.log.name + ": "
		}
		accum := make([]string, len(r.epochs))
		frozen := map[string][]string{}
		var order []string
		for i, e := range r.epochs {
			accum[i] = fmt.Sprintf("×%d", e.Accum)
			for _, group := range nameGroups(e.Frozen) {
				if frozen[group] == nil {
					frozen[group] = make([]string, len(r.epochs))
					order = append(order, group)
				}
				frozen[group][i] = "frozen"
			}
		}
		t.rows = append(t.rows, timelineRow{prefix + "accumulation", r.color, spansOf(accum)})
		for _, group := range order {
			t.rows = append(t.rows, timelineRow{prefix + group, r.color, spansOf(frozen[group])})
		}
	}
	return t
}

// distinct returns the different values of the runs, in their order.
func distinct(runs []phaseRun, value func(phaseRun) float64) []float64 {
	var values []float64
	for _, r := range runs {
		if v := value(r); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}
