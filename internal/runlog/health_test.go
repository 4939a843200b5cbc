package runlog

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/strictjson"
)

// steadyRun returns nine healthy epochs.
func steadyRun() (records []*Epoch) {
	for i := range 9 {
		loss := 5 - 0.4*float64(i)
		records = append(records, &Epoch{AvgLoss: strictjson.Float(loss), PPL: strictjson.Float(math.Exp(loss)),
			AvgGradNorm: strictjson.Float(2 - 0.1*float64(i)), TokensPerSec: 1000})
	}
	return records
}

func TestJudge_ASteadyRunIsHealthy(t *testing.T) {
	h := Judge(steadyRun())
	require.Equal(t, "healthy", h.Verdict)
	require.True(t, h.Loss && h.Perplexity && h.GradNorm)
	require.Equal(t, "healthy; loss ok (5.000 → 1.800); perplexity ok (6.05); "+
		"gradient norm ok (last third 0.68 × the first); speed 1.00 ×", h.String())
}

func TestJudge_NamesEachSymptom(t *testing.T) {
	nan := strictjson.Float(math.NaN())
	for name, c := range map[string]struct {
		spoil func([]*Epoch)
		want  Health
	}{
		"the loss does not fall": {func(r []*Epoch) { r[0].AvgLoss = r[8].AvgLoss },
			Health{Perplexity: true, GradNorm: true}},
		"the loss explodes": {func(r []*Epoch) { r[4].AvgLoss = r[3].AvgLoss + 0.51 },
			Health{Perplexity: true, GradNorm: true}},
		"a loss is NaN": {func(r []*Epoch) { r[4].AvgLoss = nan },
			Health{Perplexity: true, GradNorm: true}},
		"the last loss is NaN": {func(r []*Epoch) { r[8].AvgLoss, r[8].PPL = nan, nan },
			Health{GradNorm: true}},
		"the perplexity jumps": {func(r []*Epoch) { r[8].PPL = 1.26 * r[7].PPL },
			Health{Loss: true, GradNorm: true}},
		"the gradient norm rises": {func(r []*Epoch) { r[7].AvgGradNorm, r[8].AvgGradNorm = 4, 4 },
			Health{Loss: true, Perplexity: true}},
	} {
		records := steadyRun()
		c.spoil(records)
		got := Judge(records)
		require.Contains(t, got.String(), "NOT ok", name)
		c.want.Verdict, c.want.SpeedRatio, c.want.text = "unhealthy", got.SpeedRatio, got.text
		require.Equal(t, c.want, got, name)
	}
}

func TestJudge_OneEpochWithALargeNormDoesNotMakeARunUnhealthy(t *testing.T) {
	records := steadyRun()
	records[8].AvgGradNorm = 100
	require.Equal(t, "healthy", Judge(records).Verdict)
}

// The speed depends on the machine: the log holds its ratio, the verdict does not depend on it.
func TestJudge_SpeedIsComparedButNotJudged(t *testing.T) {
	for _, c := range []struct {
		last strictjson.Float // tokens per second of the last third
		text string
		json string
	}{{250, "; speed 0.25 ×", `"speed_ratio":0.25}`}, {4000, "; speed 4.00 ×", `"speed_ratio":4}`},
		{strictjson.Float(math.NaN()), "; speed NaN ×", `"speed_ratio":null}`}} {
		records := steadyRun()
		for _, r := range records[6:] {
			r.TokensPerSec = c.last
		}
		h := Judge(records)
		require.Equal(t, "healthy", h.Verdict)
		require.True(t, strings.HasSuffix(h.String(), c.text), h.String())
		line, err := json.Marshal(h)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(string(line), c.json), string(line))
	}
}

func TestJudge_ALossNearZeroMayRiseBySmallAmounts(t *testing.T) {
	records := steadyRun()
	for _, r := range records[3:] {
		r.AvgLoss = 0.1
	}
	records[4].AvgLoss = 0.59
	require.Equal(t, "healthy", Judge(records).Verdict)
}

func TestJudge_TooFewEpochsGiveNoVerdict(t *testing.T) {
	few := Judge(steadyRun()[:2])
	require.Equal(t, "unknown", few.Verdict)
	require.Nil(t, few.SpeedRatio)
	require.Equal(t, "healthy", Judge(steadyRun()[:3]).Verdict)
}

// runOfLosses returns epochs with these losses that are healthy in every other respect.
func runOfLosses(losses ...float64) (records []*Epoch) {
	for _, loss := range losses {
		records = append(records, &Epoch{AvgLoss: strictjson.Float(loss), PPL: strictjson.Float(math.Exp(loss)),
			AvgGradNorm: 1, TokensPerSec: 1000})
	}
	return records
}

func TestJudge_EachCriterionLooksAtItsOwnEpochs(t *testing.T) {
	jump := 0.25 // nats: a perplexity 1.28 times the one before, a loss that is far from an explosion
	for name, c := range map[string]struct {
		losses           []float64
		loss, perplexity bool
	}{
		"a jump before the last third":             {[]float64{5, 5 + jump, 4, 3, 2, 1}, true, true},
		"a jump between the last two of six":       {[]float64{5, 4, 3, 2, 1, 1 + jump}, true, false},
		"a jump into the last third of six":        {[]float64{5, 4, 3, 2, 2 + jump, 2}, true, false},
		"the last third of three epochs is one":    {[]float64{5, 4, 4 + jump}, true, false},
		"the last third of four epochs is two":     {[]float64{5, 4, 3, 3 + jump}, true, false},
		"the last third of five epochs is two":     {[]float64{5, 4, 3, 2, 2 + jump}, true, false},
		"the last third of seven epochs is three":  {[]float64{8, 7, 6, 5, 4, 4 + jump, 3}, true, false},
		"many small rises add up to an explosion":  {[]float64{5, 3, 3.2, 3.4, 3.6, 3.5, 3.4, 3.3, 3.2}, false, true},
		"small rises that the next epoch undoes":   {[]float64{5, 4, 4.3, 3, 3.3, 2, 1.9, 1.8, 1.7}, true, true},
		"a rise above the start, but not the best": {[]float64{3, 2.9, 3.2, 2.8, 2.7, 2.6}, true, true},
	} {
		h := Judge(runOfLosses(c.losses...))
		require.Equal(t, []bool{c.loss, c.perplexity}, []bool{h.Loss, h.Perplexity}, name)
		require.True(t, h.GradNorm, name)
	}
}
