package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

// The worst row is the one whose error is largest in relation to its limit; it decides the verdict.
func TestGradcheck_FailsWhenARowFails(t *testing.T) {
	row := func(tensor string, err, limit float64) gradRow {
		return gradRow{GradDistance: runlog.GradDistance{Tensor: tensor, Mode: "exact"}, RuleErr: strictjson.Float(err),
			Limit: strictjson.Float(limit), OK: err < limit}
	}
	good, zero := row("wte", 5e-4, 1e-3), row("keys", 6e-7, 1e-6)
	for _, c := range []struct {
		rows  []gradRow
		worst string
		line  string
	}{
		{[]gradRow{good, zero}, "keys", "PASS: the worst is keys, exact: error 6.0e-07, limit 1e-06; 1m1.5s\n"},
		{[]gradRow{good, row("bad", 1e-3, 1e-3), zero}, "bad", "FAIL: the worst is bad, exact: error 1.0e-03, limit 1e-03; "},
		{[]gradRow{row("nan", math.NaN(), 1e-3), row("bad", 1, 1e-3)}, "nan", "FAIL: the worst is nan, exact: error NaN, "},
		{[]gradRow{row("bad", 1, 1e-3), row("inf", math.Inf(1), 1e-6)}, "inf", "FAIL: the worst is inf, exact: error +Inf, "},
	} {
		r := newGradResult(c.rows, 61499*time.Millisecond)
		require.Equal(t, c.worst, r.Worst.Tensor)
		require.Equal(t, strings.HasPrefix(c.line, "PASS"), r.OK)
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			err := r.print(&terminal.Console{Out: &out}, asJSON)
			if strings.HasPrefix(c.line, "PASS") {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errChecksFailed)
			}
			lines := strings.SplitAfter(out.String(), "\n")
			if !asJSON {
				require.Contains(t, lines[len(lines)-2], c.line)
			}
		}
	}
}

// A model with a context of one token has something to check too.
func TestGradcheck_PassesWithAContextOfOneToken(t *testing.T) {
	rows := gradRows(t, append(checkedSizes(t), "--context=1")...)
	require.Len(t, rows, 3*31)
}

// checkedSizes returns flags of the smallest model that can be checked. Its context is shorter than the sequences of a
// check.
func checkedSizes(t *testing.T) []string {
	rows := textFile(t, "rows.json", `["abcdbca", "cabd"]`)
	pairs := textFile(t, "pairs.json", `[{"user":"ab","assistant":"cd"}]`)
	return []string{"--pretrain-data=" + rows, "--chat-data=" + pairs, "--tokenizer=char",
		"--layers=1", "--dim=4", "--heads=2", "--hidden=2", "--context=3"}
}

// gradRows runs a gradient check that must hold and returns its rows.
func gradRows(t *testing.T, flags ...string) []gradRow {
	code, out, err := gogpt(t, append([]string{"gradcheck", "--json"}, flags...)...)
	require.Equal(t, exitOK, code, err)
	var r gradResult
	onlyJSON(t, out, &r)
	require.True(t, r.OK)
	require.Contains(t, r.Rows, r.Worst)
	require.Positive(t, float64(r.ElapsedSec))
	var named struct{ Rows []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(out), &named))
	for _, row := range named.Rows {
		require.Subset(t, slices.Collect(maps.Keys(row)), []string{"tensor", "mode", "rel_err", "cosine", "limit", "ok"})
	}
	return r.Rows
}

// The check has a row for each tensor and mode: always of the exact backward, and of the modes of --attn-backward.
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
	require.NotContains(t, out, "straight-through  ", "only the exact backward is checked")
	require.NotContains(t, out, "stop-gradient  ")
	require.Regexp(t, `\nPASS: the worst is \S.*, exact: error \d\.\de-\d+, limit 1e-0[36]; [\d.]+m?s\n$`, out)
	require.Equal(t, "gradcheck: exact, 1 of 31: wte.weight\n", err, "progress is a line now and then")
}

// --seed decides the probes, not only the weights.
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
