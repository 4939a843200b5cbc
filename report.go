package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The report: one page of one or several runs, made from their records alone, so that a run's own report and one drawn
// later from its log are the same. The page holds its style and its drawings; it loads nothing and runs no script.

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// reportPage is what the template shows.
type reportPage struct {
	Title  string
	Runs   []runCard
	Phases []phaseSection
	Config configTable
}

// runCard tells what a run was and how it ended.
type runCard struct {
	Name, Class string
	Facts       []fact
	Error       string
}

// fact is a small figure with its name.
type fact struct{ Name, Value string }

// phaseSection is one phase of all runs.
type phaseSection struct {
	Title   string
	Runs    []phaseCard
	Figures []figure
}

// phaseCard is the outcome of one phase of one run.
type phaseCard struct {
	Name, Class string
	Facts       []fact
	Health      health
	Samples     []sampleRecord
}

// Text is the verdict with its reasons.
func (h health) Text() string { return h.text }

// newReportPage lays out the runs in their order.
func newReportPage(runs []*runLog) *reportPage {
	nameRuns(runs)
	page := &reportPage{Title: "Training report", Config: newConfigTable(runs)}
	var phases []string
	for i, l := range runs {
		page.Runs = append(page.Runs, newRunCard(l, i))
		for _, p := range l.phases {
			if !slices.Contains(phases, p.name) {
				phases = append(phases, p.name)
			}
		}
	}
	for _, name := range phases {
		page.Phases = append(page.Phases, newPhaseSection(name, runs))
	}
	return page
}

// nameRuns tells runs with the same name apart by numbers.
func nameRuns(runs []*runLog) {
	seen := map[string]int{}
	for _, l := range runs {
		if seen[l.name]++; seen[l.name] > 1 {
			l.name = fmt.Sprintf("%s (%d)", l.name, seen[l.name])
		}
	}
}

func newRunCard(l *runLog, color int) runCard {
	card := runCard{Name: l.name, Class: series{color: color}.Class(), Facts: []fact{
		{"parameters", groupedDigits(l.run.Parameters)}, {"vocabulary", fmt.Sprint(l.run.Vocab)},
		{"seed", fmt.Sprint(l.run.Seed)}, {"kernel", l.run.Kernel}}}
	if l.end == nil {
		card.Facts = append(card.Facts, fact{"end", "none in the log"})
		return card
	}
	elapsed := time.Duration(float64(l.end.ElapsedSec) * float64(time.Second)).Round(time.Second / 10)
	card.Facts = append(card.Facts, fact{"end", strings.ReplaceAll(l.end.Reason, "_", " ")}, fact{"time", elapsed.String()})
	if l.end.Heldout != nil {
		card.Facts = append(card.Facts, fact{"loss on held-out questions", shortNumber(float64(*l.end.Heldout))})
	}
	card.Error = l.end.Error
	return card
}

// groupedDigits writes a whole number in groups of three digits, which a narrow space parts.
func groupedDigits(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func newPhaseSection(name string, runs []*runLog) phaseSection {
	section := phaseSection{Title: map[string]string{"pretrain": "Pretraining", "finetune": "Instruction tuning"}[name]}
	if section.Title == "" {
		section.Title = name
	}
	var taking []phaseRun
	for i, l := range runs {
		if p := l.find(name); p != nil && len(p.epochs) > 0 {
			taking = append(taking, phaseRun{l, p, i})
			section.Runs = append(section.Runs, newPhaseCard(taking[len(taking)-1]))
		}
	}
	if len(taking) > 0 {
		section.Figures = phaseFigures(taking)
	}
	return section
}

func newPhaseCard(r phaseRun) phaseCard {
	best, last := r.best(), r.last()
	card := phaseCard{Name: r.log.name, Class: series{color: r.color}.Class(), Health: judge(r.epochs), Samples: r.samples}
	add := func(name, format string, value ...any) {
		card.Facts = append(card.Facts, fact{name, fmt.Sprintf(format, value...)})
	}
	watched := "training loss"
	if best.ValLoss != nil {
		watched = "validation loss"
	}
	add("best "+watched, "%.4f", best.monitored())
	add("its perplexity", "%s", shortNumber(math.Exp(best.monitored())))
	add("best epoch", "%d", best.Epoch)
	add("epochs", "%d of %d", last.Epoch, last.Epochs)
	add("last training loss", "%.4f", float64(last.AvgLoss))
	add("steps", "%s", groupedDigits(last.Step))
	add("clipped steps", "%.0f %%", 100*clippedShare(r.epochs))
	add("tokens a second", "%.0f", medianOf(r.epochs, func(e *epochRecord) float64 { return float64(e.TokensPerSec) }))
	return card
}

// clippedShare is the share of all steps of a phase that were clipped.
func clippedShare(epochs []*epochRecord) float64 {
	clipped, before := 0.0, 0
	for _, e := range epochs {
		clipped += float64(e.ClippedShare) * float64(e.Step-before)
		before = e.Step
	}
	return clipped / float64(before)
}

// configTable is the configuration of the runs: where they differ a value a run, otherwise one.
type configTable struct {
	Names   []string
	Differs []configRow
	Same    []fact
}

// configRow is one flag and its value in every run.
type configRow struct {
	Name   string
	Values []string
}

func newConfigTable(runs []*runLog) configTable {
	var table configTable
	flags := map[string]bool{}
	configs := make([]map[string]string, len(runs))
	for i, l := range runs {
		table.Names = append(table.Names, l.name)
		configs[i] = map[string]string{}
		maps.Copy(configs[i], l.run.Config)
		for phase, digest := range l.run.Data {
			configs[i]["SHA-256 of the "+phase+" data"] = digest
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

// writePage writes a page of the template to a file, whole or not at all.
func writePage(path, kind string, page any) error {
	return saveFile(path, func(out io.Writer) error { return pageTemplate.ExecuteTemplate(out, kind, page) })
}

// reportLog is the observer that draws the report when the run ends.
type reportLog struct {
	runLog
	path string
}

func newReportLog(path string) *reportLog {
	return &reportLog{runLog: runLog{name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))}, path: path}
}

func (r *reportLog) observe(record any) error {
	err := r.runLog.observe(record)
	if err == nil && r.end != nil {
		err = writePage(r.path, "report", newReportPage([]*runLog{&r.runLog}))
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
