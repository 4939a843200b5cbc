package report

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/chart"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

func TestFigures_EachShowsItsFieldInItsUnit(t *testing.T) {
	page := pageOf(t, fullRun())
	for title, want := range map[string][]string{
		"Loss":                   {"training: 4", "validation: 4.5"},
		"Perplexity":             {"training: 54.6", "validation: 90.02"}, // exp(4), exp(4.5)
		"Gradient norm":          {"a: 2"},
		"Clipped steps":          {"a: 50"}, // per cent
		"Learning rate":          {"a: 1e-4"},
		"Speed":                  {"a: 100"},
		"Update-to-weight ratio": {"embedding: 1e-3", "attention: 0"},
	} {
		require.Subset(t, hoverText(t, figureOf(t, page, title), "epoch 2"), want, title)
	}
}

func TestFigures_AReferenceLineMarksLnV(t *testing.T) {
	lines := refValues(figureOf(t, pageOf(t, fullRun()), "Loss"))
	require.Len(t, lines, 1)
	require.InDelta(t, math.Log(300), lines[0], 0.02)
}

func TestFigures_AReferenceLineMarksTheLimitOfClipping(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		want   []float64
	}{
		{map[string]string{"clip": "1"}, []float64{1}},
		{map[string]string{"clip": "0.5", "clip-logits": "false"}, []float64{0.5}},
		{map[string]string{"clip": "0"}, nil},
		{map[string]string{"clip": "1", "clip-logits": "true"}, nil}, // which bounds no norm of parameters
	} {
		lines := refValues(figureOf(t, pageOf(t, withConfig(fullRun(), c.config)), "Gradient norm"))
		require.Len(t, lines, len(c.want), "%v", c.config)
		for i := range lines {
			require.InDelta(t, c.want[i], lines[i], 0.02)
		}
	}
}

func TestFigures_NormsFarApartHaveALogarithmicAxis(t *testing.T) {
	for ratio, logarithmic := range map[float64]bool{1: false, 50: false, 99: false, 101: true, 500: true} {
		records := fullRun()
		epochsOf(records)[1].AvgGradNorm = strictjson.Float(2 * ratio)
		figure := figureOf(t, pageOf(t, records), "Gradient norm")
		require.Equal(t, logarithmic, strings.Contains(figure, "logarithmic"), "norms up to %g times the least", ratio)
	}
}

func TestFigures_AnAxisFromZeroBeginsAtTheXAxis(t *testing.T) {
	page := pageOf(t, fullRun())
	for _, title := range []string{"Gradient norm", "Clipped steps", "Learning rate", "Speed"} {
		figure := figureOf(t, page, title)
		bottom := numbersIn(figure, `<path class="axis" d="M[^ ]* ([^H]*)H`)
		require.Len(t, bottom, 1)
		require.Equal(t, []float64{bottom[0][0], 0}, yTicks(figure)[0], title)
	}
}

func TestFigures_AnExplosionIsCutOffAndNoted(t *testing.T) {
	records := fullRun()
	epochsOf(records)[1].AvgLoss = 5000
	epochsOf(records)[1].AvgGradNorm = 1e6
	page := pageOf(t, records)
	require.Contains(t, page, "above 7.204 cut off", "ln 300 + 1.5")
	require.Contains(t, page, "mean of the epoch, logarithmic")
}

func TestFigures_ARingMarksTheLowestMonitoredLoss(t *testing.T) {
	l, err := runlog.Parse(linesOf(t, fullRun()))
	require.NoError(t, err)
	runs := []phaseRun{{log: l, phase: l.Phases[0]}}
	nats := func(nats float64) float64 { return nats }
	lines := lossLines(runs, nats)
	require.Len(t, lines, 2)
	require.Nil(t, lines[0].Best, "the training loss is not monitored")
	require.Equal(t, &chart.Point{X: 2, Y: 4.5}, lines[1].Best)
	for _, e := range l.Phases[0].Epochs {
		e.ValLoss = nil
	}
	lines = lossLines(runs, nats)
	require.Len(t, lines, 1)
	require.Equal(t, &chart.Point{X: 3, Y: 3}, lines[0].Best)
}
