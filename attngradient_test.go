package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// collector keeps the records that it observes.
type collector struct{ records []any }

func (c *collector) observe(record any) error {
	c.records = append(c.records, record)
	return nil
}

func TestTheGradientLaboratoryChangesNoBit(t *testing.T) {
	for _, mode := range []AttentionBackward{ExactBackward, StraightThrough} {
		trained := func(every int) (snapshot, *collector) {
			seen := &collector{}
			r := newTrial(t, func(c *Config, p *phase) {
				c.LogAttnGradient, c.Backward, c.Dropout, c.Smoothing, c.Batch = every, mode, 0.1, 0.1, 2
				c.Pretrain.Accum = []int{2}
			})
			r.monitor.observers = append(r.monitor.observers, seen)
			r.run(t)
			return r.weights(), seen
		}
		want, none := trained(0)
		got, seen := trained(2)
		for i := range want {
			requireSameBits(t, want[i], got[i])
		}
		require.Len(t, none.records, 2, "two epochs")
		require.Len(t, seen.records, 2+3, "steps 2, 4 and 6 of six")
	}
}

// comparisons are the records of --log-attn-gradient in the log of a run.
func comparisons(t *testing.T, flags ...string) (records []attnGradientRecord) {
	for _, e := range logLines(t, flags...) {
		if e["event"] != "attn_gradient" {
			continue
		}
		line, err := json.Marshal(e)
		require.NoError(t, err)
		var r attnGradientRecord
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

// The keys' bias has an exact gradient of zero, so no relative error: a quotient by rounding would stand in the log.
func TestAttnGradient_ComparesAllPartsButTheKeysBias(t *testing.T) {
	var parts []string
	for _, d := range comparisons(t, "--max-steps=1", "--log-attn-gradient=1")[0].Rows {
		if strings.HasSuffix(d.Tensor, "]") && d.Mode == "stop-gradient" {
			parts = append(parts, strings.TrimPrefix(d.Tensor, "h.0.attn.c_attn."))
		}
	}
	require.Equal(t, []string{"weight[q]", "weight[k]", "weight[v]", "bias[q]", "bias[v]"}, parts)
}

// Also the first step is compared under dropout, though no pass before it has set a mask.
func TestAttnGradient_IsComparedUnderTheStepsDropout(t *testing.T) {
	first := func(dropout string) gradDistance {
		return comparisons(t, "--max-steps=1", "--log-attn-gradient=1", "--dropout="+dropout)[0].Rows[0]
	}
	require.Equal(t, wholeGradient, first("0").Tensor)
	require.Equal(t, first("0.5"), first("0.5"))
	require.Greater(t, math.Abs(float64(first("0").RelErr-first("0.5").RelErr)), 1e-3)
}

// laboratory compares on a rough model; lengths are those of the sequences.
func laboratory(layers int, lengths ...int) map[string]map[string]gradDistance {
	c := ModelConfig{Layers: layers, Heads: 2, Dim: 16, Hidden: 24, Context: 16, Vocab: 40}
	rows := attentionDistances(roughModel(c, 1), randomSamples(c, newRNG(1, checkStream), lengths...), 0.1)
	byMode := map[string]map[string]gradDistance{}
	for _, r := range rows {
		if byMode[r.Mode] == nil {
			byMode[r.Mode] = map[string]gradDistance{}
		}
		byMode[r.Mode][r.Tensor] = r
	}
	return byMode
}

func TestAboveTheTopAttentionsHeadsEveryBackwardIsExact(t *testing.T) {
	for mode, rows := range laboratory(2, 9, 5) {
		for tensor, r := range rows {
			above := strings.HasPrefix(tensor, "h.1.attn.c_proj") || strings.HasPrefix(tensor, "h.1.mlp") || strings.HasPrefix(tensor, "h.1.ln_2") || strings.HasPrefix(tensor, "ln_f")
			valueOfTop := mode == "stop-gradient" && strings.HasPrefix(tensor, "h.1.attn.c_attn") && strings.HasSuffix(tensor, "[v]")
			if tensor == "h.1.attn.c_attn.bias[v]" { // Σ_j dV_j = Σ_t dO_t, as each row of P sums to 1
				require.Less(t, float64(r.RelErr), 1e-6, mode)
			} else if above || valueOfTop {
				require.Equal(t, gradDistance{tensor, mode, 0, 1, 1}, gradDistance{r.Tensor, r.Mode, r.RelErr, roundedTo1(r.Cosine), roundedTo1(r.NormRatio)})
			} else {
				require.Greater(t, float64(r.RelErr), 1e-3, "%s %s", mode, tensor)
				require.Less(t, float64(r.Cosine), 1.0, "%s %s", mode, tensor)
			}
		}
	}
}

// roundedTo1 takes the rounding of a quotient of equal sums away.
func roundedTo1(v jsonFloat) jsonFloat {
	if v > 1-1e-12 && v < 1+1e-12 {
		return 1
	}
	return v
}

func TestWithOneTokenStopGradientIsWhollyExact(t *testing.T) {
	rows := laboratory(2, 1, 1)
	require.Less(t, float64(rows["stop-gradient"][wholeGradient].RelErr), 1e-6)
	require.Less(t, float64(rows["stop-gradient"]["h.0 (input)"].RelErr), 1e-6)
	require.Greater(t, float64(rows["straight-through"]["h.0 (input)"].RelErr), 1e-2, "it gives Q and K gradients that they do not have")
}

func TestFrozenTensorsAreNotCompared(t *testing.T) {
	c := ModelConfig{Layers: 1, Heads: 2, Dim: 16, Hidden: 24, Context: 16, Vocab: 40}
	m := roughModel(c, 1)
	m.SetAttentionFreezeUpdates(true)
	for _, r := range attentionDistances(m, randomSamples(c, newRNG(1, checkStream), 5), 0) {
		require.NotContains(t, r.Tensor, ".attn.")
	}
}

func TestComparingGradientsNeedsAPlaceToTell(t *testing.T) {
	code, _, err := gogpt(t, tiny("--log-attn-gradient=5")...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, err, "--log-attn-gradient=5: takes --log-json=FILE or --report=FILE.html beside it")
}

func TestTheLogitsGradientHasTheNormThatIsComputedBeforeIt(t *testing.T) {
	m := roughModel(oddConfig, 1)
	for _, smoothing := range []float64{0, 0.1} {
		b := randomBatch(oddConfig, newRNG(1, checkStream), 7, 3)
		b.Targets[2] = ignored
		m.Loss(b, smoothing)
		want := m.loss.gradNorm()
		var squares float64
		for _, d := range m.loss.Backward(1) {
			squares += float64(d) * float64(d)
		}
		require.InEpsilon(t, want*want, squares, 1e-5)
	}
}

func TestClippingTheLogitsGradientNeverActs(t *testing.T) {
	run := func(change func(*Config)) *trial {
		r := newTrial(t, func(c *Config, p *phase) { c.Clip = 1; change(c) })
		r.run(t)
		return r
	}
	mistake := run(func(c *Config) { c.ClipLogits = true })
	none := run(func(c *Config) { c.Clip = 0 })
	right := run(func(*Config) {})
	for i, w := range none.weights() {
		requireSameBits(t, w, mistake.weights()[i])
	}
	require.NotEqual(t, none.weights(), right.weights(), "while clipping the parameters' gradient does")
	require.Zero(t, mistake.records()[0].ClippedShare)
	tight := run(func(c *Config) { c.ClipLogits, c.Clip = true, 1e-3 })
	require.NotEqual(t, none.weights(), tight.weights(), "a limit far below √(2/T) acts")
}
