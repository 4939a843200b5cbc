package report

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/chart"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// ablationHTML returns the page of an ablation.
func ablationHTML(t *testing.T, s *Ablation) string {
	path := filepath.Join(t.TempDir(), "ablation.html")
	require.NoError(t, WriteAblation(path, s))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(page)
}

// shiftedAblation returns the stable configuration and changes that shift all losses.
func shiftedAblation(names []string, shifts []float64) *Ablation {
	stable := shiftedRuns(0)
	s := &Ablation{Seeds: []uint64{1, 2, 3},
		Changes: []Comparison{Compare(Change{Name: StableName}, stable, stable, leastDifference)}}
	for i, name := range names {
		c := Change{Name: name, What: "a change", Flags: []string{"--change", "--of=" + name}}
		s.Changes = append(s.Changes, Compare(c, shiftedRuns(shifts[i]), stable, leastDifference))
	}
	return s
}

// rowsOfShifts returns the row of each change, by its name, on the page of shiftedAblation.
func rowsOfShifts(t *testing.T, names []string, shifts []float64) (rows map[string]string) {
	rows = map[string]string{}
	for row := range strings.SplitSeq(ablationHTML(t, shiftedAblation(names, shifts)), "<tr>") {
		if _, after, found := strings.Cut(row, "<td><b>"); found {
			name, _, _ := strings.Cut(after, "</b>")
			rows[name], _, _ = strings.Cut(row, "</tr>")
		}
	}
	return rows
}

func TestAblationPage_LoadsNothingAndRunsNoScript(t *testing.T) {
	s := shiftedAblation([]string{"gains", "loses"}, []float64{-0.3, 0.3})
	nan := math.NaN()
	s.Changes = append(s.Changes, compared(endedRuns(nan, 4, nan), shiftedRuns(0)))
	page := ablationHTML(t, s)
	requireSelfContained(t, page)
	require.Equal(t, 3, strings.Count(page, "<figure>"), "one for each change")
	require.Contains(t, page, "--change --of=gains")
	require.Contains(t, page, "3 seeds each")
}

func TestAblationPage_CurvesShowEveryEpoch(t *testing.T) {
	runs := []*runlog.Log{uTurn(0), uTurn(0.5)}
	s := &Ablation{Changes: []Comparison{Compare(Change{Name: StableName}, runs, runs, leastDifference),
		Compare(Change{Name: "change"}, []*runlog.Log{uTurn(1), uTurn(1.5)}, runs, leastDifference)}}
	figure := figureOf(t, ablationHTML(t, s), "change")
	for x, want := range map[string][]string{ // the mean of both seeds
		"epoch 2": {"stable, training: 3.25", "stable: 4.25", "change, training: 4.25", "change: 5.25"},
		"epoch 3": {"stable, training: 2.75", "stable: 5", "change, training: 3.75", "change: 6"}, // not the best so far
	} {
		require.Equal(t, want, hoverText(t, figure, x))
	}
}

func TestAblationPage_AVerdictHasItsColour(t *testing.T) {
	rows := rowsOfShifts(t, []string{"gains", "loses", "neither"}, []float64{-0.3, 0.3, 0.001})
	for name, class := range map[string]string{"gains": "good", "loses": "bad", "neither": "open", StableName: "open"} {
		require.Contains(t, rows[name], `<td class="`+class+`">`, name)
		require.Equal(t, name != StableName, strings.Contains(rows[name], `class="dot `+class+`"`), name)
	}
}

func TestAblationPage_AnArrowMarksADifferenceBeyondTwiceTheMedian(t *testing.T) {
	names := []string{"little", "less", "middle", "explodes", "soars"}
	shifts := []float64{0.1, -0.2, 0.3, 5, -5}
	rows := rowsOfShifts(t, names, shifts)
	const reach = 2 * 0.3 // 0.3 is the median of the sizes
	for i, name := range names {
		dots := numbersIn(rows[name], `<circle class="dot [a-z]*" cx="([^"]*)"`)
		arrows := numbersIn(rows[name], `<path class="dot [a-z]*" d="M([^ ]*) `)
		if math.Abs(shifts[i]) > reach {
			require.Empty(t, dots, name)
			require.Equal(t, [][]float64{{100 + math.Copysign(100, shifts[i])}}, arrows, "the tip at the edge, better is left")
			continue
		}
		require.Empty(t, arrows, name)
		require.Len(t, dots, 1, name)
		require.InDelta(t, 100+shifts[i]/reach*95, dots[0][0], 0.06, name) // from the middle to 5 before the edge
	}
}

func TestLossBand_EndsWithTheShortestRun(t *testing.T) {
	runs := endedRuns(4, 5)
	more := strictjson.Float(3)
	runs[1].Phases[0].Epochs = append(runs[1].Phases[0].Epochs, &runlog.Epoch{Epoch: 2, ValLoss: &more})
	s := lossBand(runs, (*runlog.Epoch).Monitored)
	require.Equal(t, []chart.Point{{X: 1, Y: 4.5}}, s.Points)
	require.InDelta(t, 4.5-math.Sqrt(0.5), s.Band[0].Low, 1e-12)
	diverged := lossBand(endedRuns(math.NaN()), (*runlog.Epoch).Monitored)
	require.Len(t, diverged.Points, 1, "when all diverged, the band shows them")
}
