package study

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// logOf returns the log of a run over a vocabulary of 300, which ended for a reason, with these lines between.
func logOf(t testing.TB, reason string, records ...any) *runlog.Log {
	l := &runlog.Log{}
	run := runlog.Run{Event: "run", Seed: 3, Data: map[string]string{"pretrain": "ab"}, Vocab: 300, Kernel: "portable",
		Version: "0.1", Numerics: 7}
	for _, r := range append(append([]any{run}, records...), runlog.End{Event: "end", Reason: reason}) {
		require.NoError(t, l.Observe(r))
	}
	return l
}

// window returns the line of steps that end at step, with the figures of a window.
func window(step, steps int, loss, norm, peak strictjson.Float, releasedAfter int) runlog.Steps {
	return runlog.Steps{Event: "steps", Phase: "pretrain", Step: step, Steps: steps, AvgLoss: loss, AvgGradNorm: norm,
		MaxGradNorm: peak, ClippedShare: strictjson.Float(step%20) / 10, ReleasedAfter: releasedAfter}
}

// epoch returns the line of epoch 1.
func epoch(step int, loss strictjson.Float, val *strictjson.Float) *runlog.Epoch {
	return &runlog.Epoch{Event: "epoch", Phase: "pretrain", Epoch: 1, Step: step, AvgLoss: loss, ValLoss: val}
}

func TestMeasure_TakesTheFiguresOfTheRun(t *testing.T) {
	r := small.Runs()[3]
	val := strictjson.Float(1.23456789)
	m := r.Measure(logOf(t, runlog.Completed,
		window(10, 10, 5, 1, 2, 0), window(20, 10, 3, 4, 9, 0), window(30, 10, 3.5, 2, 3, 0), epoch(35, 2.00000049, &val)))
	require.Equal(t, &Result{
		Study: "small", Cell: map[string]string{"rate": "high", "freezing": "all"}, Seed: 3,
		Flags: small.Flags(Cell{"high", "all"}), Data: map[string]string{"pretrain": "ab"}, Vocab: 300,
		Kernel: "portable", Numerics: 7, Version: "0.1", Reason: "completed", Train: 2, Val: new(strictjson.Float(1.23457)),
		Steps: 35, LargestRise: 0.5, NormFirst: 1, NormLast: 2, NormPeak: 9, ClippedShare: 0.666667, Releases: []Release{},
	}, m)
	require.Equal(t, 2.0, m.Value(TrainLoss))
	require.Equal(t, 1.23457, m.Value(ValLoss))
	require.True(t, math.IsNaN(m.Value(HeldoutLoss)))
	require.True(t, math.IsNaN(m.Value(ExactMatch)))
}

func TestMeasure_TakesTheHeldoutQuestionsOfTheEnd(t *testing.T) {
	l := logOf(t, runlog.Completed, epoch(10, 1, nil))
	l.End.Heldout, l.End.ExactMatch = new(strictjson.Float(0.50000049)), new(strictjson.Float(0.375))
	m := small.Runs()[0].Measure(l)
	require.Equal(t, []float64{0.5, 0.375}, []float64{m.Value(HeldoutLoss), m.Value(ExactMatch)})
}

func TestMeasure_TakesTheLastPhase(t *testing.T) {
	tuned, steps := epoch(20, 1, nil), window(20, 10, 1, 3, 4, 0)
	tuned.Phase, steps.Phase = "finetune", "finetune"
	m := small.Runs()[0].Measure(logOf(t, runlog.Completed, window(10, 10, 5, 1, 2, 0), epoch(10, 5, nil), steps, tuned))
	require.Equal(t, []strictjson.Float{1, 3, 0}, []strictjson.Float{m.Train, m.NormFirst, m.LargestRise})
	require.Equal(t, 20, m.Steps)
}

func TestMeasure_NormsAreMeansOfATenthOfTheWindows(t *testing.T) {
	var windows []any
	for i := range 29 {
		windows = append(windows, window(10*(i+1), 10, 1, strictjson.Float(i), 50, 0))
	}
	m := small.Runs()[0].Measure(logOf(t, runlog.Completed, windows...))
	require.Equal(t, []strictjson.Float{0.5, 27.5}, []strictjson.Float{m.NormFirst, m.NormLast}, "two of 29")
}

func TestMeasure_TheLargestNormMayBeAfterTheLastWindow(t *testing.T) {
	e := epoch(35, 2, nil)
	e.MaxGradNorm = new(strictjson.Float(11))
	m := small.Runs()[0].Measure(logOf(t, runlog.Completed, window(10, 10, 5, 1, 2, 0), e))
	require.Equal(t, strictjson.Float(11), m.NormPeak)
}

func TestMeasure_TakesTheWindowsBesideARelease(t *testing.T) {
	windows := []any{window(10, 10, 5, 1, 2, 0), window(20, 10, 4, 3, 9, 0), window(30, 10, 3, 5, 6, 20),
		window(40, 10, 2, 7, 8, 35), window(50, 10, 1, 6, 7, 0)}
	m := small.Runs()[0].Measure(logOf(t, runlog.Completed, windows...))
	require.Equal(t, []Release{
		{Step: 20, LossBefore: 4, LossAfter: 3, NormBefore: 3, NormAfter: 5, NormPeak: 6},
		{Step: 35, LossBefore: 3, LossAfter: 1, NormBefore: 5, NormAfter: 6, NormPeak: 7}, // the fourth window has both
	}, m.Releases)

	m = small.Runs()[0].Measure(logOf(t, runlog.Completed, windows[:4]...))
	text, err := json.Marshal(m.Releases[1])
	require.NoError(t, err)
	require.JSONEq(t, `{"step":35,"loss_before":3,"norm_before":5,"loss_after":null,"norm_after":null,"norm_peak":null}`,
		string(text), "no window begins after the last release")
}

func TestMeasure_OfADivergedRunTheOutcomeIsTheLossOfGuessing(t *testing.T) {
	guessing := math.Log(300)
	above, nan := strictjson.Float(guessing+1.001), strictjson.Float(math.NaN())
	for name, c := range map[string]struct {
		diverged bool
		log      *runlog.Log
	}{
		"not finite":      {true, logOf(t, runlog.Diverged, epoch(10, 1, nil))},
		"without a step":  {true, logOf(t, runlog.Diverged)},
		"no loss":         {true, logOf(t, runlog.Completed, epoch(10, nan, nil))},
		"above the limit": {true, logOf(t, runlog.Completed, epoch(10, above, nil))},
		"held-out above":  {true, logOf(t, runlog.Completed, epoch(10, 1, &above))},
		"below the limit": {false, logOf(t, runlog.Completed, epoch(10, above-0.002, nil))},
	} {
		m := small.Runs()[0].Measure(c.log)
		require.Equal(t, c.diverged, m.Diverged, name)
		require.Equal(t, c.diverged, m.Value(TrainLoss) == guessing, name)
		require.Equal(t, c.diverged, m.Value(ExactMatch) == 0, name)
	}
}
