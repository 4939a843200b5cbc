package study

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// small is a study of two factors, two seeds and two comparisons.
var small = &Study{
	Name: "small", Title: "Does it help?", Base: []string{"--accum=1"}, Window: 10, Seeds: []uint64{3, 4},
	Outcome: TrainLoss,
	Factors: []Factor{
		{Name: "rate", Levels: []Level{{Name: "low", Flags: []string{"--lr=1"}}, {Name: "high", Flags: []string{"--lr=2"}}}},
		{Name: "freezing", Levels: []Level{{Name: "none"}, {Name: "all", Flags: []string{"--freeze", "--x"}}}},
	},
	Comparisons: []Comparison{
		{Question: "Does the rate cost?", Prediction: Above,
			Sum: []Term{{1, Cell{"high", "none"}}, {-1, Cell{"low", "none"}}}},
		{Question: "Does freezing help?", Prediction: Below,
			Sum: []Term{{1, Cell{"high", "all"}}, {-1, Cell{"high", "none"}}}},
	},
}

func TestStudy_CellsAreEveryCombination(t *testing.T) {
	require.Equal(t, []Cell{{"low", "none"}, {"low", "all"}, {"high", "none"}, {"high", "all"}}, small.Cells())
	require.Equal(t, []string{"--accum=1", "--log-steps=10", "--lr=2"}, small.Flags(Cell{"high", "none"}))
	require.Equal(t, []string{"--accum=1", "--log-steps=10", "--lr=1", "--freeze", "--x"}, small.Flags(Cell{"low", "all"}))
	require.Equal(t, []string{"--accum=1"}, small.Base, "the flags of a cell leave those of the study alone")
}

func TestStudy_ARateIsAFactorOfNumbersThatIsNotTheLast(t *testing.T) {
	named := Factor{Levels: []Level{{Name: "1e-3"}, {Name: "high"}}}
	numbers := Factor{Levels: []Level{{Name: "1e-3"}, {Name: "2e-3"}}}
	for want, factors := range map[int][]Factor{
		-1: {named, numbers}, 0: {numbers, numbers, named}, 1: {named, numbers, named},
	} {
		require.Equal(t, want, (&Study{Factors: factors}).RateFactor())
	}
}

func TestStudy_RunsGoSeedBySeed(t *testing.T) {
	var names []string
	for _, r := range small.Runs() {
		names = append(names, r.Name())
	}
	require.Equal(t, []string{"seed 3, low, none", "seed 3, low, all", "seed 3, high, none", "seed 3, high, all",
		"seed 4, low, none", "seed 4, low, all", "seed 4, high, none", "seed 4, high, all"}, names)
}

func TestRun_ItsLineShowsThePrimaryOutcome(t *testing.T) {
	r := small.Runs()[1]
	r.Result = &Result{Train: 0.123456}
	require.Equal(t, "seed 3, low, all: training loss 0.1235", r.String())
	r.Result.Diverged = true
	require.Equal(t, "seed 3, low, all: diverged", r.String())
}
