package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// Records of runs, and what a reader sees on a page: values at the axes and under the pointer.

// fullRun returns the records of a run of three epochs with every kind of record.
func fullRun() []any {
	epoch := func(n int, loss, val float64) *runlog.Epoch {
		validation := strictjson.Float(val)
		return &runlog.Epoch{Event: "epoch", Phase: "pretrain", Epoch: n, Epochs: 4, Step: 10 * n,
			AvgLoss: strictjson.Float(loss), PPL: strictjson.Float(math.Exp(loss)), AvgGradNorm: 2, LR: 1e-4,
			SamplesPerSec: 10, TokensPerSec: 100, ValLoss: &validation, BestLoss: validation, Accum: 1,
			Frozen: []string{"h.0.attn.c_attn.weight"}, ClippedShare: 0.5,
			UpdateRatio: map[string]strictjson.Float{"attention": 0, "embedding": 1e-3}}
	}
	return []any{
		runlog.Run{Event: "run", Config: map[string]string{"clip": "1", "lr": "0.0001"}, Seed: 1,
			Data: map[string]string{"pretrain": "ab"}, Parameters: 1234567, Vocab: 300, Kernel: "generic", Version: "0.1"},
		epoch(1, 5, 5.2),
		runlog.Sample{Event: "sample", Phase: "pretrain", Epoch: 1, Prompt: "Once <b>", Text: "upon a time"},
		runlog.AttnGradient{Event: "attn_gradient", Phase: "pretrain", Step: 15, Rows: []runlog.GradDistance{
			{Tensor: runlog.WholeGradient, Mode: "stop-gradient", RelErr: 0.1, Cosine: 0.99, NormRatio: 1}}},
		epoch(2, 4, 4.5), epoch(3, 3, 4.8),
		runlog.End{Event: "end", Reason: runlog.EarlyStop, Health: map[string]runlog.Health{}, ElapsedSec: 1.5},
	}
}

// epochsOf returns the epochs among the records of a run.
func epochsOf(records []any) (epochs []*runlog.Epoch) {
	for _, r := range records {
		if e, ok := r.(*runlog.Epoch); ok {
			epochs = append(epochs, e)
		}
	}
	return epochs
}

// withConfig returns the records of a run with another configuration.
func withConfig(records []any, config map[string]string) []any {
	run := records[0].(runlog.Run)
	run.Config = config
	return append([]any{run}, records[1:]...)
}

// linesOf returns records as the lines of a log.
func linesOf(t testing.TB, records []any) []byte {
	var log bytes.Buffer
	for _, r := range records {
		line, err := json.Marshal(r)
		require.NoError(t, err)
		log.Write(append(line, '\n'))
	}
	return log.Bytes()
}

// pageOf returns the page of runs that are read from their logs, a.jsonl, b.jsonl and so on.
func pageOf(t *testing.T, runs ...[]any) string {
	dir := t.TempDir()
	var logs []*runlog.Log
	for i, records := range runs {
		path := filepath.Join(dir, string(rune('a'+i))+".jsonl")
		require.NoError(t, os.WriteFile(path, linesOf(t, records), 0o644))
		l, err := runlog.ReadFile(path)
		require.NoError(t, err)
		logs = append(logs, l)
	}
	path := filepath.Join(dir, "page.html")
	require.NoError(t, WriteRuns(path, logs))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(page)
}

// requireSelfContained requires that a page loads nothing, runs no script and holds well-formed drawings without a
// coordinate that is NaN or infinite.
func requireSelfContained(t *testing.T, page string) {
	t.Helper()
	require.NotRegexp(t, `<script|https?://|@import|url\(|javascript:|ZgotmplZ`, page)
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	require.NotEmpty(t, drawings)
	for _, svg := range drawings {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.NotRegexp(t, `="[^"]*(NaN|Inf)`, svg)
	}
}

// factsOf returns the facts of a page by their names.
func factsOf(page string) map[string]string {
	facts := map[string]string{}
	fact := regexp.MustCompile(`<div class="fact"><dt>([^<]*)</dt><dd>([^<]*)</dd>`)
	for _, m := range fact.FindAllStringSubmatch(page, -1) {
		facts[m[1]] = m[2]
	}
	return facts
}

// figureOf returns one figure of a page, from its heading to its end.
func figureOf(t *testing.T, page, title string) string {
	_, after, found := strings.Cut(page, "<h3>"+title+"</h3>")
	require.True(t, found, title)
	figure, _, _ := strings.Cut(after, "</figure>")
	return figure
}

// hoverText returns the lines that a figure shows under the pointer at a position along x, one for each series.
func hoverText(t *testing.T, figure, x string) []string {
	_, after, found := strings.Cut(figure, "<title>"+x+"\n")
	require.True(t, found, x)
	text, _, _ := strings.Cut(after, "</title>")
	return strings.Split(text, "\n")
}

// numbersIn returns the groups of every match as numbers, without matches in which a group is not a number.
func numbersIn(text, pattern string) (rows [][]float64) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		var row []float64
		for _, group := range match[1:] {
			if v, err := strconv.ParseFloat(group, 64); err == nil {
				row = append(row, v)
			}
		}
		if len(row) == len(match)-1 {
			rows = append(rows, row)
		}
	}
	return rows
}

// yTicks returns the height and the value of every tick of the y axis.
func yTicks(figure string) [][]float64 {
	ticks := numbersIn(figure, `class="tick" x="[^"]*" y="([^"]*)" text-anchor="end">([^<]*)<`)
	for _, tick := range ticks {
		tick[0] -= 4 // from the baseline of the text to the middle of its digits
	}
	return ticks
}

// valueAt returns the value at a height, by the first and the last tick of a linear y axis.
func valueAt(figure string, y float64) float64 {
	ticks := yTicks(figure)
	a, b := ticks[0], ticks[len(ticks)-1]
	return a[1] + (y-a[0])/(b[0]-a[0])*(b[1]-a[1])
}

// refValues returns the values of the horizontal reference lines.
func refValues(figure string) (values []float64) {
	for _, line := range numbersIn(figure, `<path class="ref" d="M[^ ]* ([^H]*)H`) {
		values = append(values, valueAt(figure, line[0]))
	}
	return values
}
