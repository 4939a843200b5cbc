package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pageOf draws the report of runs from their logs.
func pageOf(t *testing.T, logs ...string) string {
	dir := t.TempDir()
	args := []string{"report", "-o", filepath.Join(dir, "page.html")}
	for i, log := range logs {
		path := filepath.Join(dir, string(rune('a'+i))+".jsonl")
		require.NoError(t, os.WriteFile(path, []byte(log), 0o644))
		args = append(args, path)
	}
	code, out, err := gogpt(t, args...)
	require.Equal(t, exitOK, code, err)
	require.Empty(t, out)
	page, readErr := os.ReadFile(filepath.Join(dir, "page.html"))
	require.NoError(t, readErr)
	return string(page)
}

func TestTheReportShowsWhatTheLogHolds(t *testing.T) {
	page := pageOf(t, logOf(t, testRun()))
	for _, want := range []string{"<h3>Loss</h3>", "<h3>Perplexity</h3>", "<h3>Gradient norm</h3>", "<h3>Clipped steps</h3>", "<h3>Learning rate</h3>",
		"<h3>Speed</h3>", "<h3>Update-to-weight ratio</h3>", "<h3>Attention backward: all parameters</h3>", "<h3>Plan</h3>",
		"ln V = 5.70", "clip 1", "4.5000", "3 of 4", "50 %", "early stop", "Once &lt;b&gt;</span>upon a time", "1\u202f234\u202f567", ">h.0.attn.c_attn<", "gradient norm ok"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "Attention backward: h.0 (input)", "the log has no such row")
	require.NotContains(t, page, "Where the runs differ")
}

func TestTheReportLoadsNothingAndRunsNoScript(t *testing.T) {
	page := pageOf(t, logOf(t, testRun()))
	require.NotRegexp(t, `<script|https?://|@import|url\(|javascript:|ZgotmplZ`, page)
	require.Contains(t, page, "prefers-color-scheme: dark")
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		requireXML(t, svg)
	}
}

func TestSeveralRunsAreLaidOverEachOther(t *testing.T) {
	other := testRun()
	run := other[0].(runRecord)
	run.Config = map[string]string{"clip": "0.5", "lr": "0.0001"}
	other[0] = run
	page := pageOf(t, logOf(t, testRun()), logOf(t, other[:2]))
	require.Contains(t, page, "Where the runs differ")
	require.Contains(t, page, "<td>clip</td><td>1</td><td>0.5</td>")
	require.Contains(t, page, "clip 0.5")
	require.Contains(t, page, "none in the log", "the second run has no end")
	require.Contains(t, page, "Update ratio: embedding")
	require.Contains(t, page, "dashed: validation")
	loss := page[strings.Index(page, "<h3>Loss</h3>"):strings.Index(page, "<h3>Perplexity</h3>")]
	require.Equal(t, 2, strings.Count(loss, "<li>"), "a legend of two runs")
	require.Equal(t, 4, strings.Count(loss, `class="line`), "training and validation of both")
}

func TestAnExplosionLeavesTheChartAndIsSaid(t *testing.T) {
	records := testRun()
	records[4].(*epochRecord).AvgLoss = 5000
	records[4].(*epochRecord).AvgGradNorm = 1e6
	page := pageOf(t, logOf(t, records))
	require.Contains(t, page, "above 7.204 cut off", "ln 300 + 1.5")
	require.Contains(t, page, "mean of the epoch, logarithmic")
}

