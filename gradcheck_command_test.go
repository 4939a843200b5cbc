package main

import (
	"encoding/json"
	"flag"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkedSizes is the command line of a model as small as can be checked, with a context shorter than the sequences of a check.
func checkedSizes(t *testing.T) []string {
	rows, pairs := textFile(t, "rows.json", `["abcdbca", "cabd"]`), textFile(t, "pairs.json", `[{"user":"ab","assistant":"cd"}]`)
	return []string{"--pretrain-data=" + rows, "--chat-data=" + pairs, "--tokenizer=char",
		"--layers=1", "--dim=4", "--heads=2", "--hidden=2", "--context=3"}
}

// gradRows runs a gradient check that must hold and returns its rows.
func gradRows(t *testing.T, flags ...string) []gradRow {
	code, out, err := gogpt(t, append([]string{"gradcheck", "--json"}, flags...)...)
	require.Equal(t, exitOK, code, err)
	var r struct {
		Rows []gradRow `json:"rows"`
		OK   bool      `json:"ok"`
	}
	onlyJSON(t, out, &r)
	require.True(t, r.OK)
	var named struct{ Rows []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(out), &named))
	for _, row := range named.Rows {
		require.Subset(t, slices.Collect(maps.Keys(row)), []string{"tensor", "mode", "rel_err", "cosine", "ok"})
	}
	return r.Rows
}

// The exact backward is always checked, and beside it the modes that were asked for: a row for each tensor and mode.
func TestGradcheck_ChecksTheModesAskedFor(t *testing.T) {
	for mode, want := range map[string][]string{
		"stop-gradient": {"exact", "stop-gradient"},
		"all":           {"exact", "straight-through", "stop-gradient"},
	} {
		rows := gradRows(t, append(checkedSizes(t), "--attn-backward="+mode)...)
		tensors := len(rows) / len(want)
		require.Greater(t, tensors, 16, "parameters and inputs")
		require.Len(t, rows, len(want)*tensors)
		for i, r := range rows {
			require.Equal(t, want[i/tensors], r.Mode, "--attn-backward=%s", mode)
			require.Equal(t, rows[i%tensors].Tensor, r.Tensor)
			require.True(t, r.OK, "%+v", r)
		}
	}
}

func TestGradcheck_PrintsATable(t *testing.T) {
	code, out, err := gogpt(t, append([]string{"gradcheck", "--attn-backward=exact"}, checkedSizes(t)...)...)
	require.Equal(t, exitOK, code, err)
	require.Contains(t, out, "exact            h.0.attn.c_attn.weight[q]")
	require.NotContains(t, out, "straight-through  ", "the exact backward alone was asked for")
	require.NotContains(t, out, "stop-gradient  ")
}

// The seed chooses the probes too, not only the weights that are checked.
func TestGradcheck_TheSeedChoosesTheProbes(t *testing.T) {
	flags := append(checkedSizes(t), "--seed=2")
	cfg := defaultConfig()
	fs := flag.NewFlagSet("gradcheck", flag.ContinueOnError)
	commonFlags(fs, &cfg)
	modelFlags(fs, &cfg.Model)
	dataFlags(fs, &cfg)
	require.NoError(t, fs.Parse(flags))
	m, b, err := checkSubject(&cfg)
	require.NoError(t, err)
	inJSON := func(rows []gradRow) string {
		text, err := json.Marshal(rows)
		require.NoError(t, err)
		return string(text)
	}
	printed := inJSON(gradRows(t, append(flags, "--attn-backward=exact")...))
	require.Equal(t, inJSON(checkGradients(m, b, 2, nil)), printed)
	require.NotEqual(t, inJSON(checkGradients(m, b, 1, nil)), printed, "other probes of the same weights")
}
