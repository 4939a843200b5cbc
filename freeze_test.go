package main

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/safetensors"
)

// Plans of freezing, their effect on a run, and what a saved file says of them.

// frozenAt names the parameters that are frozen in an epoch of the plan, counted from 0.
func frozenAt(plan []stage, m *LLM, epoch int) (names []string) {
	for _, p := range m.Params() {
		if stageAt(plan, epoch).frozen(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

func TestFreeze_EachFlagHasItsPlan(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	const all = 8 // c_attn and c_proj, weight and bias, of two blocks
	for _, c := range []struct {
		name  string
		cfg   Config
		first bool
		want  []int // frozen parameters in each of 6 epochs
	}{
		{"none", Config{}, true, []int{0, 0, 0, 0, 0, 0}},
		{"by the user, not by the plan", Config{FreezeAttn: new(true)}, true, []int{0, 0, 0, 0, 0, 0}},
		{"first epochs", Config{FreezeAttnEpochs: 2}, true, []int{all, all, 0, 0, 0, 0}},
		{"longer than the phase", Config{FreezeAttnEpochs: 9}, true, []int{all, all, all, all, all, all}},
		{"released before the next phase", Config{FreezeAttnEpochs: 9}, false, []int{0, 0, 0, 0, 0, 0}},
		{"first steps", Config{FreezeAttnSteps: 2}, true, []int{all, all, 0, 0, 0, 0}},
		{"first steps of the first phase only", Config{FreezeAttnSteps: 2}, false, []int{0, 0, 0, 0, 0, 0}},
		{"layered", Config{Unfreeze: unfreezeLayered}, true, []int{all / 2, all / 2, all / 4, all / 4, 0, 0}},
		{"layered, complete before the next phase", Config{Unfreeze: unfreezeLayered}, false, []int{0, 0, 0, 0, 0, 0}},
	} {
		c.cfg.Model = oddConfig
		plan := newPlan(stepAnEpoch(6), 6, []int{1, 2}, c.cfg.freezePlan(stepAnEpoch(6), c.first))
		require.Equal(t, []int{1, 1, 1, 2, 2, 2}, accumAt(plan, 6), c.name)
		for epoch, want := range c.want {
			require.Len(t, frozenAt(plan, m, epoch), want, "%s, epoch %d", c.name, epoch+1)
		}
	}
}

func TestFreeze_LayeredReleaseGoesFromTheTopDown(t *testing.T) {
	cfg := Config{Model: oddConfig, Unfreeze: unfreezeLayered}
	m := newLLM(oddConfig, newRNG(1, initStream))
	frozen := frozenAt(newPlan(stepAnEpoch(6), 6, []int{1}, cfg.freezePlan(stepAnEpoch(6), true)), m, 3)
	require.NotEmpty(t, frozen)
	for _, name := range frozen {
		require.True(t, strings.HasPrefix(name, "h.0.attn.c_attn."), name)
	}
}

func TestFreeze_WeightsStayBitIdenticalOverARun(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttn, c.WeightDecay = new(true), 0.1 })
	before := r.weights()
	r.run(t)
	for i, p := range r.model.Params() {
		require.Equal(t, isAttention(p), slices.Equal(before[i], p.W), p.Name)
		require.Equal(t, isAttention(p), r.stepper.opt.state[i].m == nil, "moments of %s", p.Name)
	}
	require.Len(t, r.records()[0].Frozen, 4)
}

func TestFreeze_ReleasedWeightsLearnFromTheirEpochOn(t *testing.T) {
	var out bytes.Buffer
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttnEpochs, c.Pretrain.Epochs = 2, 3 })
	r.monitor.out = &out
	r.run(t)
	require.NotContains(t, out.String(), "frozen by the user", "but by the plan")
	for epoch, frozen := range []int{4, 4, 0} {
		require.Len(t, r.records()[epoch].Frozen, frozen, "epoch %d", epoch+1)
	}
	for i, p := range r.model.Params() {
		steps := 30
		if isAttention(p) {
			steps = 10
		}
		require.Equal(t, steps, r.stepper.opt.state[i].t, p.Name)
	}
}

// epochWatch is an observer that calls itself with every epoch.
type epochWatch func(*runlog.Epoch)

func (w epochWatch) Observe(record any) error {
	if r, ok := record.(*runlog.Epoch); ok {
		w(r)
	}
	return nil
}

// layeredTrial changes a trial to release two blocks, in three stages of two epochs each.
func layeredTrial(c *Config, _ *phase) {
	c.Model.Layers, c.Unfreeze, c.Pretrain.Epochs = 2, unfreezeLayered, 6
}

