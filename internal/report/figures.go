package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"gogpt/internal/chart"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// The figures of one phase: the curves of one run, or of several runs laid over each other.

const (
	explodedAbove = 1.5 // nats above ln vocab: the chart does not show larger losses
	wideRange     = 100 // largest ratio of gradient norms on a linear axis
)

// figure is a chart or a timeline. The template also reads its fields Title and Note.
type figure interface {
	Legend() []chart.Series
	SVG() template.HTML
}

// phaseRun is one phase of one run.
type phaseRun struct {
	log   *runlog.Log
	phase *runlog.Phase
	color int // index into the palette
}

// phaseFigures returns the figures of a phase, without charts that have no point.
func phaseFigures(runs []phaseRun) []figure {
	charts := []*chart.Chart{
		lossChart(runs), pplChart(runs), normChart(runs), clippedChart(runs), rateChart(runs), speedChart(runs)}
	charts = append(charts, ratioCharts(runs)...)
	charts = append(charts, gradientCharts(runs)...)
	var figures []figure
	for _, c := range charts {
		if !c.Empty() {
			figures = append(figures, c)
		}
	}
	return append(figures, planTimeline(runs))
}

// perEpoch returns one line for each run: a value of every epoch.
func perEpoch(runs []phaseRun, value func(*runlog.Epoch) strictjson.Float) []chart.Series {
	var lines []chart.Series
	for _, r := range runs {
		line := chart.Series{Name: r.log.Name, Color: r.color, Listed: true}
		for _, e := range r.phase.Epochs {
			line.Points = append(line.Points, chart.Point{X: float64(e.Epoch), Y: float64(value(e))})
		}
		lines = append(lines, line)
	}
	return lines
}

// lossLines returns lines of of(loss) for the training losses and, dashed for several runs, for the validation losses.
// A ring marks the best epoch of each run on the line of the monitored loss.
func lossLines(runs []phaseRun, of func(nats float64) float64) []chart.Series {
	train := perEpoch(runs, func(e *runlog.Epoch) strictjson.Float {
		return strictjson.Float(of(float64(e.AvgLoss)))
	})
	val := perEpoch(runs, func(e *runlog.Epoch) strictjson.Float {
		if e.ValLoss == nil {
			return strictjson.Float(math.NaN())
		}
		return strictjson.Float(of(float64(*e.ValLoss)))
	})
	var lines []chart.Series
	for i, r := range runs {
		val[i].Name, val[i].Dashed, val[i].Listed = r.log.Name+", validation", true, false
		if len(runs) == 1 {
			train[i].Name = "training"
			val[i].Name, val[i].Color, val[i].Listed = "validation", 1, true
		}
		lines = append(lines, train[i])
		if best := r.phase.Best(); best != nil {
			if best.ValLoss != nil {
				lines = append(lines, val[i])
			}
			lines[len(lines)-1].Best = &chart.Point{X: float64(best.Epoch), Y: of(best.Monitored())}
		}
	}
	return lines
}

// lossChart shows the losses, and ln vocab, the loss of a model that gives every token the same probability.
func lossChart(runs []phaseRun) *chart.Chart {
	c := &chart.Chart{Title: "Loss", Note: "nats per token; the ring marks the best epoch", XName: "epoch",
		Series: lossLines(runs, func(nats float64) float64 { return nats })}
	for _, v := range distinct(runs, func(r phaseRun) float64 { return float64(r.log.Run.Vocab) }) {
		name := fmt.Sprintf("ln vocab = %.2f, guessing among %.0f", math.Log(v), v)
		c.Lines = append(c.Lines, chart.RefLine{Y: math.Log(v), Name: name})
	}
	return lossNotes(c, runs, math.Log)
}

// pplChart shows exp of the losses.
func pplChart(runs []phaseRun) *chart.Chart {
	c := &chart.Chart{Title: "Perplexity", Note: "exp(loss), logarithmic", XName: "epoch", Log: true,
		Series: lossLines(runs, math.Exp)}
	for _, v := range distinct(runs, func(r phaseRun) float64 { return float64(r.log.Run.Vocab) }) {
		c.Lines = append(c.Lines, chart.RefLine{Y: v, Name: fmt.Sprintf("vocab = %.0f", v)})
	}
	return lossNotes(c, runs, func(v float64) float64 { return v })
}

// lossNotes cuts off losses more than explodedAbove above ln vocab, and explains the cut and the dashes. scale maps a
// perplexity to the y axis.
func lossNotes(c *chart.Chart, runs []phaseRun, scale func(ppl float64) float64) *chart.Chart {
	for _, r := range runs {
		c.Top = max(c.Top, scale(float64(r.log.Run.Vocab)*math.Exp(explodedAbove)))
	}
	if slices.ContainsFunc(c.Series, func(s chart.Series) bool { return s.Exceeds(c.Top) }) {
		c.Note += fmt.Sprintf("; above %s cut off", chart.ShortNumber(c.Top))
	}
	if len(runs) > 1 && slices.ContainsFunc(c.Series, func(s chart.Series) bool { return s.Dashed }) {
		c.Note += "; dashed: validation"
	}
	return c
}

// normChart shows the gradient norms and the limits of clipping.
func normChart(runs []phaseRun) *chart.Chart {
	c := &chart.Chart{Title: "Gradient norm", Note: "of all parameters, before clipping, mean of the epoch",
		XName: "epoch", FromZero: true,
		Series: perEpoch(runs, func(e *runlog.Epoch) strictjson.Float { return e.AvgGradNorm })}
	var norms []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			norms = append(norms, p.Y)
		}
	}
	if y := chart.NewAxis(norms, true); y.High-y.Low > math.Log10(wideRange) {
		c.Log, c.FromZero, c.Note = true, false, c.Note+", logarithmic"
	}
	for _, v := range distinct(runs, phaseRun.clip) {
		if v > 0 {
			c.Lines = append(c.Lines, chart.RefLine{Y: v, Name: "clip " + chart.ShortNumber(v)})
		}
	}
	return c
}

