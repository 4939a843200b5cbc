package main

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/safetensors"
)

var goldenFiles, _ = filepath.Glob(filepath.Join(packageFolder, "testdata/golden/*.safetensors"))

func TestGolden_CasesOfPyTorchAgree(t *testing.T) {
	require.NotEmpty(t, goldenFiles)
	for _, file := range goldenFiles {
		t.Run(filepath.Base(file), func(t *testing.T) {
			onEachKernel(t, func(t *testing.T) {
				g, err := loadGolden(file)
				require.NoError(t, err)
				r, err := g.check()
				require.NoError(t, err)
				require.True(t, r.OK, "%s", r)
			})
		})
	}
}

// smallGolden loads the smallest case.
func smallGolden(t *testing.T) *goldenCase {
	g, err := loadGolden(filepath.Join(packageFolder, "testdata/golden/smooth.safetensors"))
	require.NoError(t, err)
	return g
}

// A case fails when any of its figures differs a little from what PyTorch computed.
func TestGolden_TamperedCasesFail(t *testing.T) {
	for name := range smallGolden(t).tensors {
		if name == "grad/h.0.attn.c_attn.bias" || name == "trained/h.0.attn.c_attn.bias" {
			continue // the keys' third is not compared with PyTorch; "query bias" and "value bias" below change the rest
		}
		g := smallGolden(t)
		data := g.tensors[name].Data
		for i := range data { // 1 % off
			data[i] *= 1.01
		}
		if strings.HasSuffix(name, ".bias") { // a few are zero
			data[0] += 0.1
		}
		r, err := g.check()
		require.NoError(t, err)
		require.False(t, r.OK, name)
	}
	for name, change := range map[string]func(g *goldenCase){
		"loss":       func(g *goldenCase) { g.loss *= 1 + 1e-5 },
		"norm":       func(g *goldenCase) { g.gradNorm *= 1 + 1e-5 },
		"last loss":  func(g *goldenCase) { g.losses[len(g.losses)-1] *= 1 + 1e-5 },
		"smoothing":  func(g *goldenCase) { g.smoothing += 1e-3 },
		"clip":       func(g *goldenCase) { g.train.Clip /= 1e3; g.train.WeightDecay = 0.1 },
		"rate":       func(g *goldenCase) { g.train.LR *= 1.01 },
		"beta2":      func(g *goldenCase) { g.train.Beta2 = 0.9 },
		"answer":     func(g *goldenCase) { g.greedy[len(g.greedy)-1]++ },
		"prompt":     func(g *goldenCase) { g.greedy[0]++ },
		"target":     func(g *goldenCase) { g.batch.Targets[4]++ },
		"query bias": func(g *goldenCase) { g.tensors["grad/h.0.attn.c_attn.bias"].Data[0] += 1e-3 },
		"value bias": func(g *goldenCase) { g.tensors["trained/h.0.attn.c_attn.bias"].Data[70] += 1e-2 },
		"no number":  func(g *goldenCase) { g.loss = math.NaN() },
	} {
		g := smallGolden(t)
		change(g)
		r, err := g.check()
		require.NoError(t, err)
		require.False(t, r.OK, name)
	}
}

// Errors of about 2.5 times the limits fail a case: the limits are 2e-6 for logits, 2e-5 for a gradient and 1e-3 for
// trained weights.
func TestGolden_LimitsAreTight(t *testing.T) {
	for name, off := range map[string]float32{
		"logits/0": 5e-6, "grad/wte.weight": 5e-5, "grad/ln_f.bias": 5e-5, "trained/h.0.mlp.c_fc.weight": 2e-3,
	} {
		g := smallGolden(t)
		for i := range g.tensors[name].Data {
			g.tensors[name].Data[i] *= 1 + off
		}
		r, err := g.check()
		require.NoError(t, err)
		require.False(t, r.OK, "%s is %g off", name, off)
	}
}

// The gradient of the keys' bias is zero by theory, so it has no relative error: an entry beyond rounding counts as an
// infinite one.
func TestGolden_TheKeysBiasMustNotLearn(t *testing.T) {
	g := smallGolden(t)
	m := newLLM(g.config, newRNG(0, 0))
	for _, p := range m.Params() {
		copy(p.W, g.tensors[goldenParam+p.Name].Data)
	}
	var r goldenResult
	require.NoError(t, g.checkStart(m, &r))
	require.LessOrEqual(t, float64(r.GradRelErr), goldenGradLimit)
	m.SetAttentionBackward(StraightThrough) // gives the keys' bias a gradient
	r = goldenResult{}
	require.NoError(t, g.checkStart(m, &r))
	require.True(t, math.IsInf(float64(r.GradRelErr), 1), "%v of %s", r.GradRelErr, r.WorstTensor)
	require.Equal(t, "h.0.attn.c_attn.bias", r.WorstTensor)
}

