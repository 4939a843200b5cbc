package chart

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

// requireXML requires a well-formed drawing without a coordinate that is NaN or infinite.
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

// lineOf returns the path of the first line of a chart.
func lineOf(svg string) string {
	return regexp.MustCompile(`class="line[^"]*" d="([^"]*)"`).FindStringSubmatch(svg)[1]
}

func TestChart_LeavesAGapWhereAValueIsNotFinite(t *testing.T) {
	points := []Point{{1, 3}, {2, 2}, {3, math.NaN()}, {4, 1}, {5, math.Inf(1)}}
	c := &Chart{Title: `a "<&>" chart`, XName: "epoch", Series: []Series{{Name: "<run>", Points: points}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.Equal(t, 2, strings.Count(lineOf(svg), "M"), "two strokes")
	require.Equal(t, 5, strings.Count(svg, `class="hover"`))
	require.Contains(t, svg, "&lt;run&gt;: not finite")
}

func TestChart_DrawsSmallerValuesLowerAndLaterOnesFartherRight(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := &Chart{Log: log, Series: []Series{{Points: []Point{{1, 100}, {2, 1}}}}}
		c.fit()
		require.Less(t, c.y.At(100), c.y.At(1), "y grows downward in a drawing")
		require.Less(t, c.x.At(1), c.x.At(2))
	}
}

func TestChart_ALogarithmicXAxisPlacesEqualFactorsEquallyFar(t *testing.T) {
	c := &Chart{LogX: true, Series: []Series{{Points: []Point{{1e-4, 1}, {1e-3, 2}, {1e-2, 1}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.InDelta(t, c.x.At(1e-3)-c.x.At(1e-4), c.x.At(1e-2)-c.x.At(1e-3), 1e-9)
	ticks := regexp.MustCompile(`text-anchor="middle">([^<]*)<`).FindAllStringSubmatch(svg, -1)
	require.Equal(t, []string{"1e-4", "1e-3", "0.01"}, []string{ticks[0][1], ticks[1][1], ticks[2][1]})
	require.Len(t, ticks, 3, "one at each x")
}

func TestChart_ALogarithmicAxisLeavesOutZeros(t *testing.T) {
	c := &Chart{Log: true, Series: []Series{{Points: []Point{{1, 0}, {2, 10}, {3, 1}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.Equal(t, 1, strings.Count(lineOf(svg), "L"))
	require.NotContains(t, svg, "not finite", "the pointer shows its value all the same")
	require.Contains(t, svg, "<title> 1\n: 0</title>")
}

func TestChart_CutsOffValuesAboveTop(t *testing.T) {
	c := &Chart{Top: 10, Series: []Series{{Points: []Point{{1, 5}, {2, 1e9}, {3, 6}}, Best: &Point{2, 1e9},
		Band: []Interval{{1, 4, 6}, {2, 1, 2e9}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	require.LessOrEqual(t, c.y.High, 11.0)
	require.NotContains(t, svg, `class="best`)
	require.Equal(t, 2, strings.Count(lineOf(svg), "M"), "two strokes")
	require.NotContains(t, svg, "not finite")
	require.Contains(t, svg, "<title> 2\n: 1e9</title>", "the pointer shows its value all the same")
	require.Equal(t, 1e9, c.Series[0].Points[1].Y, "drawing changes no point")
}

func TestChart_ARingMarksTheBestPointOnItsLine(t *testing.T) {
	c := &Chart{XName: "epoch", Series: []Series{
		{Color: 3, Points: []Point{{1, 3}, {2, 1}, {3, 2}}, Best: &Point{2, 1}}, {Points: []Point{{1, 4}, {3, 4}}}}}
	svg := string(c.SVG())
	requireXML(t, svg)
	rings := regexp.MustCompile(`class="best s3" cx="([^"]*)" cy="([^"]*)"`).FindAllStringSubmatch(svg, -1)
	require.Len(t, rings, 1, "one line has a best point")
	require.Contains(t, lineOf(svg), "L"+rings[0][1]+" "+rings[0][2]+"L", "at its second of three points")
	c = &Chart{Log: true, Series: []Series{{Points: []Point{{1, 1}, {2, 2}}, Best: &Point{1, 0}}}}
	require.NotContains(t, string(c.SVG()), `class="best`, "a point that the chart does not show")
}

func TestChart_ShowsTheValuesOfManyEpochsAtFewPositions(t *testing.T) {
	var s Series
	for i := range 500 {
		s.Points = append(s.Points, Point{float64(i), 1})
	}
	svg := string((&Chart{Series: []Series{s}}).SVG())
	require.LessOrEqual(t, strings.Count(svg, `class="hover"`), hoverLimit)
}

func TestChart_FromZeroBeginsTheAxisAtZero(t *testing.T) {
	line := []Series{{Points: []Point{{X: 1, Y: 3}, {X: 2, Y: 5}}}}
	c := &Chart{FromZero: true, Series: line}
	c.SVG()
	require.Zero(t, c.y.Low)
	require.Greater(t, c.y.High, 5.0, "room above the highest point")
	c = &Chart{Series: line}
	c.SVG()
	require.Less(t, c.y.Low, 3.0)
	require.Positive(t, c.y.Low)
}
