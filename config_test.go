package main

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultsAreTheStableConfiguration(t *testing.T) {
	c := defaultConfig()
	require.NoError(t, c.validate())
	require.Equal(t, ModelConfig{Layers: 2, Heads: 8, Dim: 256, Hidden: 512, Context: 128, Vocab: 2048}, c.Model)
	require.Equal(t, PhaseConfig{Epochs: 500, LR: 1e-4, MinLR: -1, Patience: 30, Accum: []int{1}}, c.Pretrain)
	require.Equal(t, PhaseConfig{Epochs: 500, LR: 5e-5, MinLR: -1, Patience: 30, Accum: []int{1, 2, 4}}, c.Finetune)
	require.Equal(t, 1.0, c.Clip)
	require.Equal(t, 1, c.Batch)
	require.Equal(t, 0.999, c.Beta2)
	require.Equal(t, ExactBackward, c.Backward)
	require.Zero(t, c.Dropout+c.Smoothing+c.WeightDecay+c.ValFraction)
	require.Equal(t, 0.01, minDelta)
}

func TestQuickLeavesWhatWasGiven(t *testing.T) {
	c := defaultConfig()
	c.applyQuick(func(string) bool { return false })
	require.Equal(t, PhaseConfig{Epochs: 30, LR: 1e-4, MinLR: -1, Patience: 10, Accum: []int{1}}, c.Pretrain)
	require.Zero(t, c.Finetune.Epochs)

	c = defaultConfig()
	c.applyQuick(func(string) bool { return true })
	require.Equal(t, defaultConfig(), c)
}

func TestTheCosineEndsAtOnePercentUnlessToldOtherwise(t *testing.T) {
	require.InDelta(t, 1e-6, (&PhaseConfig{LR: 1e-4, MinLR: -1}).minLR(), 1e-18)
	require.Zero(t, (&PhaseConfig{LR: 1e-4, MinLR: 0}).minLR())
	require.Equal(t, 5e-5, (&PhaseConfig{LR: 1e-4, MinLR: 5e-5}).minLR())
}

func TestEveryRangeIsChecked(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for flag, breaks := range map[string][]func(*Config){
		"layers":             {func(c *Config) { c.Model.Layers = 0 }},
		"heads":              {func(c *Config) { c.Model.Heads = 0 }, func(c *Config) { c.Model.Heads = 3 }},
		"dim":                {func(c *Config) { c.Model.Dim = -8 }},
		"hidden":             {func(c *Config) { c.Model.Hidden = 0 }},
		"context":            {func(c *Config) { c.Model.Context = 0 }},
		"vocab-size":         {func(c *Config) { c.Model.Vocab = 258 }},
		"batch":              {func(c *Config) { c.Batch = 0 }},
		"threads":            {func(c *Config) { c.Threads = 0 }},
		"pretrain-epochs":    {func(c *Config) { c.Pretrain.Epochs = -1 }},
		"lr":                 {func(c *Config) { c.Pretrain.LR = 0 }, func(c *Config) { c.Pretrain.LR = nan }, func(c *Config) { c.Pretrain.LR = inf }},
		"patience":           {func(c *Config) { c.Pretrain.Patience = -1 }},
		"accum":              {func(c *Config) { c.Pretrain.Accum = []int{1, 0} }},
		"restarts":           {func(c *Config) { c.Pretrain.Restarts = -1 }},
		"finetune-epochs":    {func(c *Config) { c.Finetune.Epochs = -1 }},
		"finetune-lr":        {func(c *Config) { c.Finetune.LR = -1 }, func(c *Config) { c.Finetune.LR = 2 * math.MaxFloat32 }},
		"finetune-patience":  {func(c *Config) { c.Finetune.Patience = -1 }},
		"finetune-accum":     {func(c *Config) { c.Finetune.Accum = []int{-4} }},
		"finetune-restarts":  {func(c *Config) { c.Finetune.Restarts = -1 }},
		"min-lr":             {func(c *Config) { c.Pretrain.MinLR = 1 }, func(c *Config) { c.Pretrain.MinLR = nan }},
		"clip":               {func(c *Config) { c.Clip = -1 }, func(c *Config) { c.Clip = nan }, func(c *Config) { c.Clip = inf }},
		"weight-decay":       {func(c *Config) { c.WeightDecay = -1 }, func(c *Config) { c.WeightDecay = inf }},
		"beta2":              {func(c *Config) { c.Beta2 = 1 }, func(c *Config) { c.Beta2 = nan }, func(c *Config) { c.Beta2 = 0.99999999 }},
		"label-smoothing":    {func(c *Config) { c.Smoothing = 1 }},
		"dropout":            {func(c *Config) { c.Dropout = 1 }, func(c *Config) { c.Dropout = -0.1 }},
		"val-fraction":       {func(c *Config) { c.ValFraction = 1 }, func(c *Config) { c.ValFraction = nan }},
		"warmup-steps":       {func(c *Config) { c.Warmup = -1 }},
		"max-steps":          {func(c *Config) { c.MaxSteps = -1 }},
		"freeze-attn-epochs": {func(c *Config) { c.FreezeAttnEpochs = -1 }, func(c *Config) { c.FreezeAttn, c.FreezeAttnEpochs = true, 1 }},
		"unfreeze":           {func(c *Config) { c.Unfreeze = "all" }, func(c *Config) { c.Unfreeze, c.FreezeAttn = unfreezeLayered, true }},
		"tokenizer":          {func(c *Config) { c.Tokenizer = "words" }},
	} {
		for i, spoil := range breaks {
			c := defaultConfig()
			spoil(&c)
			var bad *flagError
			require.True(t, errors.As(c.validate(), &bad), "%s %d", flag, i)
			require.Equal(t, flag, bad.flag)
			require.Contains(t, bad.Error(), "--"+flag+"=")
			require.NotEmpty(t, bad.takes)
		}
	}
}

