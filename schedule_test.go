package main

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A linear warm-up of 4 steps to the peak, then half a cosine down to the minimum.
func ExampleSchedule_At() {
	s := Schedule{peak: 1e-3, min: 1e-5, planned: 24, warmup: 4}
	for step := 0; step <= s.planned; step += 2 {
		lr := s.At(step)
		fmt.Printf("step %2d  %.6f %s\n", step, lr, strings.Repeat("*", int(math.Round(lr*40e3))))
	}
	// Output:
	// step  0  0.000250 **********
	// step  2  0.000750 ******************************
	// step  4  0.001000 ****************************************
	// step  6  0.000976 ***************************************
	// step  8  0.000905 ************************************
	// step 10  0.000796 ********************************
	// step 12  0.000658 **************************
	// step 14  0.000505 ********************
	// step 16  0.000352 **************
	// step 18  0.000214 *********
	// step 20  0.000105 ****
	// step 22  0.000034 *
	// step 24  0.000010
}

func TestSchedule_CosineFallsFromPeakToMinimum(t *testing.T) {
	s := Schedule{peak: 1e-3, min: 1e-5, planned: 1000}
	require.Equal(t, 1e-3, s.At(0))
	require.InDelta(t, (1e-3+1e-5)/2, s.At(500), 1e-12, "half of the steps: half of the way down")
	require.InDelta(t, 1e-5, s.At(999), 1e-8)
	require.Equal(t, 1e-5, s.At(1000))
	require.Equal(t, 1e-5, s.At(1e6))
	for step := range 1000 {
		require.Less(t, s.At(step+1), s.At(step))
	}
}

func TestSchedule_WarmupRisesInALineToThePeak(t *testing.T) {
	s := Schedule{peak: 1, min: 0.1, planned: 50, warmup: 10}
	for step := range 10 {
		require.InDelta(t, float64(step+1)/10, s.At(step), 1e-12)
	}
	require.Equal(t, 1.0, s.At(10))
	require.Less(t, s.At(11), 1.0)
	require.Equal(t, 0.1, s.At(50))
}

func TestSchedule_ACooldownFallsInALineFromTheLastRateToTheMinimum(t *testing.T) {
	s := Schedule{peak: 1, min: 0.1, planned: 1000, cooldown: 300, cooldownSteps: 8}
	cosine := Schedule{peak: 1, min: 0.1, planned: 1000}
	for step := range 300 {
		require.Equal(t, cosine.At(step), s.At(step))
	}
	fall := (cosine.At(299) - 0.1) / 8
	for step := range 8 {
		require.InDelta(t, fall, s.At(299+step)-s.At(300+step), 1e-12)
	}
	require.InDelta(t, 0.1, s.At(307), 1e-12)
	require.InDelta(t, 0.1, s.At(400), 1e-12)
}

func TestSchedule_ACooldownNeverRaisesTheRate(t *testing.T) {
	s := Schedule{peak: 1, min: 0.1, planned: 1000, warmup: 1000, cooldown: 20, cooldownSteps: 8}
	for step := 20; step < 30; step++ {
		require.Equal(t, s.At(19), s.At(step), "the rate of the warm-up is still below the minimum")
	}
}

// Epochs of 5 and 3 samples in turn.
func TestCalendar_KnowsWhenEpochsBegin(t *testing.T) {
	samples := func(epoch int) int { return 5 - epoch%2*2 }
	c := newCalendar(4, samples, 2, []int{1, 2}, 0)
	require.Equal(t, calendar{starts: []int{0, 3, 5, 7, 8}}, c, "3, 2, 2 and 1 steps of 2, 2, 4 and 4 samples")
	require.Equal(t, []int{0, 5, 8}, []int{c.share(0, 2), c.share(1, 2), c.share(2, 2)}, "shares of the epochs")
	for step, epoch := range []int{0, 0, 0, 1, 1, 2, 2, 3} {
		require.Equal(t, epoch, c.epochOf(step))
		require.Equal(t, step, c.step(epoch, step-c.starts[epoch]))
	}
	require.Equal(t, 2, c.step(0, 7), "an epoch stays within its own steps")
	require.Equal(t, 7, c.step(9, 9), "and the last one within the plan")
	require.Equal(t, 8, c.start(9))

	cut := newCalendar(4, samples, 2, []int{1}, 6)
	require.Equal(t, calendar{starts: []int{0, 3, 5, 6}, cut: true}, cut)
	require.Equal(t, []int{0, 2, 4, 6}, []int{cut.share(0, 3), cut.share(1, 3), cut.share(2, 3), cut.share(3, 3)},
		"shares of the steps")
	require.Equal(t, calendar{starts: []int{0, 3, 5, 8}, cut: true}, newCalendar(4, samples, 2, []int{1}, 8))
	require.Equal(t, calendar{starts: []int{0, 3, 5, 8, 10}}, newCalendar(4, samples, 2, []int{1}, 10))
}

func TestSchedule_RestartsReturnToThePeak(t *testing.T) {
	for _, planned := range []int{100, 101, 7} {
		for restarts := range 5 {
			s := Schedule{peak: 1, min: 0.01, planned: planned, restarts: restarts}
			once := Schedule{peak: 1, min: 0.01, planned: planned}
			rises := 0
			for step := 1; step < planned; step++ {
				if s.At(step) > s.At(step-1) {
					rises++
					require.GreaterOrEqual(t, s.At(step), once.At(restarts), "at most one step below the peak")
				}
			}
			require.Equal(t, restarts, rises, "%d steps", planned)
		}
	}
}

// Plans shorter than their cycles or their warm-up: nothing divides by zero, and every rate is in (0, peak].
func TestSchedule_EveryShortPlanIsValid(t *testing.T) {
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
	require.Equal(t, 1.0, Schedule{peak: 1, min: 0.01, planned: 1}.At(0), "a plan of one step takes it at the peak")
	require.InDelta(t, 0.02, Schedule{peak: 1, min: 0.01, planned: 3, warmup: 50}.At(0), 1e-12)
}
