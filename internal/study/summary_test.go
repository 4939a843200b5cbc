package study

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/strictjson"
)

// runsOf returns the runs of the small study with these training losses, in the order of Runs; a run with a loss of 0
// is missing, and one with a NaN has diverged.
func runsOf(losses ...float64) []*Run { return withLosses(small, losses...) }

// withLosses returns the runs of a study of four cells as runsOf does.
func withLosses(s *Study, losses ...float64) []*Run {
	runs := s.Runs()
	for i, r := range runs {
		if losses[i] != 0 {
			r.Result = &Result{Study: "small", Seed: r.Seed, Vocab: 300, Kernel: "portable", Train: strictjson.Float(losses[i]),
				Diverged: math.IsNaN(losses[i]), NormFirst: 2, NormLast: strictjson.Float(2 + i)}
		}
	}
	return runs
}

func TestSummary_AVerdictTakesAnIntervalThatExcludesZero(t *testing.T) {
	guessing := math.Log(300)
	for _, c := range []struct {
		losses         []float64 // low none, low all, high none, high all, of both seeds
		rate, freezing string
		sums           []strictjson.Float // of the second comparison
	}{
		{[]float64{1, 1, 2, 1.5, 1, 1, 2.001, 1.502}, AsPredicted, AsPredicted, []strictjson.Float{-0.5, -0.499}},
		{[]float64{2, 1, 1, 1.5, 2, 1, 1.001, 1.502}, Contrary, Contrary, []strictjson.Float{0.5, 0.501}},
		{[]float64{1, 1, 2, 1.5, 1, 1, 2.5, 1}, NotShown, NotShown, []strictjson.Float{-0.5, -1.5}},
		{[]float64{1, 1, 1, 1, 1, 1, 1, 1}, NotShown, NotShown, []strictjson.Float{0, 0}},
		{[]float64{1, 1, math.NaN(), 1, 1, 1, guessing, 1.001}, AsPredicted, AsPredicted,
			[]strictjson.Float{strictjson.Float(1 - guessing), strictjson.Float(1.001 - guessing)}},
	} {
		m := small.Summarize(runsOf(c.losses...), 0.01)
		require.Equal(t, c.rate, m.Comparisons[0].Verdict, c.losses)
		require.Equal(t, c.freezing, m.Comparisons[1].Verdict, c.losses)
		for i, want := range c.sums {
			require.InDelta(t, float64(want), float64(m.Comparisons[1].Sums[i]), 1e-12)
		}
		require.Equal(t, 1-0.05/2, m.Comparisons[0].Confidence, "two comparisons share the error")
	}
}

func TestSummary_TheIntervalIsThatOfTheSeeds(t *testing.T) {
	j := small.Summarize(runsOf(1, 1, 2, 1, 1, 1, 2.2, 1), 0.01).Comparisons[0]
	require.InDelta(t, 1.1, float64(j.Sum.Mean), 1e-12)
	reach := math.Tan((1-0.05/2)*math.Pi/2) * float64(j.Sum.Spread) / math.Sqrt(2) // Student's t of two seeds
	require.InDelta(t, 1.1-reach, float64(j.Low), 1e-9)
	require.InDelta(t, 1.1+reach, float64(j.High), 1e-9)
}

func TestSummary_WithoutAPredictionTheVerdictIsTheSide(t *testing.T) {
	free := *small
	free.Comparisons = []Comparison{{Question: "Which?", Sum: small.Comparisons[0].Sum}}
	for want, losses := range map[string][]float64{
		string(Above): {1, 1, 2, 1, 1, 1, 2.001, 1}, string(Below): {2, 1, 1, 1, 2.001, 1, 1, 1},
		NotShown: {1, 1, 2, 1, 2, 1, 1, 1},
	} {
		require.Equal(t, want, free.Summarize(runsOf(losses...), 0.01).Comparisons[0].Verdict)
	}
}

func TestSummary_AMainEffectIsAWeightedSum(t *testing.T) {
	s := *small
	s.Comparisons = []Comparison{{Question: "What does the rate cost?", Prediction: Above, Sum: []Term{
		{0.5, Cell{"high", "none"}}, {0.5, Cell{"high", "all"}}, {-0.5, Cell{"low", "none"}}, {-0.5, Cell{"low", "all"}}}}}
	j := s.Summarize(runsOf(1, 2, 3, 5, 1, 2, 3, 5), 0.01).Comparisons[0]
	require.Equal(t, []strictjson.Float{2.5, 2.5}, j.Sums)
	require.Equal(t, "0.5 · [L(high, none) + L(high, all) − L(low, none) − L(low, all)]", j.Formula)
	slices.Reverse(s.Comparisons[0].Sum)
	require.Equal(t, "0.5 · [−L(low, all) − L(low, none) + L(high, all) + L(high, none)]", s.Comparisons[0].formula())
}

func TestSummary_AComparisonCanHaveAnOutcomeOfItsOwn(t *testing.T) {
	s := *small
	s.Comparisons = []Comparison{small.Comparisons[0]}
	s.Comparisons[0].Outcome = ExactMatch
	runs := runsOf(1, 1, 1, 1, 1, 1, 1, 1)
	for i, r := range runs {
		r.Result.ExactMatch = new(strictjson.Float(i) / 10)
	}
	m := s.Summarize(runs, 0.01)
	require.InDeltaSlice(t, []float64{0.2, 0.2}, []float64{float64(m.Comparisons[0].Sums[0]),
		float64(m.Comparisons[0].Sums[1])}, 1e-12)
	require.Equal(t, []Outcome{ExactMatch}, m.Others, "the outcomes that are shown beside the primary one")
	require.Equal(t, "0.2000 ± 0.2828", m.Cells[0].Text(ExactMatch))
	for _, r := range runs {
		r.Result.Diverged = true
	}
	require.Empty(t, s.Summarize(runs, 0.01).Others, "the outcomes of guessing were not measured")
}