func TestNoSizeOrCountIsTooLargeToComputeWith(t *testing.T) {
	for _, n := range []int{maxCount + 1, 1_000_000_000_000, 4611686018427387904, math.MaxInt} {
		for flag, set := range map[string]func(*Config){
			"layers":             func(c *Config) { c.Model.Layers = n },
			"heads":              func(c *Config) { c.Model.Heads = n },
			"dim":                func(c *Config) { c.Model.Dim = n },
			"hidden":             func(c *Config) { c.Model.Hidden = n },
			"context":            func(c *Config) { c.Model.Context = n },
			"vocab-size":         func(c *Config) { c.Model.Vocab = n },
			"batch":              func(c *Config) { c.Batch = n },
			"threads":            func(c *Config) { c.Threads = n },
			"pretrain-epochs":    func(c *Config) { c.Pretrain.Epochs = n },
			"patience":           func(c *Config) { c.Pretrain.Patience = n },
			"accum":              func(c *Config) { c.Pretrain.Accum = []int{1, n} },
			"restarts":           func(c *Config) { c.Pretrain.Restarts = n },
			"finetune-epochs":    func(c *Config) { c.Finetune.Epochs = n },
			"warmup-steps":       func(c *Config) { c.Warmup = n },
			"max-steps":          func(c *Config) { c.MaxSteps = n },
			"log-attn-gradient":  func(c *Config) { c.LogAttnGradient = n },
			"freeze-attn-epochs": func(c *Config) { c.FreezeAttnEpochs = n },
		} {
			c := defaultConfig()
			set(&c)
			require.ErrorContains(t, c.validate(), fmt.Sprintf("--%s=%d: takes ", flag, n))
			require.ErrorContains(t, c.validate(), "at most ")
		}
	}
}