func TestTheReportOfARunIsThatOfItsLog(t *testing.T) {
	dir := t.TempDir()
	log, own, later := filepath.Join(dir, "run.jsonl"), filepath.Join(dir, "run.html"), filepath.Join(dir, "later.html")
	trained(t, "--pretrain-epochs=2", "--finetune-epochs=1", "--val-fraction=0.2", "--log-json="+log, "--report="+own)
	code, _, errText := gogpt(t, "report", log, "-o", later)
	require.Equal(t, exitOK, code, errText)
	want, err := os.ReadFile(own)
	require.NoError(t, err)
	got, err := os.ReadFile(later)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestRunsOfTheSameNameAreToldApart(t *testing.T) {
	runs := []*runLog{{name: "run"}, {name: "run"}, {name: "other"}}
	nameRuns(runs)
	require.Equal(t, "run (2)", runs[1].name)
	require.Equal(t, "other", runs[2].name)
}

func TestTheReportCommandRefusesWhatItCannotDraw(t *testing.T) {
	code, _, err := gogpt(t, "report", "-o", "x.html")
	require.Equal(t, exitUsage, code)
	require.Equal(t, 1, strings.Count(err, "\n"))
	code, _, err = gogpt(t, "report", "-o", filepath.Join(t.TempDir(), "x.html"), textFile(t, "bad.jsonl", "{}\n"))
	require.Equal(t, exitError, code)
	require.Contains(t, err, "bad.jsonl: line 1:")
	code, _, err = gogpt(t, tiny("--report="+filepath.Join(t.TempDir(), "no", "x.html"))...)
	require.Equal(t, exitError, code, "before training")
	require.Contains(t, err, "x.html")
}

func TestAReportThatCannotBeWrittenFailsTheRun(t *testing.T) {
	r := newReportLog(filepath.Join(t.TempDir(), "no", "x.html"))
	records := testRun()
	for _, record := range records[:len(records)-1] {
		require.NoError(t, r.observe(record))
	}
	require.ErrorContains(t, r.observe(records[len(records)-1]), "report: ")
}

func TestARunWithoutAnEpochStillHasAPage(t *testing.T) {
	var page bytes.Buffer
	l, err := parseRunLog([]byte(logOf(t, testRun()[:1])))
	require.NoError(t, err)
	require.NoError(t, pageTemplate.ExecuteTemplate(&page, "report", newReportPage([]*runLog{l})))
	require.Contains(t, page.String(), "none in the log")
}

// factsOf reads the small figures of a page by their names.
func factsOf(page string) map[string]string {
	facts := map[string]string{}
	fact := regexp.MustCompile(`<div class="fact"><dt>([^<]*)</dt><dd>([^<]*)</dd>`)
	for _, m := range fact.FindAllStringSubmatch(page, -1) {
		facts[m[1]] = m[2]
	}
	return facts
}

func TestReport_TheFactsAreThoseOfTheRun(t *testing.T) {
	records := testRun()
	for i, c := range []struct {
		step          int
		clipped, pace float64
	}{{10, 1, 100}, {20, 0.5, 300}, {25, 0, 200}} {
		r := records[[]int{1, 4, 5}[i]].(*epochRecord)
		r.Step, r.ClippedShare, r.TokensPerSec = c.step, jsonFloat(c.clipped), jsonFloat(c.pace)
	}
	end := records[6].(endRecord)
	end.ElapsedSec = 83.4
	records[6] = end
	facts := factsOf(pageOf(t, logOf(t, records)))
	for name, want := range map[string]string{
		"vocabulary": "300", "seed": "1", "kernel": "generic", "end": "early stop", "time": "1m23.4s",
		"best validation loss": "4.5000", "its perplexity": "90.02", "best epoch": "2",
		"epochs": "3 of 4", "last training loss": "3.0000", "steps": "25",
		"tokens a second": "200",  // the median
		"clipped steps":   "60 %", // 10 of the first ten, 5 of the next ten, none of the last five
	} {
		require.Equal(t, want, facts[name], name)
	}
	require.NotContains(t, facts, "best training loss")

	for _, i := range []int{1, 4, 5} {
		records[i].(*epochRecord).ValLoss = nil
	}
	facts = factsOf(pageOf(t, logOf(t, records)))
	require.Equal(t, []string{"3.0000", "3"}, []string{facts["best training loss"], facts["best epoch"]})
	require.NotContains(t, facts, "best validation loss")
}
