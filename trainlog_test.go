package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the log says of an epoch, computed once more from the samples and the weights.

// loggedEpochs trains the phase of a trial and reads the epochs of its log.
func loggedEpochs(t *testing.T, r *trial) (epochs []epochRecord) {
	var log bytes.Buffer
	r.monitor = newMonitor(io.Discard, nil, &log, false)
	r.run(t)
	for line := range bytes.Lines(log.Bytes()) {
		var e epochRecord
		require.NoError(t, json.Unmarshal(line, &e))
		epochs = append(epochs, e)
	}
	return epochs
}

// gradientNorm is √Σ g² over all parameters, of the mean loss of one sample.
func gradientNorm(m *LLM, sample example, smoothing float64) float64 {
	squares := 0.0
	for _, g := range meanGradients(m, new(Batch).pack([]example{sample}), smoothing) {
		for _, v := range g {
			squares += float64(v) * float64(v)
		}
	}
	return math.Sqrt(squares)
}

func TestTrain_AnEpochThatMaxStepsCutsIsLoggedByTheStepsItTook(t *testing.T) {
	const smoothing, taken = 0.2, 5
	var clip float64
	still := func(c *Config, _ *phase) { // ten steps an epoch; the second is cut in its middle; no step changes a loss
		c.Pretrain.Epochs, c.Pretrain.LR, c.MaxSteps = 3, 1e-30, 10+taken
		c.Smoothing, c.Clip = smoothing, clip
	}
	r := newTrial(t, still)
	samples := r.phase.train.epoch(1)[:taken]
	batch := new(Batch).pack(samples)
	var norms []float64
	sum := 0.0
	for _, s := range samples {
		norms = append(norms, gradientNorm(r.model, s, smoothing))
		sum += norms[len(norms)-1]
	}
	ranked := slices.Sorted(slices.Values(norms))
	clip = (ranked[2] + ranked[3]) / 2 // two of the five norms are larger
	require.Greater(t, ranked[3]-ranked[2], 1e-3*clip, "rounding must not decide what is clipped")
	require.Greater(t, ranked[0], clip/2, "all norms must be near the limit")
	ref := newReference(r.model.ModelConfig, r.model.Params())

	epochs := loggedEpochs(t, newTrial(t, still))
	require.Len(t, epochs, 2)
	last := epochs[1]
	require.Equal(t, 10+taken, last.Step)
	require.InEpsilon(t, sum/taken, float64(last.AvgGradNorm), 1e-5)
	require.InDelta(t, 2./taken, float64(last.ClippedShare), 1e-12)
	require.InEpsilon(t, ref.loss(batch, smoothing), float64(*last.SmoothedLoss), 1e-5)
	require.InEpsilon(t, ref.loss(batch, 0), float64(last.AvgLoss), 1e-5)
	for i, e := range epochs {
		require.Equal(t, []int{i + 1, 3}, []int{e.Epoch, e.Epochs}, "the plan has three epochs, however far it goes")
	}
}

func TestTrain_TheUpdateRatioIsThatOfTheLastStep(t *testing.T) {
	// The learning rate stays, so that the longer run begins with the steps of the shorter one.
	after := func(steps int) (*trial, epochRecord) {
		r := newTrial(t, func(c *Config, _ *phase) { c.MaxSteps, c.Pretrain.MinLR = steps, c.Pretrain.LR })
		return r, loggedEpochs(t, r)[0]
	}
	before, _ := after(2)
	now, epoch := after(3)
	moved, size := map[string]float64{}, map[string]float64{}
	was := before.weights()
	for i, p := range now.model.Params() {
		group := "embedding" // wte, wpe
		for _, c := range [][2]string{{".attn.", "attention"}, {".mlp.", "feedforward"}, {"ln_", "layernorm"}} {
			if strings.Contains(p.Name, c[0]) {
				group = c[1]
			}
		}
		for j, w := range p.W {
			moved[group] += math.Pow(float64(w)-float64(was[i][j]), 2)
			size[group] += float64(w) * float64(w)
		}
	}
	require.Len(t, epoch.UpdateRatio, 4)
	for group, ratio := range epoch.UpdateRatio {
		require.InEpsilon(t, math.Sqrt(moved[group])/math.Sqrt(size[group]), float64(ratio), 1e-6, group)
	}
}

func TestTrain_TheTableShowsWhatIsLeftUpToMaxStepsAndTheLogItsSeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	out := trained(t, "--pretrain-epochs=9", "--max-steps=30", "--seed=7", "--log-json="+path) // twelve steps an epoch
	require.Equal(t, []string{"1/9", "2/9", "3/9"}, tableColumn(out, 0))
	require.Equal(t, []string{"33%", "67%", "100%"}, tableColumn(out, 1))
	l, err := readRunLog(path)
	require.NoError(t, err)
	require.Equal(t, uint64(7), l.run.Seed)
}