// A figure beyond its limit means exit code 1, also when the continuation equals PyTorch's.
func TestGolden_AWrongFigureExitsWithOne(t *testing.T) {
	for loss, code := range map[string]int{"": exitOK, "1": exitError} {
		path := goldenFile(t, func(meta map[string]string, _ map[string]*safetensors.Tensor) {
			meta["loss"] = cmp.Or(loss, meta["loss"])
		})
		got, out, errText := gogpt(t, "gradcheck", "--golden="+path, "--json")
		require.Equal(t, code, got, errText)
		var r goldenResult
		onlyJSON(t, out, &r)
		require.True(t, r.GreedyEqual)
		require.Equal(t, code == exitOK, r.OK)
		require.Positive(t, float64(r.ElapsedSec))
		want := "PASS: the worst is logits: error "
		if code != exitOK {
			require.Contains(t, errText, path)
			require.Equal(t, "loss", r.Worst.What)
			want = "FAIL: the worst is loss: error "
		}
		_, out, _ = gogpt(t, "gradcheck", "--golden="+path)
		require.Regexp(t, `\n`+want+`\d\.\de[-+]\d+, limit 2e-06; [\d.]+m?s\n$`, out)
	}
}

func TestGolden_ADifferentContinuationFailsByItself(t *testing.T) {
	path := goldenFile(t, func(meta map[string]string, _ map[string]*safetensors.Tensor) {
		var ids []int
		require.NoError(t, json.Unmarshal([]byte(meta["greedy"]), &ids))
		ids[len(ids)-1] = (ids[len(ids)-1] + 1) % 2
		text, err := json.Marshal(ids)
		require.NoError(t, err)
		meta["greedy"] = string(text)
	})
	code, out, _ := gogpt(t, "gradcheck", "--golden="+path)
	require.Equal(t, exitError, code)
	require.Contains(t, out, "\nFAIL: the worst is the greedy continuation; of the figures, logits: error ")
}

// One NaN in a tensor, the first or the last that is compared, fails the case and stays its worst error. The result is
// still valid JSON.
func TestGolden_ANaNStaysTheWorstError(t *testing.T) {
	names := []string{"grad/wte.weight", "grad/ln_f.bias", "trained/wte.weight", "logits/0", "param/wpe.weight"}
	for _, name := range names {
		g := smallGolden(t)
		g.tensors[name].Data[0] = float32(math.NaN())
		r, err := g.check()
		require.NoError(t, err)
		require.False(t, r.OK, name)
		_, err = json.Marshal(r)
		require.NoError(t, err)
		if tensor, ok := strings.CutPrefix(name, "grad/"); ok {
			require.Equal(t, tensor, r.WorstTensor)
			require.Contains(t, r.String(), "gradient of "+tensor)
		}
	}
}

// goldenFile applies change to the smallest case, saves it and returns the path.
func goldenFile(t *testing.T, change func(meta map[string]string, tensors map[string]*safetensors.Tensor)) string {
	file, err := safetensors.Load(filepath.Join(packageFolder, "testdata/golden/smooth.safetensors"))
	require.NoError(t, err)
	byName := map[string]*safetensors.Tensor{}
	for i := range file.Tensors {
		byName[file.Tensors[i].Name] = &file.Tensors[i]
	}
	change(file.Metadata, byName)
	path := filepath.Join(t.TempDir(), "case.safetensors")
	require.NoError(t, safetensors.Save(path, file.Tensors, file.Metadata))
	return path
}

// changedGolden returns the error of loading and checking a changed case.
func changedGolden(t *testing.T, change func(meta map[string]string, tensors map[string]*safetensors.Tensor)) error {
	g, err := loadGolden(goldenFile(t, change))
	if err == nil {
		_, err = g.check()
	}
	return err
}

