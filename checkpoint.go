package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gogpt/internal/safetensors"
)

// A saved model is one safetensors file: weights under the names of a Hugging Face GPT-2, and in its metadata the shape
// (as config.json), the tokenizer, and which weights the user froze. Equal models give equal bytes.

const hfPrefix = "transformer." // before every weight's name in a file that Hugging Face writes or reads

// The keys of the metadata.
const (
	metaConfig    = "config"
	metaTokenizer = "tokenizer"
	metaFrozen    = "frozen"
)

// hfConfig is config.json of a Hugging Face GPT-2. Beyond the sizes, every model of this program has the same values.
type hfConfig struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	ModelConfig
	Ctx            int     `json:"n_ctx"`
	Activation     string  `json:"activation_function"`
	Epsilon        float64 `json:"layer_norm_epsilon"`
	InitRange      float64 `json:"initializer_range"`
	ResidDrop      float64 `json:"resid_pdrop"`
	EmbedDrop      float64 `json:"embd_pdrop"`
	AttnDrop       float64 `json:"attn_pdrop"`
	ScaleAttention bool    `json:"scale_attn_weights"`
	UseCache       bool    `json:"use_cache"`
	Tied           bool    `json:"tie_word_embeddings"`
	DType          string  `json:"torch_dtype"`
	BOS            int     `json:"bos_token_id"`
	EOS            int     `json:"eos_token_id"`
}

// newHFConfig returns the configuration of a model with this tokenizer.
func newHFConfig(c ModelConfig, t *tokenizer) hfConfig {
	return hfConfig{Architectures: []string{"GPT2LMHeadModel"}, ModelType: "gpt2", ModelConfig: c, Ctx: c.Context,
		Activation: "gelu_new", Epsilon: lnEps, InitRange: initStd, ScaleAttention: true, UseCache: true, Tied: true,
		DType: "float32", BOS: t.endOfText, EOS: t.endOfText}
}

// saveModel saves model and tokenizer to one file, which it replaces atomically.
func saveModel(path string, m *LLM, t *tokenizer) error {
	config, err := json.Marshal(newHFConfig(m.ModelConfig, t))
	if err != nil {
		return err
	}
	vocabulary, err := json.Marshal(t)
	if err != nil {
		return err
	}
	frozen, err := json.Marshal(frozenByUser(m.Params()))
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, p := range m.Params() {
		tensors = append(tensors, safetensors.Tensor{Name: hfPrefix + p.Name, Shape: p.Shape, Data: p.W})
	}
	return safetensors.Save(path, tensors, map[string]string{
		metaConfig: string(config), metaTokenizer: string(vocabulary), metaFrozen: string(frozen)})
}

// loadModel loads a file that saveModel has saved. Errors name the file and the tensor or key at fault.
func loadModel(path string) (*LLM, *tokenizer, error) {
	file, err := safetensors.Load(path)
	if err != nil {
		return nil, nil, err
	}
	m, t, err := modelOf(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, t, nil
}

// modelOf returns the model and the tokenizer that a file holds.
func modelOf(file *safetensors.File) (*LLM, *tokenizer, error) {
	for _, key := range []string{metaConfig, metaTokenizer} {
		if file.Metadata[key] == "" {
			return nil, nil, fmt.Errorf("no %q in the metadata: not a model saved by gogpt", key)
		}
	}
	c, err := parseModelConfig(file.Metadata[metaConfig])
	if err != nil {
		return nil, nil, err
	}
	t := new(tokenizer)
	if err := json.Unmarshal([]byte(file.Metadata[metaTokenizer]), t); err != nil {
		return nil, nil, fmt.Errorf("tokenizer: %w", err)
	}
	if t.size() != c.Vocab {
		return nil, nil, fmt.Errorf("the tokenizer has %d tokens, the configuration vocab_size %d", t.size(), c.Vocab)
	}
	if err := checkShapes(c, file.Tensors, hfPrefix); err != nil {
		return nil, nil, err
	}
	m := newLLM(c, newRNG(0, initStream))
	return m, t, m.setWeights(file, file.Metadata[metaFrozen])
}

// checkShapes compares the shapes of a file with those of the configuration, before any memory is allocated for them.
// Names may begin with prefix.
func checkShapes(c ModelConfig, tensors []safetensors.Tensor, prefix string) error {
	shapes := map[string][]int{}
	for _, t := range tensors {
		shapes[strings.TrimPrefix(t.Name, prefix)] = t.Shape
	}
	wanted := c.outerShapes()
	for block := 0; ; block++ {
		for _, w := range wanted {
			if err := sameShape(w.name, shapes[w.name], w.shape); err != nil {
				return err
			}
		}
		if block == c.Layers {
			return nil
		}
		wanted = c.blockShapes(block)
	}
}

// sameShape returns an error when the shape of a tensor, nil for a missing one, is not the wanted shape.
func sameShape(name string, got, want []int) error {
	if got == nil {
		return fmt.Errorf("no tensor %q", name)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("tensor %q has shape %v, the configuration wants %v", name, got, want)
	}
	return nil
}

// setWeights copies the tensors of a file into the model. The file must hold every parameter once, with its shape and
// finite values, and nothing else.
func (m *LLM) setWeights(file *safetensors.File, frozen string) error {
	tensors := map[string]safetensors.Tensor{} // not copied yet
	for _, t := range file.Tensors {
		name := strings.TrimPrefix(t.Name, hfPrefix)
		if _, twice := tensors[name]; twice {
			return fmt.Errorf("tensor %q appears twice, with and without %q", name, hfPrefix)
		}
		tensors[name] = t
	}
	for _, p := range m.Params() {
		t := tensors[p.Name]
		if err := sameShape(p.Name, t.Shape, p.Shape); err != nil {
			return err
		}
		w, err := t.Floats()
		if err != nil {
			return err
		}
		copy(p.W, w)
		delete(tensors, p.Name)
	}
	if name := firstNonFinite(m.Params(), func(p *Param) []float32 { return p.W }); name != "" {
		return fmt.Errorf("tensor %q holds a NaN or an Inf", name)
	}
	for name, t := range tensors {
		switch {
		case strings.HasSuffix(name, ".attn.bias"), strings.HasSuffix(name, ".attn.masked_bias"):
			// the mask of GPT-2, not a weight
		case name == "lm_head.weight" && slices.Equal(t.Data, m.embed.wte.W): // tied
		case name == "lm_head.weight":
			return fmt.Errorf("tensor %q differs from wte.weight: only tied models are read", name)
		default:
			return fmt.Errorf("tensor %q belongs to no layer of a model with %d layers", name, m.Layers)
		}
	}
	return m.setFrozen(frozen)
}

// setFrozen freezes the parameters that the list, a JSON array of names, contains. An empty list changes nothing.
func (m *LLM) setFrozen(list string) error {
	if list == "" {
		return nil
	}
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil {
		return fmt.Errorf("metadata %q: %w", metaFrozen, err)
	}
	for _, p := range m.Params() {
		p.Frozen = slices.Contains(names, p.Name)
	}
	return nil
}
