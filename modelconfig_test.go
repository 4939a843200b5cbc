package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShapeIsReadFromAConfigJSON(t *testing.T) {
	m, err := parseModelConfig(`{"n_layer":2,"n_head":2,"n_embd":8,"n_positions":16,"vocab_size":300,"n_inner":null,"model_type":"gpt2"}`)
	require.NoError(t, err)
	require.Equal(t, ModelConfig{Layers: 2, Heads: 2, Dim: 8, Hidden: 32, Context: 16, Vocab: 300}, m)
	for text, want := range map[string]string{
		`{`:  "config: ",
		`{}`: "n_layer",
		`{"n_layer":2,"n_head":3,"n_embd":8,"n_positions":16,"vocab_size":300}`:              "n_head 3 does not divide n_embd 8",
		`{"n_layer":2,"n_head":2,"n_embd":8,"n_positions":16,"vocab_size":99999999}`:         "vocab_size",
		`{"n_layer":2,"n_head":2,"n_embd":8,"n_positions":-1,"vocab_size":300}`:              "n_positions",
		`{"n_layer":"two","n_head":2,"n_embd":8,"n_positions":16,"vocab_size":300}`:          "n_layer",
		`{"n_layer":2,"n_head":2,"n_embd":8,"n_inner":-4,"n_positions":16,"vocab_size":300}`: "n_inner",
	} {
		_, err := parseModelConfig(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestTheShapesOfTheConfigurationAreThoseOfTheModel(t *testing.T) {
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
