// Package report writes pages about training runs from their records alone: one page of one or several runs, and one of
// an ablation, which compares changes of a configuration. It knows nothing of the model.
//
// A page is one file of HTML with its style and its drawings inside (SVG). It loads nothing and runs no script.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gogpt/internal/atomicfile"
	"gogpt/internal/chart"
	"gogpt/internal/runlog"
)

// The page of one or several runs. A run's own report equals the one that is made later from its log.

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// runsPage is the content of the page of runs.
type runsPage struct {
	Title  string
	Runs   []runCard
	Phases []phaseSection
	Config configTable
}

// runCard says what was run and how it ended.
type runCard struct {
	Name, Class string
	Facts       []fact
	Error       string
}

// fact is a value with its name.
type fact struct{ Name, Value string }

// phaseSection is one phase of all runs.
type phaseSection struct {
	Title   string
	Runs    []phaseCard
	Figures []figure
}

// phaseCard is the result of one phase of one run.
type phaseCard struct {
	Name, Class string
	Facts       []fact
	Health      runlog.Health
	Samples     []runlog.Sample
}

// newRunsPage returns the page of the runs, in their order.
func newRunsPage(runs []*runlog.Log) *runsPage {
	nameRuns(runs)
	page := &runsPage{Title: "Training report", Config: newConfigTable(runs)}
	var phases []string
	for i, l := range runs {
		page.Runs = append(page.Runs, newRunCard(l, i))
		for _, p := range l.Phases {
			if !slices.Contains(phases, p.Name) {
				phases = append(phases, p.Name)
			}
		}
	}
	for _, name := range phases {
		page.Phases = append(page.Phases, newPhaseSection(name, runs))
	}
	return page
}

// nameRuns appends numbers to equal names of runs.
func nameRuns(runs []*runlog.Log) {
	seen := map[string]int{}
	for _, l := range runs {
		if seen[l.Name]++; seen[l.Name] > 1 {
			l.Name = fmt.Sprintf("%s (%d)", l.Name, seen[l.Name])
		}
	}
}

// newRunCard returns the card of a run in the colour of its lines.
func newRunCard(l *runlog.Log, color int) runCard {
	card := runCard{Name: l.Name, Class: chart.Series{Color: color}.Class(), Facts: []fact{
		{"parameters", groupedDigits(l.Run.Parameters)}, {"vocabulary", fmt.Sprint(l.Run.Vocab)},
		{"seed", fmt.Sprint(l.Run.Seed)}, {"kernel", l.Run.Kernel}}}
	if l.End == nil {
		card.Facts = append(card.Facts, fact{"end", "none in the log"})
		return card
	}
	elapsed := time.Duration(float64(l.End.ElapsedSec) * float64(time.Second)).Round(time.Second / 10)
	card.Facts = append(card.Facts,
		fact{"end", strings.ReplaceAll(l.End.Reason, "_", " ")}, fact{"time", elapsed.String()})
	if l.End.Heldout != nil {
		loss := chart.ShortNumber(float64(*l.End.Heldout))
		card.Facts = append(card.Facts, fact{"loss on held-out questions", loss})
	}
	if l.End.ExactMatch != nil {
		share := fmt.Sprintf("%.3g %%", 100*float64(*l.End.ExactMatch))
		card.Facts = append(card.Facts, fact{"held-out questions answered word for word", share})
	}
	card.Error = l.End.Error
	return card
}

// groupedDigits returns a whole number with a narrow space between groups of three digits.
func groupedDigits(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// newPhaseSection returns the section of a phase. Runs without an epoch of that phase are left out.
func newPhaseSection(name string, runs []*runlog.Log) phaseSection {
	section := phaseSection{Title: map[string]string{"pretrain": "Pretraining", "finetune": "Instruction tuning"}[name]}
	if section.Title == "" {
		section.Title = name
	}
	var shown []phaseRun
	for i, l := range runs {
		if p := l.Find(name); p != nil && len(p.Epochs) > 0 {
			r := phaseRun{l, p, i}
			shown = append(shown, r)
			section.Runs = append(section.Runs, newPhaseCard(r))
		}
	}
	if len(shown) > 0 {
		section.Figures = phaseFigures(shown)
	}
	return section
}

// newPhaseCard returns the results of one phase of one run, which has at least one epoch.
func newPhaseCard(r phaseRun) phaseCard {
	epochs, best, last := r.phase.Epochs, r.phase.Best(), r.phase.Last()
	card := phaseCard{Name: r.log.Name, Class: chart.Series{Color: r.color}.Class(),
		Health: runlog.Judge(epochs), Samples: r.phase.Samples}
	add := func(name, format string, value ...any) {
		card.Facts = append(card.Facts, fact{name, fmt.Sprintf(format, value...)})
	}
	monitored := "training loss"
	if best.ValLoss != nil {
		monitored = "validation loss"
	}
	add("best "+monitored, "%.4f", best.Monitored())
	add("its perplexity", "%s", chart.ShortNumber(math.Exp(best.Monitored())))
	add("best epoch", "%d", best.Epoch)
	add("epochs", "%d of %d", last.Epoch, last.Epochs)
	add("last training loss", "%.4f", float64(last.AvgLoss))
	add("steps", "%s", groupedDigits(last.Step))
	add("clipped steps", "%.0f %%", 100*clippedShare(epochs))
	speed := runlog.MedianOf(epochs, func(e *runlog.Epoch) float64 { return float64(e.TokensPerSec) })
	add("tokens per second", "%.0f", speed)
	return card
}

// clippedShare returns the share of clipped steps among all steps of a phase.
func clippedShare(epochs []*runlog.Epoch) float64 {
	clipped, before := 0.0, 0
	for _, e := range epochs {
		clipped += float64(e.ClippedShare) * float64(e.Step-before)
		before = e.Step
	}
	return clipped / float64(before)
}

// configTable is the configuration of the runs: the flags that differ with a value for each run, the others with one
// value.
type configTable struct {
	Names   []string
	Differs []configRow
	Same    []fact
}

// configRow is one flag with its value in every run.
type configRow struct {
	Name   string
	Values []string
}

// newConfigTable returns the flags and the digests of what the runs started from, in the order of their names.
func newConfigTable(runs []*runlog.Log) configTable {
	var table configTable
	flags := map[string]bool{}
	configs := make([]map[string]string, len(runs))
	for i, l := range runs {
		table.Names = append(table.Names, l.Name)
		configs[i] = map[string]string{}
		maps.Copy(configs[i], l.Run.Config)
		for name, digest := range l.Run.Data {
			configs[i]["SHA-256: "+name] = digest
		}
		for name := range configs[i] {
			flags[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		row := configRow{Name: name}
		for _, c := range configs {
			row.Values = append(row.Values, c[name])
		}
		if len(slices.Compact(slices.Clone(row.Values))) > 1 {
			table.Differs = append(table.Differs, row)
		} else {
			table.Same = append(table.Same, fact{name, row.Values[0]})
		}
	}
	return table
}

// WriteRuns writes the page of one or several runs to a file, whole or not at all. It numbers runs of the same name.
func WriteRuns(path string, runs []*runlog.Log) error {
	return writePage(path, "report", newRunsPage(runs))
}

// writePage writes a page with the template of that name to a file, whole or not at all.
func writePage(path, template string, page any) error {
	return atomicfile.Save(path, func(out io.Writer) error {
		return pageTemplate.ExecuteTemplate(out, template, page)
	})
}
