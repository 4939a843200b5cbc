package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/terminal"
)

// documentedFlag is a flag of training as the table of a page documents it.
type documentedFlag struct{ value, meaning string }

// readmeFlags reads the table of the README.
func readmeFlags(t *testing.T) map[string]documentedFlag {
	flags := documentedFlags(t, "README.md")
	require.Greater(t, len(flags), 30)
	return flags
}

// documentedFlags reads the rows "| `--a` `--b` | default of a, default of b | meaning |" of a page.
func documentedFlags(t *testing.T, page string) map[string]documentedFlag {
	text, err := os.ReadFile(filepath.Join(packageFolder, page))
	require.NoError(t, err)
	flags := map[string]documentedFlag{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(cells[1], " `--") {
			continue
		}
		separator := ", "
		if strings.Contains(cells[2], ";") { // between lists
			separator = "; "
		}
		values := strings.Split(strings.TrimSpace(cells[2]), separator)
		for i, name := range regexp.MustCompile(`--([a-z0-9-]+)`).FindAllStringSubmatch(cells[1], -1) {
			flags[name[1]] = documentedFlag{values[min(i, len(values)-1)], cells[3]}
		}
	}
	return flags
}

func TestConfig_DefaultsAreThoseOfTheReadme(t *testing.T) {
	requireDefaults(t, readmeFlags(t))
}

// requireDefaults asserts that a page documents the defaults of the program.
func requireDefaults(t *testing.T, flags map[string]documentedFlag) {
	c := defaultConfig()
	require.NoError(t, c.validate())
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	trainFlags(fs, &c, new(runFlags))
	inWords := map[string][]string{"off": {"false", "0", ""}, "no limit": {"0"}, "built in": {""}, "–": {"", "0"},
		"all cores": {strconv.Itoa(runtime.GOMAXPROCS(0))}}
	for name, documented := range flags {
		f := fs.Lookup(name)
		require.NotNil(t, f, "the README names --%s", name)
		if name == "kernel" { // its value is the kernel in use, its default "auto"
			continue
		}
		if values, ok := inWords[documented.value]; ok {
			require.Contains(t, values, f.DefValue, "--%s: %s", name, documented.value)
			continue
		}
		want, err := strconv.ParseFloat(documented.value, 64)
		if err != nil {
			require.Equal(t, documented.value, f.DefValue, "--%s", name)
			continue
		}
		got, err := strconv.ParseFloat(f.DefValue, 64)
		require.NoError(t, err, "--%s", name)
		require.Equal(t, want, got, "--%s", name)
	}
}

// docs/from-rustgpt.md names the defaults, the flags and the source of this program beside those of RustGPT.

const rustGPTPage = "docs/from-rustgpt.md"

func TestRustGPT_ThePageHasTheDefaultsOfTheProgram(t *testing.T) {
	flags := documentedFlags(t, rustGPTPage)
	require.Greater(t, len(flags), 20)
	requireDefaults(t, flags)
}

func TestRustGPT_TheCommandsOfThePageAreValid(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(packageFolder, rustGPTPage))
	require.NoError(t, err)
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	commands := regexp.MustCompile("go run \\.([^`\n]*)").FindAllStringSubmatch(joined, -1)
	require.Len(t, commands, 6)
	for _, command := range commands {
		_, _, _, err := parseTrain(&terminal.Console{}, strings.Fields(command[1]))
		require.NoError(t, err, command[0])
	}
}

// Rows of three cells have names of RustGPT, names of this program, and the files that declare them.
func TestRustGPT_TheNamesOfThePageAreInTheirFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(packageFolder, rustGPTPage))
	require.NoError(t, err)
	quoted := regexp.MustCompile("`([\\w.]+)`")
	names := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != 3 || !strings.Contains(cells[2], ".go`") {
			continue
		}
		source := ""
		for _, file := range quoted.FindAllStringSubmatch(cells[2], -1) {
			code, err := os.ReadFile(filepath.Join(packageFolder, file[1]))
			require.NoError(t, err)
			source += string(code)
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[1], -1) {
			last := name[1][strings.LastIndex(name[1], ".")+1:]
			require.Regexp(t, `\b`+last+`\b`, source, "%s of %s", name[1], cells[2])
			names++
		}
	}
	require.Greater(t, names, 60)
}

