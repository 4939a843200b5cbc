package main

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The results of an ablation and the page that shows them.

// shiftedRuns are runs of three seeds whose losses lie this far from those of the stable configuration, on every seed.
func shiftedRuns(shift float64) []*runLog { return endedRuns(4+shift, 5+shift, 4.5+shift) }

// rowsOfShifts draws the page of changes that shift all losses, and returns the row of each by its name.
func rowsOfShifts(t *testing.T, names []string, shifts []float64) (rows map[string]string) {
	s := &ablationSummary{Seeds: []uint64{1, 2, 3}, Changes: []changeResult{
		newChangeResult(&ablation{Name: stableName}, nil, shiftedRuns(0), shiftedRuns(0))}}
	for i, name := range names {
		a := &ablation{Name: name, What: "a change"}
		s.Changes = append(s.Changes, newChangeResult(a, nil, shiftedRuns(shifts[i]), shiftedRuns(0)))
	}
	rows = map[string]string{}
	for row := range strings.SplitSeq(ablationHTML(t, s), "<tr>") {
		if _, after, found := strings.Cut(row, "<td><b>"); found {
			name, _, _ := strings.Cut(after, "</b>")
			rows[name], _, _ = strings.Cut(row, "</tr>")
		}
	}
	return rows
}

func ablationHTML(t *testing.T, s *ablationSummary) string {
	var page strings.Builder
	require.NoError(t, pageTemplate.ExecuteTemplate(&page, "ablation", newAblationPage(s)))
	return page.String()
}

func TestAblation_ADifferenceCountsFromAHundredthOfANat(t *testing.T) {
	for shift, want := range map[float64]string{
		0.007: "no difference: below 0.01 nats", -0.009: "no difference: below 0.01 nats",
		0.011: "worse by 0.011 nats", -0.011: "better by 0.011 nats",
	} {
		r := newChangeResult(&ablation{Name: "x"}, nil, shiftedRuns(shift), shiftedRuns(0))
		require.Equal(t, want, r.Verdict)
	}
}

func TestAblation_OnlyAVerdictOfHealthCountsAsHealthy(t *testing.T) {
	runs := endedRuns(4, 4, 4, 4)
	runs[0].phases[0].epochs = steadyRun()
	runs[1].phases[0].epochs = steadyRun()
	ill := steadyRun()
	ill[8].AvgLoss = 9
	runs[2].phases[0].epochs = ill
	require.Equal(t, "unknown", judge(runs[3].phases[0].epochs).Verdict, "the fourth is one epoch long")
	r := newChangeResult(&ablation{Name: "x"}, nil, runs, endedRuns(4, 4, 4, 4))
	require.Equal(t, []int{4, 2}, []int{r.Runs, r.Healthy})
}

// uTurn is a run whose validation loss is best in its second epoch of three; the training loss falls on.
func uTurn(shift float64) *runLog {
	l := endedRuns(0)[0]
	l.phases[0].epochs = nil
	best := math.Inf(1)
	for i, held := range []float64{5, 4, 4.75} {
		val := jsonFloat(held + shift)
		best = min(best, float64(val))
		l.phases[0].epochs = append(l.phases[0].epochs, &epochRecord{Epoch: i + 1, ValLoss: &val, BestLoss: jsonFloat(best),
			AvgLoss: jsonFloat(3.5 - 0.5*float64(i) + shift)})
	}
	return l
}

func TestAblation_BestAndLastEpochAreKeptApart(t *testing.T) {
	runs := []*runLog{uTurn(0), uTurn(0.5)}
	r := newChangeResult(&ablation{Name: "x"}, nil, runs, runs)
	require.InDelta(t, 4.25, float64(r.BestVal.Mean), 1e-12)
	require.InDelta(t, 5.0, float64(r.FinalVal.Mean), 1e-12)
	require.InDelta(t, 2.75, float64(r.FinalTrain.Mean), 1e-12)
	require.InDelta(t, 2.0, float64(r.BestEpoch.Mean), 1e-12)
}

func TestAblation_CurvesShowWhatEveryEpochMeasured(t *testing.T) {
	runs := []*runLog{uTurn(0), uTurn(0.5)}
	s := &ablationSummary{Changes: []changeResult{newChangeResult(&ablation{Name: stableName}, nil, runs, runs),
		newChangeResult(&ablation{Name: "change"}, nil, []*runLog{uTurn(1), uTurn(1.5)}, runs)}}
	figure := figureOf(t, ablationHTML(t, s), "change")
	for place, want := range map[string][]string{ // the mean of both seeds
		"epoch 2": {"stable, training: 3.25", "stable: 4.25", "change, training: 4.25", "change: 5.25"},
		"epoch 3": {"stable, training: 2.75", "stable: 5", "change, training: 3.75", "change: 6"}, // not the best so far
	} {
		require.Equal(t, want, toldAt(t, figure, place))
	}
}

func TestAblation_AVerdictHasItsColour(t *testing.T) {
	rows := rowsOfShifts(t, []string{"gains", "loses", "neither"}, []float64{-0.3, 0.3, 0.001})
	for name, class := range map[string]string{"gains": "good", "loses": "bad", "neither": "open", stableName: "open"} {
		require.Contains(t, rows[name], `<td class="`+class+`">`, name)
		require.Equal(t, name != stableName, strings.Contains(rows[name], `class="dot `+class+`"`), name)
	}
}

func TestAblation_ADrawingReachesTwiceTheMedianAndPointsToWhatLiesBeyond(t *testing.T) {
	names := []string{"little", "less", "middle", "explodes", "soars"}
	shifts := []float64{0.1, -0.2, 0.3, 5, -5}
	rows := rowsOfShifts(t, names, shifts)
	const reach = 2 * 0.3 // the median of the sizes
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
		require.InDelta(t, 100+shifts[i]/reach*95, dots[0][0], 0.06, name) // from the middle, five from the edges
	}
}
