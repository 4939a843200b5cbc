package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// savedModel writes a fresh tiny model with a vocabulary of bytes and returns it, its tokenizer and the file.
func savedModel(t *testing.T) (*LLM, *tokenizer, string) {
	tok := byteTokenizer(t)
	c := ModelConfig{Layers: 2, Heads: 2, Dim: 8, Hidden: 12, Context: 16, Vocab: tok.size()}
	m := newLLM(c, newRNG(3, initStream))
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, saveModel(path, m, tok))
	return m, tok, path
}

// rewrite loads the tensors of a file, lets change at them, and saves them to another file.
func rewrite(t *testing.T, path string, change func(*tensorFile)) string {
	file, err := loadTensors(path)
	require.NoError(t, err)
	change(file)
	changed := filepath.Join(t.TempDir(), "changed.safetensors")
	require.NoError(t, saveTensors(changed, file.Tensors, file.Metadata))
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

func TestALoadedModelHasTheBitsThatWereSaved(t *testing.T) {
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

// A list of no name, of one and of many: each tensor is frozen after loading exactly where it was before saving.
func TestCheckpoint_KeepsWhichTensorsAreFrozen(t *testing.T) {
	m, tok, path := savedModel(t)
	for name, frozen := range map[string]func(i int) bool{
		"none":          func(int) bool { return false },
		"the first":     func(i int) bool { return i == 0 },
		"one in middle": func(i int) bool { return i == 5 },
		"the last":      func(i int) bool { return i == len(m.Params())-1 },
		"every other":   func(i int) bool { return i%2 == 0 },
		"all":           func(int) bool { return true },
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
		require.Equal(t, want, frozenNames(loaded), name)
	}
}

func TestASavedModelSpeaksTheNamesOfHuggingFace(t *testing.T) {
	_, _, path := savedModel(t)
	file, err := loadTensors(path)
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
	require.JSONEq(t, `{"architectures":["GPT2LMHeadModel"],"model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":8,"n_inner":12,
		"n_positions":16,"n_ctx":16,"vocab_size":259,"activation_function":"gelu_new","layer_norm_epsilon":1e-5,"initializer_range":0.02,
		"resid_pdrop":0,"embd_pdrop":0,"attn_pdrop":0,"scale_attn_weights":true,"use_cache":true,"tie_word_embeddings":true,
		"torch_dtype":"float32","bos_token_id":256,"eos_token_id":256}`, file.Metadata[metaConfig])
}

func TestNamesWithoutTheirPrefixAndGPT2sMasksAreRead(t *testing.T) {
	m, _, path := savedModel(t)
	for name, change := range map[string]func(*tensorFile){
		"no prefix": func(f *tensorFile) {
			for i := range f.Tensors {
				f.Tensors[i].Name = strings.TrimPrefix(f.Tensors[i].Name, hfPrefix)
			}
		},
		"masks": func(f *tensorFile) {
			f.Tensors = append(f.Tensors, tensor{Name: "transformer.h.0.attn.bias", Shape: []int{1}, Data: []float32{1}},
				tensor{Name: "h.1.attn.masked_bias", Shape: []int{}, Data: []float32{-1e4}})
		},
		"tied head": func(f *tensorFile) {
			f.Tensors = append(f.Tensors, tensor{Name: "lm_head.weight", Shape: m.embed.wte.Shape, Data: slices.Clone(m.embed.wte.W)})
		},
		"another order": func(f *tensorFile) { slices.Reverse(f.Tensors) },
	} {
		loaded, _, err := loadModel(rewrite(t, path, change))
		require.NoError(t, err, name)
		requireSameModel(t, m, loaded)
	}
}

// tensorNamed finds a tensor by the end of its name.
func tensorNamed(f *tensorFile, name string) *tensor {
	i := slices.IndexFunc(f.Tensors, func(w tensor) bool { return strings.HasSuffix(w.Name, name) })
	return &f.Tensors[i]
}

func TestAFileOfAnotherModelIsRefused(t *testing.T) {
	m, _, path := savedModel(t)
	head := slices.Clone(m.embed.wte.W)
	head[5]++
	for want, change := range map[string]func(*tensorFile){
		`no tensor "ln_f.bias"`: func(f *tensorFile) {
			f.Tensors = slices.DeleteFunc(f.Tensors, func(w tensor) bool { return strings.HasSuffix(w.Name, "ln_f.bias") })
		},
		`no tensor "wte.weight"`:                 func(f *tensorFile) { tensorNamed(f, "wte.weight").Name = "wte" },
		`tensor "wpe.weight" has shape [8 16]`:   func(f *tensorFile) { tensorNamed(f, "wpe.weight").Shape = []int{8, 16} },
		`tensor "h.0.ln_1.bias" has shape [2 4]`: func(f *tensorFile) { tensorNamed(f, "h.0.ln_1.bias").Shape = []int{2, 4} },
		`tensor "h.2.ln_1.bias" belongs to no layer`: func(f *tensorFile) {
			f.Tensors = append(f.Tensors, tensor{Name: "transformer.h.2.ln_1.bias", Shape: []int{1}, Data: []float32{0}})
		},
		`tensor "ln_f.bias" is there twice`: func(f *tensorFile) {
			f.Tensors = append(f.Tensors, tensor{Name: "ln_f.bias", Shape: []int{8}, Data: make([]float32, 8)})
		},
		`tensor "ln_f.weight" holds a NaN or an Inf`: func(f *tensorFile) { tensorNamed(f, "ln_f.weight").Data[7] = float32(math.NaN()) },
		`tensor "wte.weight" holds a NaN or an Inf`:  func(f *tensorFile) { tensorNamed(f, "wte.weight").Data[0] = float32(math.Inf(-1)) },
		`tensor "lm_head.weight" differs from wte`: func(f *tensorFile) {
			f.Tensors = append(f.Tensors, tensor{Name: "lm_head.weight", Shape: []int{259, 8}, Data: head})
		},
		`no "config" in the metadata`:           func(f *tensorFile) { delete(f.Metadata, metaConfig) },
		`no "tokenizer" in the metadata`:        func(f *tensorFile) { delete(f.Metadata, metaTokenizer) },
		`metadata "frozen"`:                     func(f *tensorFile) { f.Metadata[metaFrozen] = "{}" },
		`tokenizer: `:                           func(f *tensorFile) { f.Metadata[metaTokenizer] = "{}" },
		`tokenizer of 259 tokens, model of 300`: func(f *tensorFile) { f.Metadata[metaConfig] = strings.Replace(f.Metadata[metaConfig], "259", "300", 1) },
		`no tensor "h.2.ln_1.weight"`: func(f *tensorFile) {
			f.Metadata[metaConfig] = strings.Replace(f.Metadata[metaConfig], `"n_layer":2`, `"n_layer":3`, 1)
		},
		`wants [259 16]`: func(f *tensorFile) {
			f.Metadata[metaConfig] = strings.Replace(f.Metadata[metaConfig], `"n_embd":8`, `"n_embd":16`, 1)
		},
		`config: n_head 3 does not divide n_embd 8`: func(f *tensorFile) {
			f.Metadata[metaConfig] = strings.Replace(f.Metadata[metaConfig], `"n_head":2`, `"n_head":3`, 1)
		},
	} {
		changed := rewrite(t, path, change)
		_, _, err := loadModel(changed)
		require.ErrorContains(t, err, changed+": ", want)
		require.ErrorContains(t, err, want)
	}
}

func TestAFileWithMoreLayersThanItsConfigurationIsRefused(t *testing.T) {
	_, _, path := savedModel(t)
	_, _, err := loadModel(rewrite(t, path, func(f *tensorFile) {
		f.Metadata[metaConfig] = strings.Replace(f.Metadata[metaConfig], `"n_layer":2`, `"n_layer":1`, 1)
	}))
	require.ErrorContains(t, err, "belongs to no layer of a model with 1 layers")
}

// What a small file promises must be in it: sixteen million blocks would take all memory.
func TestNoMemoryIsSetAsideForWhatAFileDoesNotHold(t *testing.T) {
	config := fmt.Sprintf(`{"n_layer":%d,"n_head":1,"n_embd":1,"n_inner":1,"n_positions":1,"vocab_size":259}`, maxExtent)
	last := fmt.Sprintf("h.%d.mlp.c_fc.weight", maxExtent-1)
	promise := func(prefix string) (tensors []tensor) {
		for name, shape := range map[string][]int{"wte.weight": {259, 1}, "wpe.weight": {1, 1}, "ln_f.weight": {1}, "ln_f.bias": {1}, last: {1, 1}} {
			tensors = append(tensors, tensor{Name: prefix + name, Shape: shape, Data: make([]float32, shape[0])})
		}
		return tensors
	}
	_, _, path := savedModel(t)
	_, _, err := loadModel(rewrite(t, path, func(f *tensorFile) {
		f.Metadata[metaConfig], f.Tensors = config, promise(hfPrefix)
	}))
	require.ErrorContains(t, err, `no tensor "h.0.ln_1.weight"`)
	_, err = loadGolden(rewrite(t, "testdata/golden/smooth.safetensors", func(f *tensorFile) {
		f.Metadata[metaConfig], f.Metadata["sequences"], f.Metadata["greedy"] = config, "[[1,2]]", "[1,2]"
		f.Tensors = promise(goldenParam)
	}))
	require.ErrorContains(t, err, `no tensor "h.0.ln_1.weight"`)
}

func TestATruncatedModelIsRefusedWhereverItEnds(t *testing.T) {
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

// FuzzModelMetadata: whatever the metadata of a model file says, its vocabulary patched somewhere, it is an error or the model that the tensors make.
func FuzzModelMetadata(f *testing.F) {
	m := newLLM(ModelConfig{Layers: 1, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: minVocabSize}, newRNG(3, initStream))
	var tensors []tensor
	for _, p := range m.Params() {
		tensors = append(tensors, tensor{Name: hfPrefix + p.Name, Shape: p.Shape, Data: p.W})
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
		got, tok, err := modelOf(&tensorFile{Tensors: tensors, Metadata: map[string]string{
			metaConfig: config, metaTokenizer: vocabulary, metaFrozen: frozen}})
		if err != nil {
			return
		}
		require.Equal(t, m.ModelConfig, got.ModelConfig)
		require.Equal(t, m.ParamCount(), got.ParamCount())
		require.Equal(t, "a\xff", tok.decode(tok.encode("a\xff")))
	})
}