func TestConfig_QuickLeavesGivenFlagsAlone(t *testing.T) {
	documented := regexp.MustCompile(`\d+`).FindAllString(readmeFlags(t)["quick"].meaning, -1)
	c := defaultConfig()
	c.applyQuick(func(string) bool { return false })
	require.Equal(t, documented, []string{strconv.Itoa(c.Pretrain.Epochs), strconv.Itoa(c.Pretrain.Patience)})
	require.Zero(t, c.Finetune.Epochs)
	want := defaultConfig() // but for these three numbers
	want.Pretrain.Epochs, want.Pretrain.Patience, want.Finetune.Epochs = c.Pretrain.Epochs, c.Pretrain.Patience, 0
	require.Equal(t, want, c)

	c = defaultConfig()
	c.applyQuick(func(string) bool { return true })
	require.Equal(t, defaultConfig(), c)
}

func TestConfig_TheCosineEndsAtOnePercentByDefault(t *testing.T) {
	c := defaultConfig()
	require.InDelta(t, c.Pretrain.LR/100, c.Pretrain.minLR(), 1e-18)
	require.InDelta(t, c.Finetune.LR/100, c.Finetune.minLR(), 1e-18)
	require.Zero(t, (&PhaseConfig{LR: 1e-4, MinLR: 0}).minLR(), "an explicit 0 is no default")
	require.Equal(t, 5e-5, (&PhaseConfig{LR: 1e-4, MinLR: 5e-5}).minLR())
}

func TestConfig_EveryRangeIsChecked(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		flag  string
		spoil func(*Config)
	}{
		{"layers", func(c *Config) { c.Model.Layers = 0 }},
		{"heads", func(c *Config) { c.Model.Heads = 0 }},
		{"heads", func(c *Config) { c.Model.Heads = 3 }},
		{"dim", func(c *Config) { c.Model.Dim = -8 }},
		{"hidden", func(c *Config) { c.Model.Hidden = 0 }},
		{"context", func(c *Config) { c.Model.Context = 0 }},
		{"vocab-size", func(c *Config) { c.Model.Vocab = 258 }},
		{"batch", func(c *Config) { c.Batch = 0 }},
		{"threads", func(c *Config) { c.Threads = 0 }},
		{"pretrain-epochs", func(c *Config) { c.Pretrain.Epochs = -1 }},
		{"lr", func(c *Config) { c.Pretrain.LR = 0 }},
		{"lr", func(c *Config) { c.Pretrain.LR = nan }},
		{"lr", func(c *Config) { c.Pretrain.LR = inf }},
		{"patience", func(c *Config) { c.Pretrain.Patience = -1 }},
		{"accum", func(c *Config) { c.Pretrain.Accum = []int{1, 0} }},
		{"restarts", func(c *Config) { c.Pretrain.Restarts = -1 }},
		{"finetune-epochs", func(c *Config) { c.Finetune.Epochs = -1 }},
		{"finetune-lr", func(c *Config) { c.Finetune.LR = -1 }},
		{"finetune-lr", func(c *Config) { c.Finetune.LR = 1e39 }}, // +Inf in float32
		{"finetune-patience", func(c *Config) { c.Finetune.Patience = -1 }},
		{"finetune-accum", func(c *Config) { c.Finetune.Accum = []int{-4} }},
		{"finetune-restarts", func(c *Config) { c.Finetune.Restarts = -1 }},
		{"min-lr", func(c *Config) { c.Pretrain.MinLR = 1 }},
		{"min-lr", func(c *Config) { c.Pretrain.MinLR = nan }},
		{"clip", func(c *Config) { c.Clip = -1 }},
		{"clip", func(c *Config) { c.Clip = nan }},
		{"clip", func(c *Config) { c.Clip = inf }},
		{"weight-decay", func(c *Config) { c.WeightDecay = -1 }},
		{"weight-decay", func(c *Config) { c.WeightDecay = inf }},
		{"min-delta", func(c *Config) { c.MinDelta = -0.01 }},
		{"min-delta", func(c *Config) { c.MinDelta = inf }},
		{"beta2", func(c *Config) { c.Beta2 = 1 }},
		{"beta2", func(c *Config) { c.Beta2 = nan }},
		{"beta2", func(c *Config) { c.Beta2 = 0.99999999 }},
		{"label-smoothing", func(c *Config) { c.Smoothing = 1 }},
		{"dropout", func(c *Config) { c.Dropout = 1 }},
		{"dropout", func(c *Config) { c.Dropout = -0.1 }},
		{"val-fraction", func(c *Config) { c.ValFraction = 1 }},
		{"val-fraction", func(c *Config) { c.ValFraction = nan }},
		{"warmup-steps", func(c *Config) { c.Warmup = -1 }},
		{"max-steps", func(c *Config) { c.MaxSteps = -1 }},
		{"freeze-attn-epochs", func(c *Config) { c.FreezeAttnEpochs = -1 }},
		{"freeze-attn-epochs", func(c *Config) { c.FreezeAttn, c.FreezeAttnEpochs = new(true), 1 }},
		{"freeze-attn-steps", func(c *Config) { c.FreezeAttnSteps = -1 }},
		{"freeze-attn-steps", func(c *Config) { c.FreezeAttn, c.FreezeAttnSteps = new(true), 1 }},
		{"freeze-attn-steps", func(c *Config) { c.FreezeAttnEpochs, c.FreezeAttnSteps = 1, 1 }},
		{"freeze-attn-steps", func(c *Config) { c.Finetune.Epochs, c.FreezeAttnSteps, c.MaxSteps = 0, 7, 7 }},
		{"release-warmup", func(c *Config) { c.ReleaseWarmup = -1 }},
		{"cooldown-epochs", func(c *Config) { c.Pretrain.Cooldown = -1 }},
		{"finetune-cooldown-epochs", func(c *Config) { c.Finetune.Cooldown = -1 }},
		{"unfreeze", func(c *Config) { c.Unfreeze, c.FreezeAttnSteps = unfreezeLayered, 1 }},
		{"unfreeze", func(c *Config) { c.Unfreeze, c.MaxSteps = unfreezeLayered, c.Model.Layers }},
		{"unfreeze", func(c *Config) { c.Unfreeze = "all" }},
		{"unfreeze", func(c *Config) { c.Unfreeze, c.FreezeAttn = unfreezeLayered, new(true) }},
		{"tokenizer", func(c *Config) { c.Tokenizer = "words" }},
	} {
		config := defaultConfig()
		c.spoil(&config)
		var bad *flagError
		require.True(t, errors.As(config.validate(), &bad), "%s: %+v", c.flag, config)
		require.Equal(t, c.flag, bad.flag)
		require.Contains(t, bad.Error(), "--"+c.flag+"=")
		require.NotEmpty(t, bad.takes)
	}
}

