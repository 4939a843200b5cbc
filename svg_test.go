package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTicksAreRoundAndWithinTheAxis(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
		want      []string
	}{
		{0, 1, false, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{-0.3, 0.3, false, []string{"-0.3", "-0.2", "-0.1", "0", "0.1", "0.2", "0.3"}},
		{5.51, 7.62, false, []string{"6", "6.5", "7", "7.5"}},
		{0, 1e-4, false, []string{"0", "2e-5", "4e-5", "6e-5", "8e-5", "1e-4"}},
		{1, 500, false, []string{"100", "200", "300", "400", "500"}},
		{150, 2048, true, []string{"200", "500", "1000", "2000"}},
		{1e-8, 1e4, true, []string{"1e-8", "1e-6", "1e-4", "0.01", "1", "100", "10000"}},
	} {
		a := newAxis([]float64{c.low, c.high}, c.log)
		var got []string
		for _, v := range a.ticks() {
			got = append(got, shortNumber(v))
		}
		require.Equal(t, c.want, got)
	}
}

func TestAnAxisStandsWhateverTheValues(t *testing.T) {
	for _, values := range [][]float64{nil, {3}, {0, 0}, {math.NaN(), math.Inf(1)}, {-1, 0}, {1e17, 1e17 + 16}, {-1.7e308, 1.7e308}, {5e-324, 1}} {
		for _, log := range []bool{false, true} {
			a := newAxis(values, log)
			require.Less(t, a.low, a.high)
			require.Less(t, len(a.ticks()), 20)
		}
	}
}

func TestNumbersForPeopleAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.23456: "1.235", 12345: "12345", 1e-4: "1e-4", 2.5e7: "2.5e7", -0.5: "-0.5", 100: "100",
		math.Inf(1): "not finite", math.NaN(): "not finite"} {
		require.Equal(t, want, shortNumber(v))
	}
}

// requireXML wants a well-formed drawing without a number that is none.
func requireXML(t *testing.T, svg string) {
	t.Helper()
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

// lineOf returns the path of the only line of a chart.
func lineOf(svg string) string {
	return regexp.MustCompile(`class="line[^"]*" d="([^"]*)"`).FindStringSubmatch(svg)[1]
}

func TestAChartLeavesAGapWhereAValueIsNotFinite(t *testing.T) {
	c := &chart{Title: `a "<&>" chart`, xName: "epoch", series: []series{{name: "<run>", points: []point{{1, 3}, {2, 2}, {3, math.NaN()}, {4, 1}, {5, math.Inf(1)}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.Equal(t, 2, strings.Count(lineOf(svg), "M"), "two strokes")
	require.Equal(t, 5, strings.Count(svg, `class="hover"`))
	require.Contains(t, svg, "&lt;run&gt;: not finite")
}

func TestLowerValuesStandLowerAndLaterOnesFartherRight(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := &chart{log: log, series: []series{{points: []point{{1, 100}, {2, 1}}}}}
		c.fit()
		require.Less(t, c.y.at(100), c.y.at(1), "y grows downward in a drawing")
		require.Less(t, c.x.at(1), c.x.at(2))
	}
}

func TestALogarithmicChartLeavesOutZeros(t *testing.T) {
	c := &chart{log: true, series: []series{{points: []point{{1, 0}, {2, 10}, {3, 1}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.Equal(t, 1, strings.Count(lineOf(svg), "L"))
	require.NotContains(t, svg, "not finite", "its values are told all the same")
	require.Contains(t, svg, "<title> 1\n: 0</title>")
}

func TestWhatExplodesIsCutOff(t *testing.T) {
	c := &chart{top: 10, series: []series{{points: []point{{1, 5}, {2, 1e9}, {3, 6}}, best: &point{2, 1e9}, band: []interval{{1, 4, 6}, {2, 1, 2e9}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.LessOrEqual(t, c.y.high, 11.0)
	require.NotContains(t, svg, `class="best`)
	require.Equal(t, 2, strings.Count(lineOf(svg), "M"), "two strokes")
	require.NotContains(t, svg, "not finite")
	require.Contains(t, svg, "<title> 2\n: 1e9</title>", "its value is told all the same")
	require.Equal(t, 1e9, c.series[0].points[1].y, "drawing changes no point")
}

func TestARingMarksTheBestEpochOnItsLine(t *testing.T) {
	c := &chart{xName: "epoch", series: []series{{color: 3, points: []point{{1, 3}, {2, 1}, {3, 2}}, best: &point{2, 1}}, {points: []point{{1, 4}, {3, 4}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	rings := regexp.MustCompile(`class="best s3" cx="([^"]*)" cy="([^"]*)"`).FindAllStringSubmatch(svg, -1)
	require.Len(t, rings, 1, "one line has a best epoch")
	require.Contains(t, lineOf(svg), "L"+rings[0][1]+" "+rings[0][2]+"L", "at its second of three points")
	require.NotContains(t, string((&chart{log: true, series: []series{{points: []point{{1, 1}, {2, 2}}, best: &point{1, 0}}}}).SVG()), `class="best`)
}

func TestTheLossChartRingsTheLowestMonitoredLoss(t *testing.T) {
	l, err := parseRunLog([]byte(logOf(t, testRun())))
	require.NoError(t, err)
	runs := []phaseRun{{l, l.phases[0], 0}}
	lines := lossLines(runs, func(nats float64) float64 { return nats })
	require.Len(t, lines, 2)
	require.Nil(t, lines[0].best, "training is not what is monitored")
	require.Equal(t, &point{2, 4.5}, lines[1].best)
	for _, e := range runs[0].epochs {
		e.ValLoss = nil
	}
	lines = lossLines(runs, func(nats float64) float64 { return nats })
	require.Len(t, lines, 1)
	require.Equal(t, &point{3, 3}, lines[0].best)
}

func TestAManyEpochChartTellsItsValuesAtFewPlaces(t *testing.T) {
	var s series
	for i := range 500 {
		s.points = append(s.points, point{float64(i), 1})
	}
	svg := string((&chart{series: []series{s}}).SVG())
	require.LessOrEqual(t, strings.Count(svg, `class="hover"`), hoverLimit)
}

func TestATimelineJoinsEpochsOfTheSameState(t *testing.T) {
	require.Equal(t, []span{{1, 2, "×1"}, {3, 3, "×2"}, {5, 5, "×2"}}, spansOf([]string{"×1", "×1", "×2", "", "×2"}))
	tl := &timeline{epochs: 5, rows: []timelineRow{{"h.0.attn & more", 0, []span{{1, 2, "frozen"}}}}}
	requireXML(t, string(tl.SVG()))
}
