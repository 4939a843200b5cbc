package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
)

// leastDifference is the least difference that counts, in nats.
const leastDifference = 0.01

// compared compares the runs of a change with those of the stable configuration.
func compared(runs, stable []*runlog.Log) Comparison {
	return Compare(Change{Name: "x", What: "a change"}, runs, stable, leastDifference)
}

// endedRuns returns one run of one epoch for each validation loss. A run with a NaN diverged.
func endedRuns(losses ...float64) (runs []*runlog.Log) {
	for _, loss := range losses {
		val := strictjson.Float(loss)
		l := &runlog.Log{Run: runlog.Run{Vocab: 300}, End: &runlog.End{Reason: runlog.Completed},
			Phases: []*runlog.Phase{{Epochs: []*runlog.Epoch{{Epoch: 1, AvgLoss: 5, ValLoss: &val}}}}}
		if math.IsNaN(loss) {
			l.End.Reason = runlog.Diverged
		}
		runs = append(runs, l)
	}
	return runs
}

// shiftedRuns returns runs of three seeds whose losses differ by shift from those of shiftedRuns(0).
func shiftedRuns(shift float64) []*runlog.Log { return endedRuns(4+shift, 5+shift, 4.5+shift) }

func TestCompare_ADifferenceCountsWhenItIsLargerThanItsSpread(t *testing.T) {
	for _, c := range []struct {
		losses  []float64
		verdict string
	}{
		{[]float64{3.7, 4.7, 4.2}, "better by 0.300 nats"}, // though seeds differ more than that
		{[]float64{4.3, 5.2, 4.7}, "worse by 0.233 nats"},
		{[]float64{4.5, 4.8, 4.4}, "no difference: smaller than the spread between seeds"},
		{[]float64{4.005, 5.005, 4.505}, "no difference: below 0.01 nats"},
		{[]float64{4.0, 5.0, 4.5}, "no difference: smaller than the spread between seeds"},
	} {
		r := compared(endedRuns(c.losses...), endedRuns(4.0, 5.0, 4.5))
		require.Equal(t, c.verdict, r.Verdict)
		require.Equal(t, strings.HasPrefix(c.verdict, "better"), r.better)
		require.Equal(t, strings.HasPrefix(c.verdict, "worse"), r.worse)
	}
}

func TestCompare_ADifferenceCountsFromTheLeastOne(t *testing.T) {
	for shift, want := range map[float64]string{
		0.007: "no difference: below 0.01 nats", -0.009: "no difference: below 0.01 nats",
		0.011: "worse by 0.011 nats", -0.011: "better by 0.011 nats",
	} {
		require.Equal(t, want, compared(shiftedRuns(shift), shiftedRuns(0)).Verdict)
	}
	r := Compare(Change{Name: "x"}, shiftedRuns(0.4), shiftedRuns(0), 0.5)
	require.Equal(t, "no difference: below 0.5 nats", r.Verdict)
}

func TestCompare_AChangeThatDivergesOnMoreSeedsIsWorse(t *testing.T) {
	nan := math.NaN()
	const none = "no verdict: the stable configuration diverges on every seed"
	for _, c := range []struct {
		stable, losses []float64
		verdict        string
		better, worse  bool
	}{
		{[]float64{4, 5, 4.5}, []float64{nan, nan, nan}, "diverges on 3 of 3 seeds", false, true},
		{[]float64{4, 5, 4.5}, []float64{3.7, nan, 4.2}, "diverges on 1 of 3 seeds", false, true}, // better on the others
		{[]float64{4, 5, 4.5}, []float64{3.7, nan, nan}, "diverges on 2 of 3 seeds", false, true},
		{[]float64{nan, 5, 4.5}, []float64{nan, nan, 4.2}, "diverges on 2 of 3 seeds", false, true},
		{[]float64{4, nan, 4.5}, []float64{3.7, nan, 4.2}, "better by 0.300 nats (1 of 3 seeds diverged)", true, false},
		{[]float64{4, nan, 4.5}, []float64{3.7, 4.7, 4.2}, "better by 0.300 nats", true, false},
		{[]float64{nan, nan, 4.5}, []float64{3.7, 4.7, 4.2},
			"no verdict: a spread takes two seeds or more", false, false},
		{[]float64{nan, nan, nan}, []float64{3.7, 4.7, 4.2}, none, false, false},
		{[]float64{nan, nan, nan}, []float64{3.7, nan, nan}, none + " (2 of 3 seeds diverged)", false, false},
		{[]float64{nan, nan, nan}, []float64{nan, nan, nan}, none + " (3 of 3 seeds diverged)", false, false},
	} {
		r := compared(endedRuns(c.losses...), endedRuns(c.stable...))
		require.Equal(t, c.verdict, r.Verdict)
		require.Equal(t, []bool{c.better, c.worse}, []bool{r.better, r.worse}, c.verdict)
	}
	r := Compare(Change{Name: StableName}, endedRuns(4, nan), endedRuns(4, nan), leastDifference)
	require.Equal(t, "what the others are compared with (1 of 2 seeds diverged)", r.Verdict)
}

