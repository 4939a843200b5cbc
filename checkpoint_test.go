package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/safetensors"
)

// savedModel saves a tiny initial model with a vocabulary of bytes and returns it, its tokenizer and the path of the
// file.
func savedModel(t *testing.T) (*LLM, *tokenizer, string) {
	tok := byteTokenizer(t)
	c := ModelConfig{Layers: 2, Heads: 2, Dim: 8, Hidden: 12, Context: 16, Vocab: tok.size()}
	m := newLLM(c, newRNG(3, initStream))
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, saveModel(path, m, tok))
	return m, tok, path
}

// rewrite applies change to the contents of a file, saves them to another file and returns its path.
func rewrite(t *testing.T, path string, change func(*safetensors.File)) string {
	file, err := safetensors.Load(path)
	require.NoError(t, err)
	change(file)
	changed := filepath.Join(t.TempDir(), "changed.safetensors")
	require.NoError(t, safetensors.Save(changed, file.Tensors, file.Metadata))
	return changed
}

func requireSameModel(t *testing.T, want, got *LLM) {
	require.Equal(t, want.ModelConfig, got.ModelConfig)
	for i, p := range want.Params() {
		q := got.Params()[i]
		require.Equal(t, p.Name, q.Name)
		require.Equal(t, p.Frozen, q.Frozen, p.Name)
		for j := range p.W {
			require.Equal(t, math.Float32bits(p.W[j]), math.Float32bits(q.W[j]), "%s[%d]", p.Name, j)
		}
	}
}

func TestCheckpoint_LoadsTheBitsThatWereSaved(t *testing.T) {
	m, tok, path := savedModel(t)
	m.SetAttentionFreezeUpdates(true)
	m.Params()[0].W[0] = float32(math.Copysign(0, -1))
	m.Params()[0].W[1] = math.SmallestNonzeroFloat32
	require.NoError(t, saveModel(path, m, tok))
	loaded, loadedTok, err := loadModel(path)
	require.NoError(t, err)
	requireSameModel(t, m, loaded)
	require.Equal(t, tok, loadedTok)

	again := filepath.Join(t.TempDir(), "again.safetensors")
	require.NoError(t, saveModel(again, loaded, loadedTok))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	second, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, first, second, "equal models give equal bytes")
}

// After loading, exactly those tensors are frozen that were frozen when the model was saved.
func TestCheckpoint_KeepsWhichTensorsAreFrozen(t *testing.T) {
	m, tok, path := savedModel(t)
	for name, frozen := range map[string]func(i int) bool{
		"none":              func(int) bool { return false },
		"the first":         func(i int) bool { return i == 0 },
		"one in the middle": func(i int) bool { return i == 5 },
		"the last":          func(i int) bool { return i == len(m.Params())-1 },
		"every other":       func(i int) bool { return i%2 == 0 },
		"all":               func(int) bool { return true },
	} {
		want := []string{}
		for i, p := range m.Params() {
			if p.Frozen = frozen(i); p.Frozen {
				want = append(want, p.Name)
			}
		}
		require.NoError(t, saveModel(path, m, tok))
		loaded, _, err := loadModel(path)
		require.NoError(t, err)
		require.Equal(t, want, frozenNames(loaded.Params()), name)
	}
}

func TestCheckpoint_UsesTheNamesOfHuggingFace(t *testing.T) {
	_, _, path := savedModel(t)
	file, err := safetensors.Load(path)
	require.NoError(t, err)
	shapes := map[string][]int{}
	for _, w := range file.Tensors {
		shapes[w.Name] = w.Shape
	}
	require.Len(t, shapes, 4+2*12)
	require.Equal(t, []int{259, 8}, shapes["transformer.wte.weight"])
	require.Equal(t, []int{8, 24}, shapes["transformer.h.1.attn.c_attn.weight"])
	require.Equal(t, []int{12, 8}, shapes["transformer.h.1.mlp.c_proj.weight"])
	require.NotContains(t, shapes, "lm_head.weight", "tied")
	require.Equal(t, "pt", file.Metadata["format"])
	require.JSONEq(t, `{"architectures":["GPT2LMHeadModel"],"model_type":"gpt2",
		"n_layer":2,"n_head":2,"n_embd":8,"n_inner":12,"n_positions":16,"n_ctx":16,"vocab_size":259,
		"activation_function":"gelu_new","layer_norm_epsilon":1e-5,"initializer_range":0.02,"resid_pdrop":0,"embd_pdrop":0,
		"attn_pdrop":0,"scale_attn_weights":true,"use_cache":true,"tie_word_embeddings":true,
		"torch_dtype":"float32","bos_token_id":256,"eos_token_id":256}`, file.Metadata[metaConfig])
}

