package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"gogpt/internal/terminal"
)

// parsed parses a command line of training that must be valid.
func parsed(t *testing.T, args ...string) (*Config, *runFlags, map[string]string) {
	cfg, r, values, err := parseTrain(&terminal.Console{Out: io.Discard}, args)
	require.NoError(t, err)
	return cfg, r, values
}

func TestFlags_DefaultToTheDefaultConfig(t *testing.T) {
	cfg, r, _ := parsed(t)
	require.Equal(t, defaultConfig(), *cfg)
	require.False(t, r.noInteractive)
	require.Empty(t, r.save+r.checkpointDir+r.logJSON)
}

func TestFlags_EachSetsItsField(t *testing.T) {
	cfg, r, values := parsed(t, "--layers=3", "--heads=4", "--dim=32", "--hidden=64", "--context=16", "--vocab-size=400",
		"--tokenizer=char",
		"--pretrain-epochs=7", "--lr=2e-3", "--patience=5", "--accum=2,4", "--restarts=1", "--min-lr=1e-5",
		"--finetune-epochs=9", "-finetune-lr", "3e-3", "--finetune-patience=6", "--finetune-accum=8", "--finetune-restarts=2",
		"--cooldown-epochs=3", "--finetune-cooldown-epochs=4",
		"--batch=2", "--clip=0.5", "--weight-decay=0.1", "--beta2=0.95", "--min-delta=0.02",
		"--warmup-steps=10", "--max-steps=11",
		"--label-smoothing=0.1", "--dropout=0.2", "--attn-backward=stop-gradient", "--unfreeze=layered",
		"--val-fraction=0.3", "--train-on-all", "--seed=12", "--threads=2", "--pretrain-data=a.txt", "--chat-data=b.json",
		"--no-interactive", "--save=m", "--checkpoint-dir=d", "--log-json=l")
	require.Equal(t, Config{
		Model:    ModelConfig{Layers: 3, Heads: 4, Dim: 32, Hidden: 64, Context: 16, Vocab: 400},
		Pretrain: PhaseConfig{Epochs: 7, LR: 2e-3, MinLR: 1e-5, Patience: 5, Accum: []int{2, 4}, Restarts: 1, Cooldown: 3},
		Finetune: PhaseConfig{Epochs: 9, LR: 3e-3, MinLR: -1, Patience: 6, Accum: []int{8}, Restarts: 2, Cooldown: 4},
		Batch:    2, Clip: 0.5, WeightDecay: 0.1, Beta2: 0.95, Warmup: 10, MaxSteps: 11, MinDelta: 0.02,
		Smoothing: 0.1, Dropout: 0.2,
		Backward: StopGradient, Unfreeze: unfreezeLayered, PretrainData: "a.txt", ChatData: "b.json", Tokenizer: kindChar,
		ValFraction: 0.3, TrainOnAll: true, Seed: 12, Threads: 2}, *cfg)
	require.True(t, r.noInteractive)
	require.Equal(t, []string{"m", "d", "l"}, []string{r.save, r.checkpointDir, r.logJSON})
	require.Empty(t, values["freeze-attn"], "not given")

	cfg, _, _ = parsed(t, "--val-data=v.txt", "--chat-val-data=w.json")
	require.Equal(t, []string{"v.txt", "w.json"}, []string{cfg.ValData, cfg.ChatValData})
	cfg, _, _ = parsed(t, "--freeze-attn")
	require.True(t, *cfg.FreezeAttn)
	cfg, _, values = parsed(t, "--freeze-attn=false", "--release-warmup=5")
	require.False(t, *cfg.FreezeAttn)
	require.Equal(t, "false", values["freeze-attn"])
	require.Equal(t, 5, cfg.ReleaseWarmup)
	cfg, _, _ = parsed(t, "--freeze-attn-steps=3")
	require.Equal(t, 3, cfg.FreezeAttnSteps)
	cfg, _, _ = parsed(t, "--freeze-attn-epochs=3")
	require.Equal(t, 3, cfg.FreezeAttnEpochs)
}