func TestFreeze_LayeredReleaseKeepsEveryBitOfFrozenBlocks(t *testing.T) {
	r := newTrial(t, layeredTrial)
	before := r.weights()
	frozenBlocks := []int{2, 2, 1, 1, 0, 0} // the lowest blocks, whose Q, K and V are frozen, epoch by epoch
	r.monitor.observers = append(r.monitor.observers, epochWatch(func(record *runlog.Epoch) {
		var frozen []string
		for i, p := range r.model.Params() {
			want := p.Part == PartQKV && p.Block < frozenBlocks[record.Epoch-1]
			if want {
				frozen = append(frozen, p.Name)
			}
			require.Equal(t, want, slices.Equal(before[i], p.W), "%s after epoch %d", p.Name, record.Epoch)
		}
		require.ElementsMatch(t, frozen, record.Frozen, "epoch %d", record.Epoch)
	}))
	require.Equal(t, runlog.Completed, r.run(t))
	require.Len(t, r.records(), len(frozenBlocks))
}

func TestFreeze_MomentsCountTheStepsSinceTheRelease(t *testing.T) {
	r := newTrial(t, layeredTrial)
	r.run(t)
	for i, p := range r.model.Params() {
		steps := 60 // ten in each epoch
		if p.Part == PartQKV {
			steps = []int{20, 40}[p.Block]
		}
		require.Equal(t, steps, r.stepper.opt.state[i].t, p.Name)
	}
}

func TestFreeze_ExhaustedPatienceReleasesTheNextBlock(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		layeredTrial(c, p)
		c.Pretrain.Epochs, c.Pretrain.LR, c.Pretrain.Patience = 12, 1e-30, 2
	})
	require.Equal(t, runlog.EarlyStop, r.run(t))
	var frozen []string
	for _, record := range r.records() {
		frozen = append(frozen, summarizeNames(record.Frozen))
	}
	both, lower := "h.0.attn.c_attn, h.1.attn.c_attn", "h.0.attn.c_attn"
	require.Equal(t, []string{both, both, both, lower, lower, lower, "-", "-", "-"}, frozen,
		"the first epoch of a stage always improves, later ones never do; each block is released in its turn")
}

func TestFreeze_ExhaustedPatienceReleasesWithinAnEpochOfThePlan(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) {
		c.Pretrain = PhaseConfig{Epochs: 12, LR: 1e-30, MinLR: -1, Patience: 2, Accum: []int{1}}
		c.FreezeAttnSteps = 55 // within the sixth epoch
	})
	require.Equal(t, runlog.EarlyStop, r.run(t))
	var frozen []int
	for _, record := range r.records() {
		frozen = append(frozen, len(record.Frozen))
	}
	require.Equal(t, []int{4, 4, 4, 0, 0, 0}, frozen)
}

func TestFreeze_AReleaseHappensAtItsStep(t *testing.T) {
	for _, c := range []struct {
		change func(*Config, *phase)
		want   int // steps that Q, K and V learn
	}{
		{func(c *Config, _ *phase) { c.FreezeAttnSteps = 7 }, 13},
		{func(c *Config, _ *phase) { c.FreezeAttnSteps, c.MaxSteps = 14, 15 }, 1},
		{func(c *Config, _ *phase) { c.FreezeAttnEpochs, c.MaxSteps = 1, 15 }, 5},
		{func(c *Config, _ *phase) { c.Unfreeze = unfreezeLayered }, 10},
		{func(c *Config, _ *phase) { c.Unfreeze, c.MaxSteps = unfreezeLayered, 15 }, 7},
	} {
		r := newTrial(t, c.change) // two epochs of ten steps
		r.run(t)
		for i, p := range r.model.Params() {
			if p.Part == PartQKV {
				require.Equal(t, c.want, r.stepper.opt.state[i].t, "%s, %d steps frozen", p.Name, r.steps-c.want)
			}
		}
	}
}

// The first step of Adam moves a weight by the learning rate.
func TestFreeze_ReleaseWarmupBeginsWithASmallRate(t *testing.T) {
	for warmup, limit := range map[int]float64{0: 1, 1000: 1e-3} {
		r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttnSteps, c.MaxSteps, c.ReleaseWarmup = 7, 8, warmup })
		before, last := r.weights(), 0.0
		r.afterStep = func(_ int, result stepResult) error { last = result.lr; return nil }
		r.run(t)
		moved := 0.0
		for i, p := range r.model.Params() {
			if isAttention(p) {
				for j, w := range p.W {
					moved = max(moved, math.Abs(float64(w-before[i][j])))
				}
			}
		}
		require.InEpsilon(t, limit, moved/last, 0.05, "a warm-up of %d steps", warmup)
	}
}