func TestCheckpoint_LoadsWhatOtherToolsSave(t *testing.T) {
	m, _, path := savedModel(t)
	for name, change := range map[string]func(*safetensors.File){
		"no prefix": func(f *safetensors.File) {
			for i := range f.Tensors {
				f.Tensors[i].Name = strings.TrimPrefix(f.Tensors[i].Name, hfPrefix)
			}
		},
		"masks": func(f *safetensors.File) {
			f.Tensors = append(f.Tensors,
				safetensors.Tensor{Name: "transformer.h.0.attn.bias", Shape: []int{1}, Data: []float32{1}},
				safetensors.Tensor{Name: "h.1.attn.masked_bias", Shape: []int{}, Data: []float32{-1e4}})
		},
		"tied head": func(f *safetensors.File) {
			wte := m.embed.wte
			f.Tensors = append(f.Tensors,
				safetensors.Tensor{Name: "lm_head.weight", Shape: wte.Shape, Data: slices.Clone(wte.W)})
		},
		"another order": func(f *safetensors.File) { slices.Reverse(f.Tensors) },
	} {
		loaded, _, err := loadModel(rewrite(t, path, change))
		require.NoError(t, err, name)
		requireSameModel(t, m, loaded)
	}
}

// tensorNamed returns the tensor whose name ends with name.
func tensorNamed(f *safetensors.File, name string) *safetensors.Tensor {
	i := slices.IndexFunc(f.Tensors, func(w safetensors.Tensor) bool { return strings.HasSuffix(w.Name, name) })
	return &f.Tensors[i]
}

func TestCheckpoint_RefusesTensorsThatDoNotFit(t *testing.T) {
	m, _, path := savedModel(t)
	head := slices.Clone(m.embed.wte.W)
	head[5]++
	add := func(name string, shape []int, data []float32) func(*safetensors.File) {
		return func(f *safetensors.File) {
			f.Tensors = append(f.Tensors, safetensors.Tensor{Name: name, Shape: shape, Data: data})
		}
	}
	reshape := func(name string, shape ...int) func(*safetensors.File) {
		return func(f *safetensors.File) { tensorNamed(f, name).Shape = shape }
	}
	set := func(name string, i int, x float64) func(*safetensors.File) {
		return func(f *safetensors.File) { tensorNamed(f, name).Data[i] = float32(x) }
	}
	for want, change := range map[string]func(*safetensors.File){
		`no tensor "ln_f.bias"`: func(f *safetensors.File) {
			f.Tensors = slices.DeleteFunc(f.Tensors, func(w safetensors.Tensor) bool {
				return strings.HasSuffix(w.Name, "ln_f.bias")
			})
		},
		`no tensor "wte.weight"`:                     func(f *safetensors.File) { tensorNamed(f, "wte.weight").Name = "wte" },
		`tensor "wpe.weight" has shape [8 16]`:       reshape("wpe.weight", 8, 16),
		`tensor "h.0.ln_1.bias" has shape [2 4]`:     reshape("h.0.ln_1.bias", 2, 4),
		`tensor "h.2.ln_1.bias" belongs to no layer`: add("transformer.h.2.ln_1.bias", []int{1}, []float32{0}),
		`tensor "ln_f.bias" appears twice`:           add("ln_f.bias", []int{8}, make([]float32, 8)),
		`tensor "ln_f.weight" holds a NaN or an Inf`: set("ln_f.weight", 7, math.NaN()),
		`tensor "wte.weight" holds a NaN or an Inf`:  set("wte.weight", 0, math.Inf(-1)),
		`tensor "lm_head.weight" differs from wte`:   add("lm_head.weight", []int{259, 8}, head),
	} {
		requireRefused(t, rewrite(t, path, change), want)
	}
}

func TestCheckpoint_RefusesMetadataThatDoesNotFit(t *testing.T) {
	_, _, path := savedModel(t)
	for _, c := range []struct{ want, key, old, new string }{ // replaces old by new; old "": the whole entry
		{`no "config" in the metadata`, metaConfig, "", ""},
		{`no "tokenizer" in the metadata`, metaTokenizer, "", ""},
		{`metadata "frozen"`, metaFrozen, "", "{}"},
		{`tokenizer: `, metaTokenizer, "", "{}"},
		{`the tokenizer has 259 tokens, the configuration vocab_size 300`, metaConfig, "259", "300"},
		{`no tensor "h.2.ln_1.weight"`, metaConfig, `"n_layer":2`, `"n_layer":3`},
		{`belongs to no layer of a model with 1 layers`, metaConfig, `"n_layer":2`, `"n_layer":1`},
		{`wants [259 16]`, metaConfig, `"n_embd":8`, `"n_embd":16`},
		{`config: n_head 3 does not divide n_embd 8`, metaConfig, `"n_head":2`, `"n_head":3`},
	} {
		requireRefused(t, rewrite(t, path, func(f *safetensors.File) {
			value := cmp.Or(c.old, f.Metadata[c.key])
			require.Contains(t, f.Metadata[c.key], value)
			f.Metadata[c.key] = strings.Replace(f.Metadata[c.key], value, c.new, 1)
			if f.Metadata[c.key] == "" {
				delete(f.Metadata, c.key)
			}
		}), c.want)
	}
}

