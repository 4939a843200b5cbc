package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck_CompareVectors(t *testing.T) {
	relErr, cosine, ratio := compareVectors([]float64{3, 4}, []float64{-3, -4})
	require.Equal(t, []float64{2, -1, 1}, []float64{relErr, cosine, ratio})
	relErr, cosine, ratio = compareVectors([]float64{0, 0}, []float64{0, 2})
	require.Equal(t, []float64{1, 0, 0}, []float64{relErr, cosine, ratio})
	relErr, cosine, ratio = compareVectors([]float64{0, 0}, []float64{0, 0})
	require.Equal(t, []float64{0, 1, 1}, []float64{relErr, cosine, ratio})
	relErr, _, _ = compareVectors([]float64{1e-30, 0}, []float64{0, 0})
	require.True(t, math.IsInf(relErr, 1), "there is no absolute tolerance where the gradient should be 0")
	relErr, _, _ = compareVectors([]float64{math.NaN()}, []float64{1})
	require.True(t, math.IsNaN(relErr))
}

// checkConfig is small enough for thousands of forward passes of the reference.
var checkConfig = ModelConfig{Layers: 1, Heads: 2, Dim: 4, Hidden: 5, Context: 5, Vocab: 7}

func tinyCheck(seed uint64, lengths ...int) *gradCheck {
	m := roughModel(checkConfig, seed)
	return &gradCheck{model: m, batch: randomBatch(checkConfig, newRNG(seed, checkStream), lengths...),
		ref: newReference(checkConfig, m.Params()), seed: seed}
}

// rowOf returns the row of a tensor and a mode.
func rowOf(t *testing.T, rows []gradRow, tensor string, mode AttentionBackward) gradRow {
	for _, r := range rows {
		if r.Tensor == tensor && r.Mode == mode.String() {
			return r
		}
	}
	require.Failf(t, "no such row", "%s, %s", tensor, mode)
	return gradRow{}
}

func TestCheck_EveryBackwardPassFollowsItsRule(t *testing.T) {
	two := checkConfig
	two.Layers = 2
	m := roughModel(two, 1)
	var progress []string
	report := func(what string) { progress = append(progress, what) }
	b := randomBatch(two, newRNG(1, checkStream), 4, 1, 2)
	rows := checkGradients(m, b, 1, report, StraightThrough, StopGradient)
	tensors := len(m.Params()) + two.Layers*(2*3+7) + 2 // parameters, Q K V of c_attn, inputs
	require.Len(t, rows, 3*tensors)
	require.Len(t, progress, 3*tensors)
	require.Equal(t, "exact, 1 of "+strconv.Itoa(tensors)+": wte.weight", progress[0])
	for _, r := range rows {
		require.True(t, r.OK, "%+v", r)
		if r.Mode == "exact" && !strings.HasSuffix(r.Tensor, "bias[k]") {
			require.Less(t, float64(r.RelErr), 3e-5, r.Tensor)
			require.InDelta(t, 1, float64(r.Cosine), 1e-5, r.Tensor)
		}
	}
}

// The check refuses the gradient of any tensor whose largest entry is 1 % off, has the wrong sign, is 0 or NaN.
func TestCheck_WrongGradientsAreRefused(t *testing.T) {
	c := tinyCheck(4, 4)
	exact := c.gradients(ExactBackward)
	wrong := c.gradients(ExactBackward)
	for i, g := range wrong {
		if strings.HasSuffix(g.name, "bias[k]") {
			g.g[0] += 1e-5
			require.False(t, bool(c.checkTensor(ExactBackward, g, exact[i]).OK), g.name)
			continue
		}
		at := 0
		for j := range g.g {
			if math.Abs(float64(g.g[j])) > math.Abs(float64(g.g[at])) {
				at = j
			}
		}
		right := g.g[at]
		for _, x := range []float32{1.01 * right, -right, 0, float32(math.NaN())} {
			g.g[at] = x
			require.False(t, bool(c.checkTensor(ExactBackward, g, exact[i]).OK), "%s: %g for %g", g.name, x, right)
		}
		g.g[at] = right
		require.True(t, bool(c.checkTensor(ExactBackward, g, exact[i]).OK), g.name)
	}
}