func TestSummary_ARateBreaksWhereARunDivergesOrTheOutcomeRises(t *testing.T) {
	s := *small
	s.Comparisons = nil
	s.Factors = []Factor{{Name: "rate", Levels: []Level{{Name: "1e-3"}, {Name: "2e-3"}}}, small.Factors[1]}
	for _, c := range []struct {
		low, high [2]float64 // losses of the two seeds, the other level aside
		want      []bool     // of the low and the high rate
	}{
		{[2]float64{1, 2}, [2]float64{1.1, 2.2}, []bool{false, true}},
		{[2]float64{1, 2}, [2]float64{1.1, 1.9}, []bool{false, false}},
		{[2]float64{1, 2}, [2]float64{0.9, 1.8}, []bool{false, false}},
		{[2]float64{1, math.NaN()}, [2]float64{0.9, 1.8}, []bool{true, false}},
		{[2]float64{1, 0}, [2]float64{1.1, 0}, []bool{false, false}}, // one seed has no spread
	} {
		m := s.Summarize(withLosses(&s, c.low[0], 1, c.high[0], 1, c.low[1], 1, c.high[1], 1), 0.01)
		require.Equal(t, c.want, []bool{m.Cells[0].Breaks, m.Cells[2].Breaks}, c)
		var out strings.Builder
		require.NoError(t, m.Print(&out))
		rows := len(slices.DeleteFunc(slices.Clone(c.want), func(breaks bool) bool { return !breaks }))
		require.Equal(t, 1+rows, strings.Count(out.String(), "breaks"), "the head of the column, and these rows")
	}
}

func TestSummary_GivesNoVerdictBeforeTheLastRun(t *testing.T) {
	m := small.Summarize(runsOf(1, 1, 2, 1.5, 1, 1, 0, 1.5), 0.01)
	require.Equal(t, "no verdict yet: 3 of 4 runs", m.Comparisons[0].Verdict)
	require.Equal(t, []int{7, 8}, []int{m.Finished, m.Runs})
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.Contains(t, string(text), `"sums":[1,null],"sum":{"mean":1,"spread":null}`)
	require.NotContains(t, string(text), "NaN")

	m = small.Summarize(small.Runs(), 0.01)
	require.Equal(t, "no verdict yet: 0 of 4 runs", m.Comparisons[0].Verdict)
	require.Equal(t, "no kernel yet", m.KernelText())
}

func TestSummary_AnEffectIsLargerThanItsSpreadAndNotTooSmall(t *testing.T) {
	for _, c := range []struct {
		first, second float64 // losses of the two seeds; the reference has 2
		want          Effect
	}{
		{1.5, 1.6, Helps}, {2.5, 2.6, Costs}, {1.5, 2.6, Same}, {2.009, 2.0095, Same}, {2.011, 2.0111, Costs},
		{1.5, 0, ""},
	} {
		m := small.Summarize(runsOf(2, c.first, 1, 1, 2, c.second, 1, 1), 0.01)
		require.Equal(t, c.want, m.Cells[1].Effect, c)
		require.Equal(t, Effect(""), m.Cells[0].Effect, "the reference")
	}
}

func TestSummary_MeansLeaveOutWhatIsNotFinite(t *testing.T) {
	runs := runsOf(1, 1, 1, 1, 1, 1, 1, 1)
	runs[0].Result.NormLast = strictjson.Float(math.NaN())
	m := small.Summarize(runs, 0.01)
	require.Equal(t, strictjson.Float(3), m.Cells[0].NormRise.Mean, "of the second seed, 6 / 2")
	require.Equal(t, strictjson.Float(2.5), m.Cells[1].NormRise.Mean, "3 / 2 and 7 / 2")
}

func TestSummary_ReleasesAreMeansOfTheRunsThatReachedThem(t *testing.T) {
	runs := runsOf(1, 1, 1, 1, 1, 1, 1, 1)
	runs[1].Result.Releases = []Release{{Step: 10, NormBefore: 2, NormAfter: 4}, {Step: 20, NormBefore: 1, NormAfter: 5}}
	runs[5].Result.Releases = []Release{{Step: 12, NormBefore: 2, NormAfter: 8}}
	releases := small.Summarize(runs, 0.01).Cells[1].Releases
	require.Len(t, releases, 2)
	require.Equal(t, []strictjson.Float{11, 3}, []strictjson.Float{releases[0].Step.Mean, releases[0].NormRatio.Mean})
	require.Equal(t, []strictjson.Float{20, 5}, []strictjson.Float{releases[1].Step.Mean, releases[1].NormRatio.Mean})
}

func TestSummary_IsPrintedAsATable(t *testing.T) {
	var out strings.Builder
	runs := runsOf(1, 1.1, 2, math.NaN(), 1, 1.12, 2.001, 1.5)
	runs[0].Result.Kernel = "abacus"
	require.NoError(t, small.Summarize(runs, 0.01).Print(&out))
	for _, want := range []string{
		"rate  freezing  runs  training loss    against none",
		"low   none      2     1.0000 ± 0.0000  ",
		"low   all       2     1.1100 ± 0.0141  +0.1100 ± 0.0141 costs",
		"1. Does the rate cost?\n   L(high, none) − L(low, none)\n   +1.0005 ± 0.0007, 97.5 % interval: +0.98",
		"; predicted above 0: as predicted\n",
		"; predicted below 0: no difference shown (1 of 4 runs diverged)\n",
		"8 of 8 runs; kernels mixed, which may round differently: abacus (1), portable (7)\n",
	} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), "breaks", "without a rate, no rate breaks a row")
}