func TestConfig_AcceptsTheEdgesOfTheRanges(t *testing.T) {
	c := defaultConfig()
	c.Pretrain = PhaseConfig{LR: 1e-300, Accum: []int{1}}
	c.Finetune = c.Pretrain
	c.Clip, c.Beta2 = 0, 0
	require.NoError(t, c.validate())
	c.Pretrain.LR, c.Finetune.LR = 1e38, 1e38
	c.Pretrain.MinLR = c.Pretrain.LR // a constant learning rate
	c.Model = ModelConfig{Layers: 1, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: minVocabSize}
	require.NoError(t, c.validate())
	c.Pretrain.Epochs, c.Finetune.Epochs = 1, 1
	c.FreezeAttnSteps, c.MaxSteps = 7, 7 // tuning starts with everything released
	require.NoError(t, c.validate())
	c.Dropout, c.Smoothing, c.ValFraction, c.Beta2 = 0.999, 0.999, 0.999, 0.99999997
	require.NoError(t, c.validate())
	require.Less(t, float32(c.Beta2), float32(1), "Adam divides by 1 − beta2")
}

func TestConfig_RefusesNumbersTooLargeToComputeWith(t *testing.T) {
	for _, n := range []int{maxCount + 1, 1_000_000_000_000, 4611686018427387904, math.MaxInt} {
		for name, set := range map[string]func(*Config){
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
			"freeze-attn-steps":  func(c *Config) { c.FreezeAttnSteps = n },
			"release-warmup":     func(c *Config) { c.ReleaseWarmup = n },
			"cooldown-epochs":    func(c *Config) { c.Pretrain.Cooldown = n },
			"log-steps":          func(c *Config) { c.LogSteps = n },
			"log-attn-gradient":  func(c *Config) { c.LogAttnGradient = n },
			"freeze-attn-epochs": func(c *Config) { c.FreezeAttnEpochs = n },
		} {
			c := defaultConfig()
			set(&c)
			require.ErrorContains(t, c.validate(), fmt.Sprintf("--%s=%d: takes ", name, n))
			require.ErrorContains(t, c.validate(), "at most ")
		}
	}
}