func TestGolden_RefusesMalformedCases(t *testing.T) {
	require.NoError(t, changedGolden(t, func(map[string]string, map[string]*safetensors.Tensor) {}))
	for _, c := range []struct{ key, value, want string }{
		{"config", "", "config"},
		{"config", `{"n_layer":1}`, "n_head"},
		{"config", `{"n_layer":1,"n_head":5,"n_embd":24,"n_inner":40,"n_positions":12,"vocab_size":50}`, "n_head 5"},
		{"config", `{"n_layer":2,"n_head":3,"n_embd":24,"n_inner":40,"n_positions":12,"vocab_size":50}`, "h.1"},
		{"config", `{"n_layer":1,"n_head":1,"n_embd":16777216,"n_inner":40,"n_positions":12,"vocab_size":16777216}`,
			"wte.weight"},
		{"sequences", "", "sequences"},
		{"sequences", "[]", "sequences"},
		{"sequences", "[[1]]", "sequence 0"},
		{"sequences", "[[1,2],[1,2,3,4,5,6,7,8,9,10,11,12,13,14]]", "sequence 1"},
		{"sequences", "[[1,50]]", "token id"},
		{"sequences", "[[1,-1]]", "token id"},
		{"sequences", "[[1,2]]", "logits/0"},
		{"greedy", "[1,2,50]", "token id"},
		{"label_smoothing", "x", "label_smoothing"},
		{"loss", "", "loss"},
		{"losses", "[1,2]", "losses"},
		{"train", `{"steps":10,"beta1":0.8,"eps":1e-8}`, "beta1"},
		{"train", `{"steps":10,"beta1":0.9,"eps":1e-6}`, "eps"},
	} {
		err := changedGolden(t, func(meta map[string]string, _ map[string]*safetensors.Tensor) { meta[c.key] = c.value })
		require.ErrorContains(t, err, c.want, "%s: %s", c.key, c.value)
	}
	names := []string{"param/wte.weight", "param/ln_f.bias", "grad/wpe.weight", "trained/ln_f.weight", "logits/0"}
	for _, name := range names {
		err := changedGolden(t, func(_ map[string]string, tensors map[string]*safetensors.Tensor) {
			tensors[name].Name = "other"
		})
		require.ErrorContains(t, err, strings.TrimPrefix(name, "param/"))
		err = changedGolden(t, func(_ map[string]string, tensors map[string]*safetensors.Tensor) {
			*tensors[name] = safetensors.Tensor{Name: name, Shape: []int{2}, Data: []float32{1, 2}}
		})
		require.ErrorContains(t, err, strings.TrimPrefix(name, "param/"))
	}
}

func TestGolden_RefusesMissingAndTruncatedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cut.safetensors")
	_, err := loadGolden(path)
	require.ErrorContains(t, err, path)
	whole, err := os.ReadFile(filepath.Join(packageFolder, "testdata/golden/smooth.safetensors"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	_, err = loadGolden(path)
	require.ErrorContains(t, err, path)
}

// Any metadata of a case is an error, or gives a case that can be checked.
func FuzzGolden_Metadata(f *testing.F) {
	file, err := safetensors.Load(filepath.Join(packageFolder, "testdata/golden/smooth.safetensors"))
	require.NoError(f, err)
	meta := file.Metadata
	const train = `{"steps":1,"lr":1e-3,"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0,"clip":1}`
	f.Add(meta["config"], meta["sequences"], meta["greedy"], meta["losses"], meta["train"], meta["loss"])
	f.Add(meta["config"], "[[1,2],[3,4,5]]", "[1,2,3]", "[1]", train, "1")
	f.Add(meta["config"], "[[1,2]]", "[]", "null", strings.Replace(train, "1,", "0,", 1), "null")
	tall := strings.Replace(meta["config"], `"n_layer"`, `"n_layer":16777216,"n_other"`, 1)
	f.Add(tall, "[[1,2]]", "[1]", "[]", train, "0")
	f.Fuzz(func(t *testing.T, config, sequences, greedy, losses, train, loss string) {
		g := &goldenCase{tensors: map[string]safetensors.Tensor{}}
		for _, w := range file.Tensors {
			g.tensors[w.Name] = w
		}
		err := g.parse(map[string]string{"config": config, "sequences": sequences, "greedy": greedy, "losses": losses,
			"train": train, "loss": loss, "grad_norm": "1", "label_smoothing": "0.1"})
		if err != nil || checkShapes(g.config, file.Tensors, goldenParam) != nil {
			return
		}
		if len(g.batch.Inputs)+len(g.greedy)+len(g.losses) > 200 { // too slow
			return
		}
		if r, err := g.check(); err == nil {
			_, err = json.Marshal(r)
			require.NoError(t, err)
		}
	})
}
