package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEarlyStop_AnImprovementIsMinDeltaBelowTheBest(t *testing.T) {
	for _, c := range []struct {
		loss    float64
		improve bool
	}{{0.5, true}, {0.75, true}, {math.Nextafter(0.75, 1), false}, {0.9, false}, {1, false}, {2, false}} {
		e := newEarlyStop(1, 0.25)
		_, exhausted := e.Observe(1, 1)
		require.False(t, exhausted)
		_, exhausted = e.Observe(2, c.loss)
		require.Equal(t, !c.improve, exhausted, "%g after 1", c.loss)
	}
}

func TestEarlyStop_TheBestIsTheLowestLossEvenWithoutAnImprovement(t *testing.T) {
	e := newEarlyStop(3, 0.01)
	for i, c := range []struct {
		loss              float64
		lowest, exhausted bool
	}{{1, true, false}, {0.995, true, false}, {0.999, false, false}, {0.990, true, true}} {
		lowest, exhausted := e.Observe(i+1, c.loss)
		require.Equal(t, c.lowest, lowest, "epoch %d", i+1)
		require.Equal(t, c.exhausted, exhausted, "epoch %d", i+1)
	}
	require.Equal(t, 0.990, e.best)
	require.Equal(t, 4, e.bestEpoch)
}

func TestEarlyStop_SmallStepsDownAreNoImprovement(t *testing.T) {
	e := newEarlyStop(3, 0.01)
	e.Observe(1, 1)
	for epoch, loss := range []float64{0.995, 0.990} {
		_, exhausted := e.Observe(epoch+2, loss)
		require.False(t, exhausted)
	}
	_, exhausted := e.Observe(4, 0.985)
	require.True(t, exhausted, "the best loss moved down with them")
}

func TestEarlyStop_PatienceZeroNeverStops(t *testing.T) {
	e := newEarlyStop(0, 0.01)
	for epoch := range 1000 {
		_, exhausted := e.Observe(epoch+1, 1)
		require.False(t, exhausted)
	}
}

func TestEarlyStop_NextStageCountsAnewAndKeepsTheBest(t *testing.T) {
	e := newEarlyStop(2, 0.01)
	e.Observe(1, 1)
	e.Observe(2, 1)
	_, exhausted := e.Observe(3, 1)
	require.True(t, exhausted)
	e.NextStage()
	_, exhausted = e.Observe(4, 1)
	require.False(t, exhausted)
	lowest, exhausted := e.Observe(5, 2)
	require.False(t, lowest)
	require.True(t, exhausted)
	require.Equal(t, 1.0, e.best)
}

// lastImprovement is the definition: the last epoch, counted from 1, whose loss is at least delta below the lowest
// before.
func lastImprovement(losses []float64, delta float64) int {
	last, best := 0, math.Inf(1)
	for i, loss := range losses {
		if loss <= best-delta {
			last = i + 1
		}
		best = min(best, loss)
	}
	return last
}

func TestEarlyStop_FollowsItsDefinitionOnRandomLosses(t *testing.T) {
	rng := newRNG(1, checkStream)
	for range 500 {
		patience, loss := 1+rng.IntN(6), 5.0
		e := newEarlyStop(patience, 0.01)
		var losses []float64
		for epoch := 1; epoch <= 40; epoch++ {
			loss += 0.02 * (rng.Float64() - 0.6)
			losses = append(losses, loss)
			_, exhausted := e.Observe(epoch, loss)
			require.Equal(t, epoch-lastImprovement(losses, 0.01) >= patience, exhausted)
			if exhausted {
				break
			}
		}
	}
}
