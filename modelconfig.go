package main

import (
	"encoding/json"
	"fmt"
)

// The sizes of the model, and the name and shape of each of its weights.

// ModelConfig holds the sizes of the model. Its JSON keys are those of a Hugging Face GPT-2 config.json.
type ModelConfig struct {
	Layers  int `json:"n_layer"`     // transformer blocks, e.g. 2
	Heads   int `json:"n_head"`      // attention heads of a block, e.g. 8; must divide Dim
	Dim     int `json:"n_embd"`      // C, channels of the residual stream, e.g. 256
	Hidden  int `json:"n_inner"`     // channels inside the feed-forward, e.g. 512
	Context int `json:"n_positions"` // longest sequence in tokens, e.g. 128
	Vocab   int `json:"vocab_size"`  // tokens; for training the upper limit of the tokenizer, e.g. 2048
}

const (
	maxExtent  = 1 << 24 // limit of each size: a product of two cannot overflow
	maxWeights = 1 << 38 // limit of the numbers of a model: 2^40 bytes
)

// parseModelConfig reads the sizes from the JSON of a Hugging Face config.json. A missing n_inner means 4·n_embd.
func parseModelConfig(text string) (ModelConfig, error) {
	var m ModelConfig
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("config: %w", err)
	}
	if m.Hidden == 0 {
		m.Hidden = 4 * m.Dim
	}
	for _, size := range []struct {
		key   string
		value int
	}{{"n_layer", m.Layers}, {"n_head", m.Heads}, {"n_embd", m.Dim}, {"n_inner", m.Hidden},
		{"n_positions", m.Context}, {"vocab_size", m.Vocab}} {
		if size.value < 1 || size.value > maxExtent {
			return m, fmt.Errorf("config: %s is %d, not from 1 to %d", size.key, size.value, maxExtent)
		}
	}
	if m.Dim%m.Heads != 0 {
		return m, fmt.Errorf("config: n_head %d does not divide n_embd %d", m.Heads, m.Dim)
	}
	return m, nil
}

// weightShape is the name and the shape of one weight tensor. The names are those of a Hugging Face GPT-2.
type weightShape struct {
	name  string
	shape []int // extents, row-major
}

// outerShapes lists the weights outside the blocks.
func (m *ModelConfig) outerShapes() []weightShape {
	C := m.Dim
	return []weightShape{{"wte.weight", []int{m.Vocab, C}}, {"wpe.weight", []int{m.Context, C}},
		{"ln_f.weight", []int{C}}, {"ln_f.bias", []int{C}}}
}

// blockShapes lists the weights of one block, numbered from 0.
func (m *ModelConfig) blockShapes(block int) []weightShape {
	C, hidden := m.Dim, m.Hidden
	shapes := []weightShape{
		{"ln_1.weight", []int{C}}, {"ln_1.bias", []int{C}},
		{"attn.c_attn.weight", []int{C, 3 * C}}, {"attn.c_attn.bias", []int{3 * C}},
		{"attn.c_proj.weight", []int{C, C}}, {"attn.c_proj.bias", []int{C}},
		{"ln_2.weight", []int{C}}, {"ln_2.bias", []int{C}},
		{"mlp.c_fc.weight", []int{C, hidden}}, {"mlp.c_fc.bias", []int{hidden}},
		{"mlp.c_proj.weight", []int{hidden, C}}, {"mlp.c_proj.bias", []int{C}}}
	for i := range shapes {
		shapes[i].name = fmt.Sprintf("h.%d.%s", block, shapes[i].name)
	}
	return shapes
}

// weights returns how many numbers the weights of the model have, as a float64, which cannot overflow.
func (m *ModelConfig) weights() float64 {
	return countWeights(m.outerShapes()) + float64(m.Layers)*countWeights(m.blockShapes(0))
}

func countWeights(shapes []weightShape) float64 {
	total := 0.0
	for _, w := range shapes {
		size := 1.0
		for _, n := range w.shape {
			size *= float64(n)
		}
		total += size
	}
	return total
}