// The check compares each of the 32 largest entries on its own. So it finds an error in any of them, also one that the
// random directions could miss.
func TestCheck_LooksAtEachOfTheLargestEntries(t *testing.T) {
	c := tinyCheck(8, 3)
	all := c.gradients(ExactBackward)
	exact := all[slices.IndexFunc(all, func(g gradTensor) bool { return g.name == "h.0.attn.c_attn.weight" })]
	const largest, random, directions = 32, 32, 4 // entries, entries and directions of a check
	require.Greater(t, len(exact.g), largest)
	order := make([]int, len(exact.g))
	var squares float64
	for i, g := range exact.g {
		order[i] = i
		squares += float64(g) * float64(g)
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Compare(math.Abs(float64(exact.g[j])), math.Abs(float64(exact.g[i])))
	})
	for _, i := range order[:largest] {
		wrong := exact
		wrong.g = slices.Clone(exact.g)
		wrong.g[i] += float32(math.Copysign(2.5*gradLimit*math.Sqrt(squares), float64(exact.g[i]))) // still among the largest
		require.False(t, c.checkTensor(ExactBackward, wrong, exact).OK, "entry %d", i)
	}
	g, fd := c.differences(ExactBackward, exact)
	require.Len(t, g, largest+random+directions)
	require.Len(t, fd, len(g))
}

// The check of a mode refuses the gradients of any other mode, the exact one included.
func TestCheck_NoModePassesForAnother(t *testing.T) {
	c := tinyCheck(5, 4)
	all := []AttentionBackward{ExactBackward, StraightThrough, StopGradient}
	ofAttention := func(mode AttentionBackward) []gradTensor {
		others := func(g gradTensor) bool { return !strings.Contains(g.name, "c_attn.weight") }
		return slices.DeleteFunc(c.gradients(mode), others)
	}
	exact := ofAttention(ExactBackward)
	exactRows := c.checkMode(ExactBackward, exact, exact, nil)
	refused := func(r gradRow) bool { return !r.OK }
	for _, used := range all {
		for _, claimed := range all {
			rows := c.checkMode(claimed, ofAttention(used), exact, exactRows)
			require.Equal(t, used != claimed, slices.ContainsFunc(rows, refused), "%s claimed to be %s", used, claimed)
		}
	}
	c.model.embed.wte.W[c.batch.Inputs[0]*checkConfig.Dim] += 0.1 // the reference keeps the old weights
	rows := c.checkMode(ExactBackward, ofAttention(ExactBackward), exact, nil)
	require.True(t, slices.ContainsFunc(rows, refused))
}

func TestCheck_ApproximationsAreFarFromExact(t *testing.T) {
	c := tinyCheck(2, 5)
	rows := checkGradients(c.model, c.batch, 1, nil, StraightThrough, StopGradient)
	const qkv = "h.0.attn.c_attn.weight"
	for _, mode := range []AttentionBackward{StraightThrough, StopGradient} {
		require.Greater(t, float64(rowOf(t, rows, qkv, mode).RelErr), 10*gradLimit, mode)
		for _, above := range []string{"h.0.mlp.c_fc.weight", "h.0.attn.c_proj.weight", "ln_f.weight"} {
			require.Zero(t, rowOf(t, rows, above, mode).RelErr, "%s: above the attention every gradient is exact", mode)
		}
	}
	require.Zero(t, rowOf(t, rows, qkv+"[v]", StopGradient).RelErr, "dV of stop-gradient is exact")
	require.Zero(t, rowOf(t, rows, qkv+"[q]", StopGradient).NormRatio, "Q does not learn")
	require.Zero(t, rowOf(t, rows, qkv+"[k]", StopGradient).NormRatio, "K does not learn")
	require.Greater(t, float64(rowOf(t, rows, qkv+"[v]", StraightThrough).RelErr), 0.1)
}

