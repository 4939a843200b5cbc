package main

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// collector is an observer that keeps all records.
type collector struct{ records []any }

func (c *collector) Observe(record any) error {
	c.records = append(c.records, record)
	return nil
}

func TestAttnGradient_LoggingChangesNoBit(t *testing.T) {
	for _, mode := range []AttentionBackward{ExactBackward, StraightThrough} {
		train := func(every int) (snapshot, *collector) {
			seen := &collector{}
			r := newTrial(t, func(c *Config, p *phase) {
				c.LogAttnGradient, c.Backward, c.Dropout, c.Smoothing, c.Batch = every, mode, 0.1, 0.1, 2
				c.Pretrain.Accum = []int{2}
			})
			r.monitor.observers = append(r.monitor.observers, seen)
			r.run(t)
			return r.weights(), seen
		}
		want, none := train(0)
		got, seen := train(2)
		for i := range want {
			requireSameBits(t, want[i], got[i])
		}
		require.Len(t, none.records, 2, "two epochs")
		require.Len(t, seen.records, 2+3, "two epochs, and steps 2, 4 and 6 of six")
	}
}

// comparisons returns the records of --log-attn-gradient from the log of a run.
func comparisons(t *testing.T, flags ...string) (records []runlog.AttnGradient) {
	for _, e := range logLines(t, flags...) {
		if e["event"] != "attn_gradient" {
			continue
		}
		line, err := json.Marshal(e)
		require.NoError(t, err)
		var r runlog.AttnGradient
		require.NoError(t, json.Unmarshal(line, &r))
		records = append(records, r)
	}
	return records
}

func TestAttnGradient_IsLoggedAtMultiplesOfItsInterval(t *testing.T) {
	for every, want := range map[string][]int{"1": {1, 2, 3, 4, 5, 6, 7}, "3": {3, 6}, "7": {7}, "8": nil} {
		var steps []int
		for _, r := range comparisons(t, "--max-steps=7", "--log-attn-gradient="+every) {
			steps = append(steps, r.Step)
		}
		require.Equal(t, want, steps, "every %s", every)
	}
}

// The exact gradient of the keys' bias is zero, so it has no relative error: the log would hold a quotient of rounding
// errors.
func TestAttnGradient_ComparesAllPartsButTheKeysBias(t *testing.T) {
	var parts []string
	for _, d := range comparisons(t, "--max-steps=1", "--log-attn-gradient=1")[0].Rows {
		if strings.HasSuffix(d.Tensor, "]") && d.Mode == "stop-gradient" {
			parts = append(parts, strings.TrimPrefix(d.Tensor, "h.0.attn.c_attn."))
		}
	}
	require.Equal(t, []string{"weight[q]", "weight[k]", "weight[v]", "bias[q]", "bias[v]"}, parts)
}

// The comparison uses the dropout of its step, also at the first step, before any pass has set a mask.
func TestAttnGradient_IsComparedUnderTheStepsDropout(t *testing.T) {
	first := func(dropout string) runlog.GradDistance {
		return comparisons(t, "--max-steps=1", "--log-attn-gradient=1", "--dropout="+dropout)[0].Rows[0]
	}
	require.Equal(t, runlog.WholeGradient, first("0").Tensor)
	require.Equal(t, first("0.5"), first("0.5"))
	require.Greater(t, math.Abs(float64(first("0").RelErr-first("0.5").RelErr)), 1e-3)
}

// laboratory compares the modes on a rough model and sequences of the given lengths: rows by mode and tensor.
func laboratory(layers int, lengths ...int) map[string]map[string]runlog.GradDistance {
	c := ModelConfig{Layers: layers, Heads: 2, Dim: 16, Hidden: 24, Context: 16, Vocab: 40}
	rows := attentionDistances(roughModel(c, 1), randomSamples(c, newRNG(1, checkStream), lengths...), 0.1)
	byMode := map[string]map[string]runlog.GradDistance{}
	for _, r := range rows {
		if byMode[r.Mode] == nil {
			byMode[r.Mode] = map[string]runlog.GradDistance{}
		}
		byMode[r.Mode][r.Tensor] = r
	}
	return byMode
}

func TestAttnGradient_EverythingAboveTheTopHeadsIsExact(t *testing.T) {
	for mode, rows := range laboratory(2, 9, 5) {
		for tensor, r := range rows {
			above := slices.ContainsFunc([]string{"h.1.attn.c_proj", "h.1.mlp", "h.1.ln_2", "ln_f"}, func(s string) bool {
				return strings.HasPrefix(tensor, s)
			})
			valueOfTop := mode == "stop-gradient" &&
				strings.HasPrefix(tensor, "h.1.attn.c_attn") && strings.HasSuffix(tensor, "[v]")
			if tensor == "h.1.attn.c_attn.bias[v]" { // Σ_j dV_j = Σ_t dO_t, as each row of P sums to 1
				require.Less(t, float64(r.RelErr), 1e-6, mode)
			} else if above || valueOfTop {
				r.Cosine, r.NormRatio = roundedTo1(r.Cosine), roundedTo1(r.NormRatio)
				require.Equal(t, runlog.GradDistance{Tensor: tensor, Mode: mode, Cosine: 1, NormRatio: 1}, r)
			} else {
				require.Greater(t, float64(r.RelErr), 1e-3, "%s %s", mode, tensor)
				require.Less(t, float64(r.Cosine), 1.0, "%s %s", mode, tensor)
			}
		}
	}
}

// roundedTo1 removes the rounding error of a quotient that should be 1.
func roundedTo1(v strictjson.Float) strictjson.Float {
	if v > 1-1e-12 && v < 1+1e-12 {
		return 1
	}
	return v
}

func TestAttnGradient_StopGradientIsExactWithOneToken(t *testing.T) {
	rows := laboratory(2, 1, 1)
	require.Less(t, float64(rows["stop-gradient"][runlog.WholeGradient].RelErr), 1e-6)
	require.Less(t, float64(rows["stop-gradient"]["h.0 (input)"].RelErr), 1e-6)
	require.Greater(t, float64(rows["straight-through"]["h.0 (input)"].RelErr), 1e-2, "it gives Q and K a gradient")
}

func TestAttnGradient_LeavesOutFrozenTensors(t *testing.T) {
	c := ModelConfig{Layers: 1, Heads: 2, Dim: 16, Hidden: 24, Context: 16, Vocab: 40}
	m := roughModel(c, 1)
	m.SetAttentionFreezeUpdates(true)
	for _, r := range attentionDistances(m, randomSamples(c, newRNG(1, checkStream), 5), 0) {
		require.NotContains(t, r.Tensor, ".attn.")
	}
}

func TestAttnGradient_NeedsALogOrAReport(t *testing.T) {
	code, _, err := gogpt(t, tiny("--log-attn-gradient=5")...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, err, "--log-attn-gradient=5: takes --log-json=FILE or --report=FILE.html beside it")
}
