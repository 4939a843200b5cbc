package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

func TestReport_ShowsWhatTheLogHolds(t *testing.T) {
	page := pageOf(t, fullRun())
	for _, want := range []string{"<h3>Loss</h3>", "<h3>Perplexity</h3>", "<h3>Gradient norm</h3>",
		"<h3>Clipped steps</h3>", "<h3>Learning rate</h3>", "<h3>Speed</h3>", "<h3>Update-to-weight ratio</h3>",
		"<h3>Attention backward: all parameters</h3>", "<h3>Plan</h3>", "ln vocab = 5.70",
		"clip 1", "4.5000", "3 of 4", "50 %",
		"early stop", "Once &lt;b&gt;</span>upon a time", "1\u202f234\u202f567", ">h.0.attn.c_attn<", "gradient norm ok"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "Attention backward: h.0 (input)", "the log has no such row")
	require.NotContains(t, page, "Where the runs differ")
}

func TestReport_LoadsNothingAndRunsNoScript(t *testing.T) {
	page := pageOf(t, fullRun())
	requireSelfContained(t, page)
	require.Contains(t, page, "prefers-color-scheme: dark")
}

func TestReport_LaysSeveralRunsOverEachOther(t *testing.T) {
	other := withConfig(fullRun(), map[string]string{"clip": "0.5", "lr": "0.0001"})
	page := pageOf(t, fullRun(), other[:2])
	require.Contains(t, page, "Where the runs differ")
	require.Contains(t, page, "<td>clip</td><td>1</td><td>0.5</td>")
	require.Contains(t, page, "clip 0.5")
	require.Contains(t, page, "none in the log", "the second run has no end")
	require.Contains(t, page, "Update ratio: embedding")
	require.Contains(t, page, "dashed: validation")
	loss := figureOf(t, page, "Loss")
	require.Equal(t, 2, strings.Count(loss, "<li>"), "a legend of two runs")
	require.Equal(t, 4, strings.Count(loss, `class="line`), "training and validation of both")
}

func TestReport_NumbersRunsOfTheSameName(t *testing.T) {
	runs := []*runlog.Log{{Name: "run"}, {Name: "run"}, {Name: "other"}}
	nameRuns(runs)
	require.Equal(t, []string{"run", "run (2)", "other"}, []string{runs[0].Name, runs[1].Name, runs[2].Name})
}

func TestReport_ARunWithoutAnEpochHasAPage(t *testing.T) {
	require.Contains(t, pageOf(t, fullRun()[:1]), "none in the log")
}

func TestReport_APageIsWrittenWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "x.html")
	require.ErrorContains(t, WriteRuns(path, nil), path)
	path = filepath.Join(t.TempDir(), "x.html")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
	require.Error(t, writePage(path, "no such template", nil))
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(old))
}

func TestReport_TheFactsAreThoseOfTheRun(t *testing.T) {
	records := fullRun()
	for i, c := range []struct {
		step           int
		clipped, speed strictjson.Float
	}{{10, 1, 100}, {20, 0.5, 300}, {25, 0, 200}} {
		e := epochsOf(records)[i]
		e.Step, e.ClippedShare, e.TokensPerSec = c.step, c.clipped, c.speed
	}
	end := records[6].(runlog.End)
	loss, exact := strictjson.Float(0.5), strictjson.Float(0.025)
	end.ElapsedSec, end.Heldout, end.ExactMatch = 83.4, &loss, &exact
	records[6] = end
	facts := factsOf(pageOf(t, records))
	for name, want := range map[string]string{
		"vocabulary": "300", "seed": "1", "kernel": "generic", "end": "early stop", "time": "1m23.4s",
		"best validation loss": "4.5000", "its perplexity": "90.02", "best epoch": "2",
		"epochs": "3 of 4", "last training loss": "3.0000", "steps": "25",
		"loss on held-out questions": "0.5", "held-out questions answered word for word": "2.5 %",
		"tokens per second": "200",  // the median
		"clipped steps":     "60 %", // 10 of the first ten, 5 of the next ten, none of the last five
	} {
		require.Equal(t, want, facts[name], name)
	}
	require.NotContains(t, facts, "best training loss")

	for _, e := range epochsOf(records) {
		e.ValLoss = nil
	}
	facts = factsOf(pageOf(t, records))
	require.Equal(t, []string{"3.0000", "3"}, []string{facts["best training loss"], facts["best epoch"]})
	require.NotContains(t, facts, "best validation loss")
}

// Every log that can be read makes a page.
func FuzzReport(f *testing.F) {
	f.Add(linesOf(f, fullRun()))
	f.Add(linesOf(f, fullRun()[:1]))
	f.Add([]byte(`{"event":"run","config":null,"seed":1,"data":{"pretrain":"ab"},"parameters":1,"vocab":300,` +
		`"kernel":"k","version":"v"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := runlog.Parse(data)
		if err != nil {
			return
		}
		var page strings.Builder
		require.NoError(t, pageTemplate.ExecuteTemplate(&page, "report", newRunsPage([]*runlog.Log{l})))
		require.Contains(t, page.String(), "</html>")
	})
}
