package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCosineFromPeakToMinimum(t *testing.T) {
	s := Schedule{peak: 1e-3, min: 1e-5, planned: 1000}
	require.Equal(t, 1e-3, s.At(0))
	require.InDelta(t, (1e-3+1e-5)/2, s.At(500), 1e-12, "half-way is half-way down")
	require.InDelta(t, 1e-5, s.At(999), 1e-8)
	require.Equal(t, 1e-5, s.At(1000))
	require.Equal(t, 1e-5, s.At(1e6))
	for step := range 1000 {
		require.Less(t, s.At(step+1), s.At(step))
	}
}

func TestRestartsReturnToThePeak(t *testing.T) {
	for _, planned := range []int{100, 101, 7} {
		for restarts := range 5 {
			s := Schedule{peak: 1, min: 0.01, planned: planned, restarts: restarts}
			once := Schedule{peak: 1, min: 0.01, planned: planned}
			rises := 0
			for step := 1; step < planned; step++ {
				if s.At(step) > s.At(step-1) {
					rises++
					require.GreaterOrEqual(t, s.At(step), once.At(restarts), "less than a step into its cycle")
				}
			}
			require.Equal(t, restarts, rises, "%d steps", planned)
		}
	}
}

func TestWarmupRisesInALineToThePeak(t *testing.T) {
	s := Schedule{peak: 1, min: 0.1, planned: 50, warmup: 10}
	for step := range 10 {
		require.InDelta(t, float64(step+1)/10, s.At(step), 1e-12)
	}
	require.Equal(t, 1.0, s.At(10))
	require.Less(t, s.At(11), 1.0)
	require.Equal(t, 0.1, s.At(50))
}

// Plans that others divided by zero on.
func TestEveryShortPlanIsValid(t *testing.T) {
	for planned := range 6 {
		for restarts := range 8 {
			for warmup := range 8 {
				s := Schedule{peak: 1, min: 0.01, planned: planned, warmup: warmup, restarts: restarts}
				for step := range 20 {
					lr := s.At(step)
					require.True(t, lr > 0 && lr <= 1, "%+v at %d: %g", s, step, lr)
					require.Equal(t, lr, s.At(step), "a pure function of the step")
				}
			}
		}
	}
	require.Equal(t, 1.0, Schedule{peak: 1, min: 0.01, planned: 1}.At(0), "the only step is taken at the peak")
	require.InDelta(t, 0.02, Schedule{peak: 1, min: 0.01, planned: 3, warmup: 50}.At(0), 1e-12)
}

// accumAt spells out the accumulation of every place of a plan.
func accumAt(plan []stage, epochs int) (accum []int) {
	for place := range epochs {
		accum = append(accum, plan[stageAt(plan, place)].accum)
	}
	return accum
}

func TestAccumulationRampInEqualShares(t *testing.T) {
	never := (&Config{}).freezePlan(0, true)
	for _, c := range []struct {
		epochs int
		want   []int // epochs at 1, 2 and 4
	}{{500, []int{167, 167, 166}}, {7, []int{3, 2, 2}}, {3, []int{1, 1, 1}}, {2, []int{1, 1, 0}}, {1, []int{1, 0, 0}}} {
		plan := newPlan(c.epochs, []int{1, 2, 4}, never)
		count := map[int]int{}
		for _, n := range accumAt(plan, c.epochs) {
			count[n]++
		}
		require.Equal(t, c.want, []int{count[1], count[2], count[4]}, "%d epochs", c.epochs)
		require.True(t, slices.IsSortedFunc(plan, func(a, b stage) int { return a.accum - b.accum }))
	}
	require.Empty(t, newPlan(0, []int{1}, never))
	require.Len(t, newPlan(9, []int{3}, never), 1)
}

// frozenAt names the parameters that rest at a place of the plan.
func frozenAt(plan []stage, m *LLM, place int) (names []string) {
	for _, p := range m.Params() {
		if plan[stageAt(plan, place)].frozen(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

func TestFreezePlans(t *testing.T) {
	m := newLLM(oddConfig, newRNG(1, initStream))
	const rest = 8 // c_attn and c_proj, weight and bias, of two blocks
	for _, c := range []struct {
		name  string
		cfg   Config
		first bool
		want  []int // parameters that rest in each of 6 epochs
	}{
		{"none", Config{}, true, []int{0, 0, 0, 0, 0, 0}},
		{"for good", Config{FreezeAttn: true}, true, []int{rest, rest, rest, rest, rest, rest}},
		{"for good, also while tuning", Config{FreezeAttn: true}, false, []int{rest, rest, rest, rest, rest, rest}},
		{"first epochs", Config{FreezeAttnEpochs: 2}, true, []int{rest, rest, 0, 0, 0, 0}},
		{"longer than the phase", Config{FreezeAttnEpochs: 9}, true, []int{rest, rest, rest, rest, rest, rest}},
		{"released by the next phase", Config{FreezeAttnEpochs: 9}, false, []int{0, 0, 0, 0, 0, 0}},
		{"layered", Config{Unfreeze: unfreezeLayered}, true, []int{rest / 2, rest / 2, rest / 4, rest / 4, 0, 0}},
		{"layered, over by the next phase", Config{Unfreeze: unfreezeLayered}, false, []int{0, 0, 0, 0, 0, 0}},
	} {
		c.cfg.Model = oddConfig
		plan := newPlan(6, []int{1, 2}, c.cfg.freezePlan(6, c.first))
		require.Equal(t, []int{1, 1, 1, 2, 2, 2}, accumAt(plan, 6), c.name)
		for place, want := range c.want {
			require.Len(t, frozenAt(plan, m, place), want, "%s, epoch %d", c.name, place+1)
		}
	}
}

func TestLayeredReleaseGoesFromTheTopDown(t *testing.T) {
	cfg := Config{Model: oddConfig, Unfreeze: unfreezeLayered}
	m := newLLM(oddConfig, newRNG(1, initStream))
	for _, name := range frozenAt(newPlan(6, []int{1}, cfg.freezePlan(6, true)), m, 3) {
		require.True(t, strings.HasPrefix(name, "h.0.attn.c_attn."), name)
	}
}

// A stage begins exactly where the ramp or the freezing changes, also where both do at once or a share is empty.
func TestStagesBeginWhereSomethingChanges(t *testing.T) {
	cfg := Config{Model: ModelConfig{Layers: 3}, Unfreeze: unfreezeLayered}
	for epochs := 1; epochs < 30; epochs++ {
		plan := newPlan(epochs, []int{1, 2, 4}, cfg.freezePlan(epochs, true))
		begins := map[int]bool{}
		for share := range 3 {
			begins[shareStart(share, 3, epochs)] = true
		}
		for share := range 4 {
			begins[shareStart(share, 4, epochs)] = true
		}
		var got []int
		for _, s := range plan {
			got = append(got, s.from)
		}
		for from := range epochs {
			require.Equal(t, begins[from], slices.Contains(got, from), "%d epochs, place %d", epochs, from)
		}
		require.Zero(t, got[0])
	}
}

func TestTheMinimumOfTheRateDefaultsToAShareOfIt(t *testing.T) {
	require.InDelta(t, 1e-6, (&PhaseConfig{LR: 1e-4, MinLR: -1}).minLR(), 1e-18)
	require.Zero(t, (&PhaseConfig{LR: 1e-4}).minLR(), "an explicit 0 is 0")
}