func TestFreeze_KeptMomentsEndWithThePlan(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttnEpochs = 2 }) // longer than the phase
	keepMoments(r.trainer)
	before := r.weights()
	r.run(t)
	second := *r.phase
	second.name, second.first = "finetune", false
	_, err := r.trainer.run(t.Context(), &second)
	require.NoError(t, err)
	for i, p := range r.model.Params() {
		require.NotEqual(t, before[i], p.W, "%s learns in the second phase", p.Name)
	}
}

func TestFreeze_WithKeptMomentsTheWeightsRestAndTheMomentsGoOn(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttnSteps = 7 })
	keepMoments(r.trainer)
	before, steps := r.weights(), 0
	rest := r.afterStep
	r.afterStep = func(step int, result stepResult) error {
		err := rest(step, result)
		for i, p := range r.model.Params() {
			require.Equal(t, step <= 7 && isAttention(p), slices.Equal(before[i], p.W), "%s after step %d", p.Name, step)
		}
		steps = step
		return err
	}
	r.run(t)
	require.Equal(t, 20, steps)
	for i, p := range r.model.Params() {
		require.Equal(t, 20, r.stepper.opt.state[i].t, p.Name)
	}
}

func TestFreeze_WhatTheUserFrozeNoPlanReleases(t *testing.T) {
	for name, change := range map[string]func(*Config, *phase){
		"no plan":       nil,
		"layered":       func(c *Config, _ *phase) { c.Unfreeze = unfreezeLayered },
		"first epochs":  func(c *Config, _ *phase) { c.FreezeAttnEpochs = 1 },
		"a later phase": func(_ *Config, p *phase) { p.first = false },
	} {
		var out bytes.Buffer
		r := newTrial(t, change)
		r.monitor.out = &out
		r.model.SetAttentionFreezeUpdates(true)
		before := r.weights()
		r.run(t)
		require.Contains(t, out.String(), "\nfrozen by the user: h.0.attn (--freeze-attn=false releases attention)\n", name)
		for i, p := range r.model.Params() {
			require.Equal(t, isAttention(p), slices.Equal(before[i], p.W), "%s: %s", name, p.Name)
		}
		for _, record := range r.records() {
			require.Len(t, record.Frozen, 4, name)
		}
	}
}

func TestFreeze_TheFlagReleasesWhatTheLoadedModelHasFrozen(t *testing.T) {
	var out bytes.Buffer
	r := newTrial(t, func(c *Config, _ *phase) { c.FreezeAttn = new(false) })
	r.monitor.out = &out
	r.model.SetAttentionFreezeUpdates(true)
	r.run(t)
	require.NotContains(t, out.String(), "frozen by the user")
	require.Empty(t, r.records()[0].Frozen)
}

func TestFreeze_ASavedFileNamesWhatTheUserFroze(t *testing.T) {
	frozenInFile := func(flags ...string) (frozen []string) {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		trained(t, append(flags, "--save="+path)...)
		file, err := safetensors.Load(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(file.Metadata[metaFrozen]), &frozen))
		return frozen
	}
	require.Equal(t, []string{"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "h.0.attn.c_proj.weight",
		"h.0.attn.c_proj.bias"}, frozenInFile("--freeze-attn"))
	require.Equal(t, []string{}, frozenInFile("--pretrain-epochs=2", "--freeze-attn-epochs=1", "--max-steps=1"),
		"what a plan froze is not carried over, also when the run ends before the release")
}

// The epochs of freezing count in the first phase of the run, pretraining or tuning.
func TestFreezing_ReleasesInTheFirstPhaseOfTheRun(t *testing.T) {
	for _, c := range []struct {
		flags  string
		frozen []int // tensors, by epoch
	}{
		{"--pretrain-epochs=3 --finetune-epochs=2 --freeze-attn-epochs=1", []int{4, 0, 0, 0, 0}},
		{"--pretrain-epochs=0 --finetune-epochs=2 --freeze-attn-epochs=1", []int{4, 0}},
		{"--pretrain-epochs=2 --finetune-epochs=2 --unfreeze=layered", []int{2, 0, 0, 0}},
		{"--pretrain-epochs=0 --finetune-epochs=2 --unfreeze=layered", []int{2, 0}},
		{"--pretrain-epochs=1 --finetune-epochs=1 --freeze-attn", []int{4, 4}},
		{"--pretrain-epochs=0 --finetune-epochs=1 --freeze-attn", []int{4}},
	} {
		var frozen []int
		flags := append(smallData(t), "--patience=0", "--finetune-patience=0")
		for _, e := range finish(t, exitOK, append(flags, strings.Fields(c.flags)...)...).epochs {
			frozen = append(frozen, len(e.Frozen))
		}
		require.Equal(t, c.frozen, frozen, c.flags)
	}
}