// requireRefused wants loading a file to fail with an error that names the file and contains want.
func requireRefused(t *testing.T, path, want string) {
	t.Helper()
	_, _, err := loadModel(path)
	require.ErrorContains(t, err, path+": ", want)
	require.ErrorContains(t, err, want)
}

// A small file whose config claims sixteen million blocks is refused before memory for them is allocated.
func TestCheckpoint_AllocatesNothingForTensorsThatAreMissing(t *testing.T) {
	config := fmt.Sprintf(`{"n_layer":%d,"n_head":1,"n_embd":1,"n_inner":1,"n_positions":1,"vocab_size":259}`, maxExtent)
	last := fmt.Sprintf("h.%d.mlp.c_fc.weight", maxExtent-1)
	claimed := func(prefix string) (tensors []safetensors.Tensor) {
		for name, shape := range map[string][]int{
			"wte.weight": {259, 1}, "wpe.weight": {1, 1}, "ln_f.weight": {1}, "ln_f.bias": {1}, last: {1, 1},
		} {
			tensors = append(tensors,
				safetensors.Tensor{Name: prefix + name, Shape: shape, Data: make([]float32, shape[0])})
		}
		return tensors
	}
	_, _, path := savedModel(t)
	_, _, err := loadModel(rewrite(t, path, func(f *safetensors.File) {
		f.Metadata[metaConfig], f.Tensors = config, claimed(hfPrefix)
	}))
	require.ErrorContains(t, err, `no tensor "h.0.ln_1.weight"`)
	_, err = loadGolden(rewrite(t, "testdata/golden/smooth.safetensors", func(f *safetensors.File) {
		f.Metadata[metaConfig], f.Metadata["sequences"], f.Metadata["greedy"] = config, "[[1,2]]", "[1,2]"
		f.Tensors = claimed(goldenParam)
	}))
	require.ErrorContains(t, err, `no tensor "h.0.ln_1.weight"`)
}

func TestCheckpoint_RefusesATruncatedFileWhereverItEnds(t *testing.T) {
	_, _, path := savedModel(t)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := 0; n < len(whole); n += 1 + len(whole)/50 {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o644))
		_, _, err := loadModel(path)
		require.ErrorContains(t, err, path+": ", "%d of %d bytes", n, len(whole))
	}
	_, _, err = loadModel(path + ".missing")
	require.ErrorContains(t, err, "no such file")
}

// Any metadata of a model file, with any part of its vocabulary replaced, is an error or gives the model of the
// tensors.
func FuzzCheckpoint_Metadata(f *testing.F) {
	smallest := ModelConfig{Layers: 1, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: minVocabSize}
	m := newLLM(smallest, newRNG(3, initStream))
	var tensors []safetensors.Tensor
	for _, p := range m.Params() {
		tensors = append(tensors, safetensors.Tensor{Name: hfPrefix + p.Name, Shape: p.Shape, Data: p.W})
	}
	vocabulary, err := trainBPE(nil, minVocabSize)
	require.NoError(f, err)
	good, err := json.Marshal(vocabulary)
	require.NoError(f, err)
	config := `{"n_layer":1,"n_head":1,"n_embd":1,"n_inner":1,"n_positions":1,"vocab_size":259}`
	f.Add(config, `["wte.weight"]`, 0, 0, "")
	f.Add(strings.Replace(config, `"n_layer":1`, `"n_layer":16777216`, 1), "[]", 1, 1, "x")
	f.Add(strings.Replace(config, `"n_embd":1`, `"n_embd":16777216`, 1), "", 9, 3, "char")
	f.Add(`{"n_layer":1,"n_head":1,"n_embd":4611686018427387904}`, "null", len(good)-2, 1, `,"a"],"merges":["a b"]`)
	f.Add(`null`, "{}", 0, len(good), "null")
	f.Fuzz(func(t *testing.T, config, frozen string, at, cut int, patch string) {
		at = min(max(at, 0), len(good))
		cut = min(max(cut, 0), len(good)-at)
		vocabulary := string(good[:at]) + patch + string(good[at+cut:])
		got, tok, err := modelOf(&safetensors.File{Tensors: tensors, Metadata: map[string]string{
			metaConfig: config, metaTokenizer: vocabulary, metaFrozen: frozen}})
		if err != nil {
			return
		}
		require.Equal(t, m.ModelConfig, got.ModelConfig)
		require.Equal(t, m.ParamCount(), got.ParamCount())
		require.Equal(t, "a\xff", tok.decode(tok.encode("a\xff")))
	})
}
