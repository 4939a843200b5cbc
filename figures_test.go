package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The figures of a report, read from the page as a person reads them: values by the axis, or told under the pointer.

// figureOf is one figure of a page, from its heading to its end.
func figureOf(t *testing.T, page, title string) string {
	_, after, found := strings.Cut(page, "<h3>"+title+"</h3>")
	require.True(t, found, title)
	figure, _, _ := strings.Cut(after, "</figure>")
	return figure
}

// toldAt is what a figure tells at a place along x, a line a series.
func toldAt(t *testing.T, figure, place string) []string {
	_, after, found := strings.Cut(figure, "<title>"+place+"\n")
	require.True(t, found, place)
	told, _, _ := strings.Cut(after, "</title>")
	return strings.Split(told, "\n")
}

// numbersIn reads the groups of every match as numbers, and leaves out what is none.
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

// yTicks are the heights of the y axis's round values, and the values.
func yTicks(figure string) [][]float64 {
	ticks := numbersIn(figure, `class="tick" x="[^"]*" y="([^"]*)" text-anchor="end">([^<]*)<`)
	for _, tick := range ticks {
		tick[0] -= 4 // from the line of the text to the middle of its figures
	}
	return ticks
}

// valueAt reads the value at a height by the first and the last round value of a linear y axis.
func valueAt(figure string, y float64) float64 {
	ticks := yTicks(figure)
	a, b := ticks[0], ticks[len(ticks)-1]
	return a[1] + (y-a[0])/(b[0]-a[0])*(b[1]-a[1])
}

// refValues are the values at which horizontal lines stand.
func refValues(figure string) (values []float64) {
	for _, line := range numbersIn(figure, `<path class="ref" d="M[^ ]* ([^H]*)H`) {
		values = append(values, valueAt(figure, line[0]))
	}
	return values
}

func TestFigures_EachTellsItsFieldInItsUnit(t *testing.T) {
	page := pageOf(t, logOf(t, testRun()))
	for title, want := range map[string][]string{
		"Loss":                   {"training: 4", "validation: 4.5"},
		"Perplexity":             {"training: 54.6", "validation: 90.02"}, // exp(4), exp(4.5)
		"Gradient norm":          {"a: 2"},
		"Clipped steps":          {"a: 50"}, // per cent
		"Learning rate":          {"a: 1e-4"},
		"Speed":                  {"a: 100"},
		"Update-to-weight ratio": {"embedding: 0.001", "attention: 0"},
	} {
		told := toldAt(t, figureOf(t, page, title), "epoch 2")
		require.Subset(t, told, want, title)
	}
}

func TestFigures_GuessingStandsAtLnV(t *testing.T) {
	lines := refValues(figureOf(t, pageOf(t, logOf(t, testRun())), "Loss"))
	require.Len(t, lines, 1)
	require.InDelta(t, math.Log(300), lines[0], 0.02)
}

func TestFigures_TheLimitOfClippingStandsWhereNormsAreClipped(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		want   []float64
	}{
		{map[string]string{"clip": "1"}, []float64{1}},
		{map[string]string{"clip": "0.5", "clip-logits": "false"}, []float64{0.5}},
		{map[string]string{"clip": "0"}, nil},
		{map[string]string{"clip": "1", "clip-logits": "true"}, nil}, // which bounds no norm of parameters
	} {
		records := testRun()
		run := records[0].(runRecord)
		run.Config = c.config
		records[0] = run
		lines := refValues(figureOf(t, pageOf(t, logOf(t, records)), "Gradient norm"))
		require.Len(t, lines, len(c.want), "%v", c.config)
		for i := range lines {
			require.InDelta(t, c.want[i], lines[i], 0.02)
		}
	}
}

func TestFigures_NormsFarApartHaveALogarithmicAxis(t *testing.T) {
	for ratio, logarithmic := range map[float64]bool{1: false, 50: false, 99: false, 101: true, 500: true} {
		records := testRun()
		records[4].(*epochRecord).AvgGradNorm = jsonFloat(2 * ratio)
		figure := figureOf(t, pageOf(t, logOf(t, records)), "Gradient norm")
		require.Equal(t, logarithmic, strings.Contains(figure, "logarithmic"), "norms up to %g times the least", ratio)
	}
}

func TestFigures_WhatIsMeasuredFromZeroStandsOnTheAxis(t *testing.T) {
	page := pageOf(t, logOf(t, testRun()))
	for _, title := range []string{"Gradient norm", "Clipped steps", "Learning rate", "Speed"} {
		figure := figureOf(t, page, title)
		bottom := numbersIn(figure, `<path class="axis" d="M[^ ]* ([^H]*)H`)
		require.Len(t, bottom, 1)
		require.Equal(t, []float64{bottom[0][0], 0}, yTicks(figure)[0], title)
	}
}