// With one token P = 1 and Z = V: stop-gradient is exact everywhere, straight-through in dV.
func TestCheck_ApproximationsAreExactInPartWithOneToken(t *testing.T) {
	c := tinyCheck(3, 1, 1)
	m := c.model
	modes := map[AttentionBackward][][]float32{}
	for _, mode := range []AttentionBackward{ExactBackward, StraightThrough, StopGradient} {
		m.SetAttentionBackward(mode)
		modes[mode] = meanGradients(m, c.batch, 0)
	}
	exact := modes[ExactBackward]
	for i, p := range m.Params() {
		requireCloseEntries(t, exact[i], modes[StopGradient][i], p.Name)
		if p != m.blocks[0].attn.qkv.weight {
			continue
		}
		C := checkConfig.Dim
		for j, g := range modes[StraightThrough][i] { // rows Q | K | V side by side
			if j%(3*C) >= 2*C {
				require.InDelta(t, exact[i][j], g, 1e-7)
			} else {
				require.InDelta(t, 0, exact[i][j], 1e-7, "one token has nothing to choose from")
				require.NotZero(t, g, "straight-through gives Q and K a gradient anyway")
			}
		}
	}
}

// requireCloseEntries wants gradients that are equal except for rounding errors.
func requireCloseEntries(t *testing.T, want, got []float32, name string) {
	for j := range want {
		require.InDelta(t, want[j], got[j], 1e-6, name)
	}
}

// Softmax does not change when all scores of a row shift alike, so the gradient of the keys' bias is zero. A zero
// vector has no angle and no ratio to another.
func TestCheck_TheKeysBiasHasNeitherCosineNorNormRatio(t *testing.T) {
	c := tinyCheck(7, 4)
	rows := checkGradients(c.model, c.batch, 1, nil, StraightThrough, StopGradient)
	const keys, dashes = "h.0.attn.c_attn.bias[k]", `^\S+ +h\.0\.attn\.c_attn\.bias\[k\] +\S+ +- +- +\S+  ok$`
	for _, mode := range []AttentionBackward{ExactBackward, StraightThrough, StopGradient} {
		r := rowOf(t, rows, keys, mode)
		require.True(t, math.IsNaN(float64(r.Cosine)) && math.IsNaN(float64(r.NormRatio)), "%+v", r)
		require.Equal(t, mode == StraightThrough, float64(r.RelErr) > zeroLimit, "%+v", r)
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.Contains(t, string(text), `"cosine":null,"norm_ratio":null`)
	}
	var table bytes.Buffer
	printGradRows(&table, rows)
	require.Len(t, regexp.MustCompile("(?m)"+dashes).FindAllString(table.String(), -1), 3, table.String())
	require.NotContains(t, table.String(), "NaN")
}

// With one token per sequence softmax has one score: every gradient of queries and keys is zero by theory.
func TestCheck_WithOneTokenQueriesAndKeysHaveNoGradient(t *testing.T) {
	c := tinyCheck(3, 1, 1)
	rows := checkGradients(c.model, c.batch, 1, nil, StraightThrough, StopGradient)
	zero := 0
	for _, r := range rows {
		require.True(t, r.OK, "%+v", r)
		isZero := strings.HasSuffix(r.Tensor, "[q]") || strings.HasSuffix(r.Tensor, "[k]")
		require.Equal(t, isZero, math.IsNaN(float64(r.Cosine)), "%+v", r)
		if isZero {
			zero++
			limit := zeroLimit
			if r.Mode == StraightThrough.String() {
				limit = gradLimit
				require.Greater(t, float64(r.RelErr), 1e-3, "%+v: straight-through trains them all the same", r)
			}
			require.Equal(t, limit, float64(r.Limit), "%+v", r)
		}
	}
	require.Equal(t, 3*4, zero)
	exact := c.gradients(ExactBackward)
	query := exact[slices.IndexFunc(exact, func(g gradTensor) bool { return g.name == "h.0.attn.c_attn.weight[q]" })]
	require.True(t, c.checkTensor(ExactBackward, query, query).OK)
	query.g[0] = 1.1e-6
	require.False(t, c.checkTensor(ExactBackward, query, query).OK, "a gradient that should be zero")
	require.False(t, tinyCheck(3, 1, 2).zeroByTheory(query), "two tokens have something to choose from")
}

func TestCheck_LeavesWeightsAndTheExactBackwardInPlace(t *testing.T) {
	c := tinyCheck(6, 2)
	m := c.model
	var before, after snapshot
	before.save(m.Params())
	checkGradients(m, c.batch, 1, nil, StraightThrough)
	after.save(m.Params())
	require.Equal(t, before, after)
	for _, block := range m.blocks {
		require.Equal(t, ExactBackward, block.attn.mode)
	}
}
