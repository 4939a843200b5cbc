package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// steadyRun is nine epochs in good health.
func steadyRun() (records []*epochRecord) {
	for i := range 9 {
		loss := 5 - 0.4*float64(i)
		records = append(records, &epochRecord{AvgLoss: jsonFloat(loss), PPL: jsonFloat(math.Exp(loss)),
			AvgGradNorm: jsonFloat(2 - 0.1*float64(i)), TokensPerSec: 1000})
	}
	return records
}

func TestASteadyRunIsHealthy(t *testing.T) {
	h := judge(steadyRun())
	require.Equal(t, "healthy", h.Verdict)
	require.True(t, h.Loss && h.Perplexity && h.GradNorm && h.Speed)
	require.Contains(t, h.String(), "loss ok (5.000 → 1.800)")
}

func TestEachSymptomIsNamed(t *testing.T) {
	nan := jsonFloat(math.NaN())
	for name, c := range map[string]struct {
		spoil func([]*epochRecord)
		want  health
	}{
		"loss does not fall":  {func(r []*epochRecord) { r[0].AvgLoss = r[8].AvgLoss }, health{Perplexity: true, GradNorm: true, Speed: true}},
		"loss explodes":       {func(r []*epochRecord) { r[4].AvgLoss = r[3].AvgLoss + 0.51 }, health{Perplexity: true, GradNorm: true, Speed: true}},
		"loss is NaN":         {func(r []*epochRecord) { r[4].AvgLoss = nan }, health{Perplexity: true, GradNorm: true, Speed: true}},
		"last loss is NaN":    {func(r []*epochRecord) { r[8].AvgLoss, r[8].PPL = nan, nan }, health{GradNorm: true, Speed: true}},
		"perplexity jumps":    {func(r []*epochRecord) { r[8].PPL = 1.26 * r[7].PPL }, health{Loss: true, GradNorm: true, Speed: true}},
		"gradient norm rises": {func(r []*epochRecord) { r[7].AvgGradNorm, r[8].AvgGradNorm = 4, 4 }, health{Loss: true, Perplexity: true, Speed: true}},
		"speed is lost":       {func(r []*epochRecord) { r[7].TokensPerSec, r[8].TokensPerSec = 499, 499 }, health{Loss: true, Perplexity: true, GradNorm: true}},
	} {
		records := steadyRun()
		c.spoil(records)
		got := judge(records)
		require.Contains(t, got.String(), "NOT ok", name)
		c.want.Verdict, c.want.text = "unhealthy", got.text
		require.Equal(t, c.want, got, name)
	}
}

func TestOneSlowEpochDoesNotMakeARunUnhealthy(t *testing.T) {
	records := steadyRun()
	records[7].TokensPerSec, records[8].AvgGradNorm = 1, 100
	require.Equal(t, "healthy", judge(records).Verdict)
}

func TestALossNearZeroMayBreathe(t *testing.T) {
	records := steadyRun()
	for _, r := range records[3:] {
		r.AvgLoss = 0.1
	}
	records[4].AvgLoss = 0.59
	require.Equal(t, "healthy", judge(records).Verdict)
}

func TestTooFewEpochsGiveNoVerdict(t *testing.T) {
	require.Equal(t, "unknown", judge(steadyRun()[:2]).Verdict)
	require.Equal(t, "healthy", judge(steadyRun()[:3]).Verdict)
}

// runOfLosses is a run with these losses, well in every other respect.
func runOfLosses(losses ...float64) (records []*epochRecord) {
	for _, loss := range losses {
		records = append(records, &epochRecord{AvgLoss: jsonFloat(loss), PPL: jsonFloat(math.Exp(loss)),
			AvgGradNorm: 1, TokensPerSec: 1000})
	}
	return records
}

func TestHealth_LooksAtTheStretchThatEachCriterionIsAbout(t *testing.T) {
	jump := 0.25 // nats: a perplexity 1.28 times the one before, a loss that is far from an explosion
	for name, c := range map[string]struct {
		losses           []float64
		loss, perplexity bool
	}{
		"a jump before the last third":             {[]float64{5, 5 + jump, 4, 3, 2, 1}, true, true},
		"a jump between the last two of six":       {[]float64{5, 4, 3, 2, 1, 1 + jump}, true, false},
		"the last third of four epochs is two":     {[]float64{5, 4, 3, 3 + jump}, true, false},
		"the last third of five epochs is two":     {[]float64{5, 4, 3, 2, 2 + jump}, true, false},
		"the last third of seven epochs is three":  {[]float64{8, 7, 6, 5, 4, 4 + jump, 3}, true, false},
		"many small rises add up to an explosion":  {[]float64{5, 3, 3.2, 3.4, 3.6, 3.5, 3.4, 3.3, 3.2}, false, true},
		"small rises that the next epoch undoes":   {[]float64{5, 4, 4.3, 3, 3.3, 2, 1.9, 1.8, 1.7}, true, true},
		"a rise above the start, but not the best": {[]float64{3, 2.9, 3.2, 2.8, 2.7, 2.6}, true, true},
	} {
		h := judge(runOfLosses(c.losses...))
		require.Equal(t, []bool{c.loss, c.perplexity}, []bool{h.Loss, h.Perplexity}, name)
		require.True(t, h.GradNorm && h.Speed, name)
	}
}