// clip returns the limit of the gradient norm, or 0 when there is none: --clip-logits bounds another norm.
func (r phaseRun) clip() float64 {
	if r.log.Run.Config["clip-logits"] == "true" {
		return 0
	}
	v, _ := strconv.ParseFloat(r.log.Run.Config["clip"], 64)
	return v
}

// clippedChart shows the share of clipped steps.
func clippedChart(runs []phaseRun) *chart.Chart {
	return &chart.Chart{Title: "Clipped steps", Note: "per cent of the epoch's steps", XName: "epoch", FromZero: true,
		Series: perEpoch(runs, func(e *runlog.Epoch) strictjson.Float { return 100 * e.ClippedShare })}
}

// rateChart shows the learning rate.
func rateChart(runs []phaseRun) *chart.Chart {
	return &chart.Chart{Title: "Learning rate", Note: "of the epoch's last step", XName: "epoch", FromZero: true,
		Series: perEpoch(runs, func(e *runlog.Epoch) strictjson.Float { return e.LR })}
}

// speedChart shows the tokens per second.
func speedChart(runs []phaseRun) *chart.Chart {
	return &chart.Chart{Title: "Speed", Note: "tokens per second", XName: "epoch", FromZero: true,
		Series: perEpoch(runs, func(e *runlog.Epoch) strictjson.Float { return e.TokensPerSec })}
}

// ratioCharts returns charts of the update-to-weight ratio: for one run all groups in one chart, for several runs one
// chart per group.
func ratioCharts(runs []phaseRun) []*chart.Chart {
	var charts []*chart.Chart
	for i, group := range runlog.TensorGroups {
		lines := perEpoch(runs, func(e *runlog.Epoch) strictjson.Float { return e.UpdateRatio[group] })
		if len(runs) == 1 && i > 0 {
			lines[0].Name, lines[0].Color = group, i
			charts[0].Series = append(charts[0].Series, lines...)
			continue
		}
		charts = append(charts, &chart.Chart{Title: "Update ratio: " + group,
			Note: "‖Δw‖/‖w‖ of the epoch's last step, logarithmic", XName: "epoch", Log: true, Series: lines})
	}
	if len(runs) == 1 {
		charts[0].Title = "Update-to-weight ratio"
		charts[0].Series[0].Name, charts[0].Series[0].Color = runlog.TensorGroups[0], 0
	}
	return charts
}

// gradientCharts returns charts of the cosine between each approximate gradient and the exact one, over the steps that
// compared them.
func gradientCharts(runs []phaseRun) []*chart.Chart {
	var charts []*chart.Chart
	modes := gradientModes(runs)
	for _, tensor := range []string{runlog.WholeGradient, "h.0 (input)"} {
		c := &chart.Chart{Title: "Attention backward: " + tensor,
			Note: "cosine between the approximate gradient and the exact one", XName: "step"}
		for _, r := range runs {
			for i, mode := range modes {
				line := chart.Series{Name: mode, Color: i, Dashed: i > 0, Listed: true}
				if len(runs) > 1 {
					line.Name, line.Color = r.log.Name+", "+mode, r.color
				}
				for _, g := range r.phase.Gradients {
					line.Points = append(line.Points, cosineAt(g, mode, tensor)...)
				}
				if len(line.Points) > 0 {
					c.Series = append(c.Series, line)
				}
			}
		}
		c.Lines = []chart.RefLine{{Y: 1, Name: "exact"}}
		charts = append(charts, c)
	}
	return charts
}

// gradientModes returns the modes that the runs compared with the exact gradient, each once.
func gradientModes(runs []phaseRun) []string {
	var modes []string
	for _, r := range runs {
		for _, g := range r.phase.Gradients {
			for _, row := range g.Rows {
				if !slices.Contains(modes, row.Mode) {
					modes = append(modes, row.Mode)
				}
			}
		}
	}
	return modes
}

// cosineAt returns the cosine of one tensor in one comparison as a point, or nil if the comparison lacks it.
func cosineAt(g runlog.AttnGradient, mode, tensor string) []chart.Point {
	for _, row := range g.Rows {
		if row.Mode == mode && row.Tensor == tensor {
			return []chart.Point{{X: float64(g.Step), Y: float64(row.Cosine)}}
		}
	}
	return nil
}

// planTimeline shows which layers were frozen and how many micro-batches made a step.
func planTimeline(runs []phaseRun) *chart.Timeline {
	t := &chart.Timeline{Title: "Plan", Note: "what was frozen, and micro-batches per step (×)"}
	for _, r := range runs {
		t.Epochs = max(t.Epochs, len(r.phase.Epochs))
		prefix := ""
		if len(runs) > 1 {
			prefix = r.log.Name + ": "
		}
		accum := make([]string, len(r.phase.Epochs))
		frozen := map[string][]string{}
		var order []string
		for i, e := range r.phase.Epochs {
			accum[i] = fmt.Sprintf("×%d", e.Accum)
			for _, group := range runlog.Groups(e.Frozen) {
				if frozen[group] == nil {
					frozen[group] = make([]string, len(r.phase.Epochs))
					order = append(order, group)
				}
				frozen[group][i] = "frozen"
			}
		}
		add := func(name string, states []string) {
			t.Rows = append(t.Rows, chart.Row{Name: prefix + name, Color: r.color, Spans: chart.SpansOf(states)})
		}
		add("accumulation", accum)
		for _, group := range order {
			add(group, frozen[group])
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