func TestFlags_WinOverQuickInAnyOrder(t *testing.T) {
	cfg, _, _ := parsed(t, "--quick")
	require.Equal(t, []int{30, 10, 0}, []int{cfg.Pretrain.Epochs, cfg.Pretrain.Patience, cfg.Finetune.Epochs})
	given := []string{"--pretrain-epochs=7", "--lr=3e-4", "--patience=0", "--finetune-epochs=2", "--accum=4"}
	for at := range len(given) + 1 {
		cfg, _, values := parsed(t, slices.Insert(slices.Clone(given), at, "--quick")...)
		require.Equal(t, PhaseConfig{Epochs: 7, LR: 3e-4, MinLR: -1, Accum: []int{4}}, cfg.Pretrain)
		require.Equal(t, 2, cfg.Finetune.Epochs)
		require.Equal(t, "true", values["quick"])
	}
	cfg, _, _ = parsed(t, "--quick", "--pretrain-epochs=500")
	require.Equal(t, 500, cfg.Pretrain.Epochs, "a flag wins also with the value of the default")
}

func TestFlags_ValuesInTheLogAreThoseInUse(t *testing.T) {
	_, _, values := parsed(t, "--quick", "--lr=1e-3", "--accum=1,2")
	for name, want := range map[string]string{"lr": "0.001", "min-lr": "1e-05", "accum": "1,2", "pretrain-epochs": "30",
		"finetune-epochs": "0", "attn-backward": "exact", "seed": "1", "tokenizer": "bpe"} {
		require.Equal(t, want, values[name], name)
	}
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	trainFlags(fs, new(Config), new(runFlags))
	fs.VisitAll(func(f *flag.Flag) { require.Contains(t, values, f.Name) })
}

func TestFlags_AreExplained(t *testing.T) {
	var out bytes.Buffer
	_, _, _, err := parseTrain(&terminal.Console{Out: &out}, []string{"--help"})
	require.ErrorIs(t, err, flag.ErrHelp)
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	trainFlags(fs, new(Config), new(runFlags))
	fs.VisitAll(func(f *flag.Flag) {
		require.NotEmpty(t, f.Usage)
		require.Contains(t, out.String(), "  -"+f.Name)
	})
}

// FuzzFlags parses any command line of training, its arguments separated by NULs. The result is a valid configuration,
// a request for help or a usage error of one line.
func FuzzFlags(f *testing.F) {
	for _, line := range []string{"--quick --lr=1e-3", "-lr NaN", "--accum=1,,2", "--heads=3 x", "--=", "-", "--",
		"--lr", "--help", "--seed=-1", "--min-lr=-0", "--threads=99999999999999999999",
		"--unfreeze layered --freeze-attn", "--batch=4611686018427387904 --accum=4",
		"--pretrain-epochs=16777216", "--layers=16777216 --dim=16777216", "--beta2=0.99999999", "--max-steps=1"} {
		f.Add(strings.ReplaceAll(line, " ", "\x00"))
	}
	f.Add("--attn-backward=\n")
	f.Add("--a\nb\x00--tokenizer=x\ny")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "-init-from") {
			t.Skip("reads a file, whose errors are no usage errors")
		}
		cfg, _, values, err := parseTrain(&terminal.Console{Out: io.Discard}, strings.Split(line, "\x00"))
		if err == nil {
			require.NoError(t, cfg.validate())
			require.NotEmpty(t, values)
			require.LessOrEqual(t, cfg.Model.weights(), float64(maxWeights))
			for _, p := range []PhaseConfig{cfg.Pretrain, cfg.Finetune} {
				for _, accum := range p.Accum {
					require.Positive(t, cfg.Batch*accum)
				}
			}
			return
		}
		var errOut bytes.Buffer
		code := reportError(&errOut, err)
		if errors.Is(err, flag.ErrHelp) {
			require.Equal(t, exitOK, code)
			require.Empty(t, errOut.String())
			return
		}
		require.Equal(t, exitUsage, code, "%v", err)
		require.Equal(t, errOut.Len()-1, strings.IndexFunc(errOut.String(), unicode.IsControl), "%q", &errOut)
	})
}

func TestFlags_WhatIsLoggedNeedsALogOrAReport(t *testing.T) {
	for _, beside := range []string{"--log-json=l", "--report=r.html"} {
		cfg, _, _ := parsed(t, "--log-attn-gradient=5", "--log-steps=7", beside)
		require.Equal(t, []int{5, 7}, []int{cfg.LogAttnGradient, cfg.LogSteps})
	}
	for _, flag := range []string{"--log-attn-gradient=5", "--log-steps=5"} {
		_, _, _, err := parseTrain(&terminal.Console{Out: io.Discard}, []string{flag})
		require.ErrorContains(t, err, flag+": takes --log-json=FILE or --report=FILE.html")
	}
}