func TestConfig_RefusesAModelBeyondAnyMemory(t *testing.T) {
	c := defaultConfig()
	c.Model = ModelConfig{Layers: 96, Heads: 96, Dim: 12288, Hidden: 4 * 12288, Context: 2048, Vocab: 50257}
	require.NoError(t, c.validate(), "GPT-3 is accepted")
	c.Model.Layers = 960
	for _, part := range []string{"--dim=12288: takes less", "--layers=960", "--hidden=49152", "--context=2048",
		"--vocab-size=50257", "1.7e+12 weights"} {
		require.ErrorContains(t, c.validate(), part)
	}
	c.Model = ModelConfig{Layers: maxExtent, Heads: 1, Dim: maxExtent, Hidden: maxExtent, Context: maxExtent,
		Vocab: maxExtent}
	require.ErrorContains(t, c.validate(), "--dim=16777216: takes less")
}

func TestConfig_RefusesAPlanTooShortForItsReleases(t *testing.T) {
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
		{layers: 2, layered: true}, // no epochs at all
		{layers: 2, pretrain: 30, freeze: 29},
		{layers: 2, pretrain: 30, freeze: 30, flag: "freeze-attn-epochs", takes: "a number below --pretrain-epochs=30"},
		{layers: 2, pretrain: 30, finetune: 1, freeze: 40}, // tuning starts with everything released
		{layers: 2, finetune: 30, freeze: 40, flag: "freeze-attn-epochs", takes: "a number below --finetune-epochs=30"},
		{layers: 2, freeze: 40},
	} {
		cfg := defaultConfig()
		cfg.Pretrain.Epochs, cfg.Finetune.Epochs = c.pretrain, c.finetune
		cfg.Model.Layers, cfg.FreezeAttnEpochs = c.layers, c.freeze
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

// In a plan that validate accepts, each stage has at least one epoch.
func TestConfig_AValidLayeredPlanHasAllItsStages(t *testing.T) {
	for layers := 1; layers <= 12; layers++ {
		for epochs := 1; epochs <= 40; epochs++ {
			cfg := defaultConfig()
			cfg.Model.Layers, cfg.Pretrain.Epochs, cfg.Unfreeze = layers, epochs, unfreezeLayered
			plan := newPlan(stepAnEpoch(epochs), epochs, []int{1}, cfg.freezePlan(stepAnEpoch(epochs), true))
			require.Equal(t, len(plan) == layers+1, cfg.validate() == nil, "%d layers, %d epochs", layers, epochs)
		}
	}
}

func TestConfig_AttentionBackwardHasTheNamesOfItsFlag(t *testing.T) {
	for _, mode := range []AttentionBackward{ExactBackward, StraightThrough, StopGradient} {
		var read AttentionBackward
		require.NoError(t, read.Set(mode.String()))
		require.Equal(t, mode, read)
	}
	var mode AttentionBackward
	require.Error(t, mode.Set("approximate"))
}

func TestModelConfig_IsReadFromAConfigJSON(t *testing.T) {
	m, err := parseModelConfig(`{"n_layer":2,"n_head":2,"n_embd":8,"n_positions":16,"vocab_size":300,"n_inner":null,
		"model_type":"gpt2"}`)
	require.NoError(t, err)
	require.Equal(t, ModelConfig{Layers: 2, Heads: 2, Dim: 8, Hidden: 32, Context: 16, Vocab: 300}, m)
	for _, c := range []struct{ text, want string }{
		{`{`, "config: "},
		{`{}`, "n_layer"},
		{`{"n_layer":2,"n_head":3,"n_embd":8,"n_positions":16,"vocab_size":300}`, "n_head 3 does not divide n_embd 8"},
		{`{"n_layer":2,"n_head":2,"n_embd":8,"n_positions":16,"vocab_size":99999999}`, "vocab_size"},
		{`{"n_layer":2,"n_head":2,"n_embd":8,"n_positions":-1,"vocab_size":300}`, "n_positions"},
		{`{"n_layer":"two","n_head":2,"n_embd":8,"n_positions":16,"vocab_size":300}`, "n_layer"},
		{`{"n_layer":2,"n_head":2,"n_embd":8,"n_inner":-4,"n_positions":16,"vocab_size":300}`, "n_inner"},
	} {
		_, err := parseModelConfig(c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
}

func TestModelConfig_ShapesAreThoseOfTheModel(t *testing.T) {
	c := oddConfig
	m := newLLM(c, newRNG(1, initStream))
	shapes := map[string][]int{}
	for _, w := range c.outerShapes() {
		shapes[w.name] = w.shape
	}
	for i := range c.Layers {
		for _, w := range c.blockShapes(i) {
			shapes[w.name] = w.shape
		}
	}
	require.Len(t, shapes, len(m.Params()))
	for _, p := range m.Params() {
		require.Equal(t, p.Shape, shapes[p.Name], p.Name)
	}
	require.Equal(t, float64(m.ParamCount()), c.weights())
}