func TestAPlanTooShortForItsReleasesIsRefused(t *testing.T) {
	for _, c := range []struct {
		layers, pretrain, finetune int
		layered                    bool
		freeze                     int
		flag, takes                string // "": valid
	}{
		{layers: 2, pretrain: 3, layered: true},
		{layers: 2, pretrain: 2, layered: true, flag: "unfreeze", takes: "--pretrain-epochs of at least 3"},
		{layers: 2, pretrain: 2, finetune: 9, layered: true, flag: "unfreeze", takes: "--pretrain-epochs of at least 3"},
		{layers: 5, finetune: 6, layered: true},
		{layers: 5, finetune: 5, layered: true, flag: "unfreeze", takes: "--finetune-epochs of at least 6"},
		{layers: 2, layered: true}, // trains nothing
		{layers: 2, pretrain: 30, freeze: 29},
		{layers: 2, pretrain: 30, freeze: 30, flag: "freeze-attn-epochs", takes: "a number below --pretrain-epochs=30"},
		{layers: 2, pretrain: 30, finetune: 1, freeze: 40}, // tuning begins with everything released
		{layers: 2, finetune: 30, freeze: 40, flag: "freeze-attn-epochs", takes: "a number below --finetune-epochs=30"},
		{layers: 2, freeze: 40},
	} {
		cfg := defaultConfig()
		cfg.Model.Layers, cfg.Pretrain.Epochs, cfg.Finetune.Epochs, cfg.FreezeAttnEpochs = c.layers, c.pretrain, c.finetune, c.freeze
		if c.layered {
			cfg.Unfreeze = unfreezeLayered
		}
		err := cfg.validate()
		if c.flag == "" {
			require.NoError(t, err, "%+v", c)
			continue
		}
		var bad *flagError
		require.True(t, errors.As(err, &bad), "%+v", c)
		require.Equal(t, c.flag, bad.flag)
		require.Contains(t, bad.takes, c.takes)
	}
}

// What validate lets pass leaves no stage out: each has an epoch of its own.
func TestAValidLayeredPlanHasAllItsStages(t *testing.T) {
	for layers := 1; layers <= 12; layers++ {
		for epochs := 1; epochs <= 40; epochs++ {
			cfg := defaultConfig()
			cfg.Model.Layers, cfg.Pretrain.Epochs, cfg.Unfreeze = layers, epochs, unfreezeLayered
			plan := newPlan(epochs, []int{1}, cfg.freezePlan(epochs, true))
			require.Equal(t, len(plan) == layers+1, cfg.validate() == nil, "%d layers, %d epochs", layers, epochs)
		}
	}
}

func TestAModelBeyondAnyMemoryIsRefusedByItsSizes(t *testing.T) {
	c := defaultConfig()
	c.Model = ModelConfig{Layers: 96, Heads: 96, Dim: 12288, Hidden: 4 * 12288, Context: 2048, Vocab: 50257}
	require.NoError(t, c.validate(), "GPT-3 is no error")
	c.Model.Layers = 960
	for _, named := range []string{"--dim=12288: takes less", "--layers=960", "--hidden=49152", "--context=2048", "--vocab-size=50257", "1.7e+12 weights"} {
		require.ErrorContains(t, c.validate(), named)
	}
	c.Model = ModelConfig{Layers: maxExtent, Heads: 1, Dim: maxExtent, Hidden: maxExtent, Context: maxExtent, Vocab: maxExtent}
	require.ErrorContains(t, c.validate(), "--dim=16777216: takes less")
}

func TestTheEdgesOfTheRangesAreInside(t *testing.T) {
	c := defaultConfig()
	c.Pretrain = PhaseConfig{LR: 1e-300, Accum: []int{1}}
	c.Finetune = c.Pretrain
	c.Clip, c.Beta2 = 0, 0
	require.NoError(t, c.validate())
	c.Pretrain.LR, c.Finetune.LR = 1e38, 1e38
	c.Pretrain.MinLR = c.Pretrain.LR // a constant learning rate
	c.Model = ModelConfig{Layers: 1, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: minVocabSize}
	require.NoError(t, c.validate())
	c.Dropout, c.Smoothing, c.ValFraction, c.Beta2 = 0.999, 0.999, 0.999, 0.99999997
	require.NoError(t, c.validate())
	require.Less(t, float32(c.Beta2), float32(1), "Adam divides by 1 − beta2")
}

func TestAttentionBackwardIsNamedByItsFlag(t *testing.T) {
	for _, mode := range []AttentionBackward{ExactBackward, StraightThrough, StopGradient} {
		var read AttentionBackward
		require.NoError(t, read.Set(mode.String()))
		require.Equal(t, mode, read)
	}
	var mode AttentionBackward
	require.Error(t, mode.Set("approximate"))
}
