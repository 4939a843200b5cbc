package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEarlyStop_AnImprovementIsMinDeltaBelowTheReference(t *testing.T) {
	for _, c := range []struct {
		loss    float64
		improve bool
	}{{0.5, true}, {0.75, true}, {math.Nextafter(0.75, 1), false}, {0.9, false}, {1, false}, {2, false}} {
		e := newEarlyStop(1, 0.25)
		_, exhausted := e.Observe(1)
		require.False(t, exhausted)
		_, exhausted = e.Observe(c.loss)
		require.Equal(t, !c.improve, exhausted, "%g after 1", c.loss)
	}
}

func TestEarlyStop_TheBestIsTheLowestLossEvenWithoutAnImprovement(t *testing.T) {
	e := newEarlyStop(3, 0.01)
	for i, c := range []struct {
		loss              float64
		lowest, exhausted bool
	}{{1, true, false}, {0.995, true, false}, {0.999, false, false}, {0.991, true, true}} {
		lowest, exhausted := e.Observe(c.loss)
		require.Equal(t, c.lowest, lowest, "epoch %d", i+1)
		require.Equal(t, c.exhausted, exhausted, "epoch %d", i+1)
	}
	require.Equal(t, 0.991, e.best)
}

func TestEarlyStop_SmallGainsAddUp(t *testing.T) {
	e := newEarlyStop(4, 0.01)
	for step := range 100 { // an improvement every fourth epoch
		_, exhausted := e.Observe(1 - 0.003*float64(step))
		require.False(t, exhausted, "after %d epochs", step+1)
	}
	slow := newEarlyStop(4, 0.01)
	for step := range 5 {
		_, exhausted := slow.Observe(1 - 0.002*float64(step))
		require.Equal(t, step == 4, exhausted, "the gains of four epochs stay below 0.01")
	}
}

func TestEarlyStop_WithoutMinDeltaEveryLowerLossImproves(t *testing.T) {
	e := newEarlyStop(1, 0)
	_, exhausted := e.Observe(1)
	require.False(t, exhausted)
	_, exhausted = e.Observe(math.Nextafter(1, 0))
	require.False(t, exhausted)
	_, exhausted = e.Observe(math.Nextafter(1, 0))
	require.True(t, exhausted, "an equal loss is no improvement")
}

func TestEarlyStop_PatienceZeroNeverStops(t *testing.T) {
	e := newEarlyStop(0, 0.01)
	for range 1000 {
		_, exhausted := e.Observe(1)
		require.False(t, exhausted)
	}
}

func TestEarlyStop_AStageBeginsWithAnImprovementAndKeepsTheBest(t *testing.T) {
	e := newEarlyStop(2, 0.01)
	e.Observe(1)
	e.Observe(1)
	_, exhausted := e.Observe(1)
	require.True(t, exhausted)
	e.NextStage()
	for epoch, loss := range []float64{3, 2.995, 2.985, 2.98, 2.98} { // a release made the loss rise
		lowest, exhausted := e.Observe(loss)
		require.False(t, lowest)
		require.Equal(t, epoch == 4, exhausted, "the stage has a reference of its own")
	}
	require.Equal(t, 1.0, e.best)
}

// lastImprovement is the definition: the last epoch, counted from 1, whose loss is at least delta below that of the
// last improvement before it.
func lastImprovement(losses []float64, delta float64) int {
	last, reference := 0, math.Inf(1)
	for i, loss := range losses {
		if loss <= reference-delta {
			last, reference = i+1, loss
		}
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
			_, exhausted := e.Observe(loss)
			require.Equal(t, epoch-lastImprovement(losses, 0.01) >= patience, exhausted)
			if exhausted {
				break
			}
		}
	}
}
