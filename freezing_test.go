package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Freezing and release in training, and in what is saved.

func TestFrozenWeightsStayBitIdenticalOverARun(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttn, c.WeightDecay = true, 0.1 })
	before := r.weights()
	r.run(t)
	for i, p := range r.model.Params() {
		require.Equal(t, isAttention(p), slices.Equal(before[i], p.W), p.Name)
		require.Equal(t, isAttention(p), r.opt.state[i].m == nil, "moments of %s", p.Name)
	}
	require.Len(t, r.records()[0].Frozen, 4)
}

func TestReleasedWeightsLearnFromTheirEpochOn(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttnEpochs, c.Pretrain.Epochs = 2, 3 })
	r.run(t)
	for epoch, frozen := range []int{4, 4, 0} {
		require.Len(t, r.records()[epoch].Frozen, frozen, "epoch %d", epoch+1)
	}
	for i, p := range r.model.Params() {
		steps := 30
		if isAttention(p) {
			steps = 10
		}
		require.Equal(t, steps, r.opt.state[i].t, p.Name)
	}
}

// epochWatch is an observer that looks at every epoch.
type epochWatch func(*epochRecord)

func (w epochWatch) observe(record any) error {
	if r, ok := record.(*epochRecord); ok {
		w(r)
	}
	return nil
}

// layeredTrial releases two blocks in three stages of two epochs each.
func layeredTrial(c *Config, _ *phase) {
	c.Model.Layers, c.Unfreeze, c.Pretrain.Epochs = 2, unfreezeLayered, 6
}

func TestLayeredReleaseKeepsEveryBitBelowTheReleasedBlocks(t *testing.T) {
	r := newTrial(t, layeredTrial)
	before := r.weights()
	rests := []int{2, 2, 1, 1, 0, 0} // lowest blocks whose Q, K and V rest, epoch by epoch
	r.monitor.observers = append(r.monitor.observers, epochWatch(func(record *epochRecord) {
		var frozen []string
		for i, p := range r.model.Params() {
			resting := isQKV(p) && attentionBlock(p) < rests[record.Epoch-1]
			if resting {
				frozen = append(frozen, p.Name)
			}
			require.Equal(t, resting, slices.Equal(before[i], p.W), "%s after epoch %d", p.Name, record.Epoch)
		}
		require.ElementsMatch(t, frozen, record.Frozen, "epoch %d", record.Epoch)
	}))
	require.Equal(t, endCompleted, r.run(t))
	require.Len(t, r.records(), len(rests))
}

func TestMomentsOfAReleasedBlockCountTheStepsSinceItsRelease(t *testing.T) {
	r := newTrial(t, layeredTrial)
	r.run(t)
	for i, p := range r.model.Params() {
		steps := 60 // ten an epoch
		if isQKV(p) {
			steps = []int{20, 40}[attentionBlock(p)]
		}
		require.Equal(t, steps, r.opt.state[i].t, p.Name)
	}
}

func TestExhaustedPatienceReleasesTheNextBlockAndStopsWhenAllLearn(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		layeredTrial(c, p)
		c.Pretrain.Epochs, c.Pretrain.LR, c.Pretrain.Patience = 12, 1e-30, 2
	})
	require.Equal(t, endEarlyStop, r.run(t))
	var frozen []string
	for _, record := range r.records() {
		frozen = append(frozen, summarizeNames(record.Frozen))
	}
	both, lower := "h.0.attn.c_attn, h.1.attn.c_attn", "h.0.attn.c_attn"
	require.Equal(t, []string{both, both, both, lower, lower, "-", "-"}, frozen, "the first epoch improves on none; no block is left out")
}

func TestThePlanDecidesWhatRestsOfALoadedModel(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config, *phase)
		want   string // of the head
		frozen int    // tensors that rest in the first epoch
	}{
		{"no freezing", nil, "\nreleased: h.0.attn (frozen in the loaded model)\n", 0},
		{"layered", func(c *Config, _ *phase) { c.Unfreeze = unfreezeLayered }, "\nreleased: h.0.attn.c_proj (frozen in the loaded model)\n", 2},
		{"frozen as before", func(c *Config, _ *phase) { c.FreezeAttn = true }, "", 4},
		{"a later phase", func(_ *Config, p *phase) { p.first = false }, "", 0},
	} {
		var out bytes.Buffer
		r := newTrial(t, c.change)
		r.monitor.out = &out
		r.model.SetAttentionFreezeUpdates(true)
		r.run(t)
		if c.want == "" {
			require.NotContains(t, out.String(), "released", c.name)
		} else {
			require.Contains(t, out.String(), c.want, c.name)
		}
		require.Len(t, r.records()[0].Frozen, c.frozen, c.name)
	}
	var out bytes.Buffer
	r := newTrial(t, nil)
	r.monitor.out = &out
	r.run(t)
	require.NotContains(t, out.String(), "released", "of a model that nothing is frozen in")
}

func TestTheFileOfARunNamesWhatWasFrozenAtItsEnd(t *testing.T) {
	of := func(flags ...string) (frozen []string) {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		trained(t, append(flags, "--save="+path)...)
		file, err := loadTensors(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(file.Metadata[metaFrozen]), &frozen))
		return frozen
	}
	require.Equal(t, []string{"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "h.0.attn.c_proj.weight", "h.0.attn.c_proj.bias"}, of("--freeze-attn"))
	require.Equal(t, []string{}, of("--pretrain-epochs=2", "--freeze-attn-epochs=1"))
	require.Equal(t, []string{"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias"}, of("--pretrain-epochs=2", "--unfreeze=layered", "--max-steps=1"), "ended before the release")
}