func TestCompare_LeavesDivergedRunsOutOfMeans(t *testing.T) {
	r := compared(endedRuns(2, math.NaN(), 4), endedRuns(4, 4, 4))
	require.Equal(t, 1, r.Diverged)
	require.Equal(t, strictjson.Float(3), r.BestVal.Mean)
	require.Equal(t, 2, r.Compared)
}

func TestCompare_KeepsBestAndLastEpochApart(t *testing.T) {
	runs := []*runlog.Log{uTurn(0), uTurn(0.5)}
	r := compared(runs, runs)
	require.InDelta(t, 4.25, float64(r.BestVal.Mean), 1e-12)
	require.InDelta(t, 5.0, float64(r.FinalVal.Mean), 1e-12)
	require.InDelta(t, 2.75, float64(r.FinalTrain.Mean), 1e-12)
	require.InDelta(t, 2.0, float64(r.BestEpoch.Mean), 1e-12)
}

// uTurn returns a run whose validation loss is best in the second of its three epochs; the training loss falls.
func uTurn(shift float64) *runlog.Log {
	l := endedRuns(0)[0]
	l.Phases[0].Epochs = nil
	best := math.Inf(1)
	for i, held := range []float64{5, 4, 4.75} {
		val := strictjson.Float(held + shift)
		best = min(best, float64(val))
		l.Phases[0].Epochs = append(l.Phases[0].Epochs, &runlog.Epoch{Epoch: i + 1, ValLoss: &val,
			BestLoss: strictjson.Float(best), AvgLoss: strictjson.Float(3.5 - 0.5*float64(i) + shift)})
	}
	return l
}

// fallingRun returns nine epochs of a loss that falls.
func fallingRun() (epochs []*runlog.Epoch) {
	for i := range 9 {
		loss := 5 - 0.4*float64(i)
		epochs = append(epochs, &runlog.Epoch{AvgLoss: strictjson.Float(loss), PPL: strictjson.Float(math.Exp(loss)),
			AvgGradNorm: 2, TokensPerSec: 1000})
	}
	return epochs
}

func TestCompare_CountsOnlyHealthyRunsAsHealthy(t *testing.T) {
	runs := endedRuns(4, 4, 4, 4)
	runs[0].Phases[0].Epochs = fallingRun()
	runs[1].Phases[0].Epochs = fallingRun()
	unhealthy := fallingRun()
	unhealthy[8].AvgLoss = 9
	runs[2].Phases[0].Epochs = unhealthy
	require.Equal(t, runlog.Unknown, runlog.Judge(runs[3].Phases[0].Epochs).Verdict, "the fourth has one epoch")
	r := compared(runs, endedRuns(4, 4, 4, 4))
	require.Equal(t, []int{4, 2}, []int{r.Runs, r.Healthy})
}

func TestCompare_ItsJSONHasTheseFields(t *testing.T) {
	text, err := json.Marshal(compared(shiftedRuns(0.1), shiftedRuns(0)))
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"name", "what", "flags", "runs", "diverged", "healthy", "best_epoch",
		"best_val_loss", "final_train_loss", "final_val_loss", "difference", "compared", "verdict"}, names)
}

func TestKept_IsNilWithoutAnEpoch(t *testing.T) {
	l := endedRuns(4)[0]
	require.Same(t, l.Phases[0], Kept(l))
	l.Phases[0].Epochs = nil
	require.Nil(t, Kept(l))
	require.Equal(t, 1, compared([]*runlog.Log{l}, endedRuns(4)).Diverged)
	require.Nil(t, Kept(endedRuns(math.NaN())[0]), "the run diverged")
}

func TestConcluded_IsARunThatEndedByItself(t *testing.T) {
	for reason, want := range map[string]bool{runlog.Completed: true, runlog.EarlyStop: true, runlog.MaxSteps: true,
		runlog.Diverged: true, runlog.Interrupted: false, runlog.Failed: false, "": false} {
		l := endedRuns(4)[0]
		l.End.Reason = reason
		require.Equal(t, want, Concluded(l), reason)
		l.Phases = nil
		require.Equal(t, reason == runlog.Diverged, Concluded(l), "%s before an epoch", reason)
	}
	require.False(t, Concluded(&runlog.Log{}))
}
