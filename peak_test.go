package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPeakIsMeasuredWithEveryKernel(t *testing.T) {
	onEachKernel(t, func(t *testing.T) {
		p := measurePeak(20 * time.Millisecond)
		require.Greater(t, p, 0.1)
		t.Logf("%.1f GFLOP/s", p)
	})
}
