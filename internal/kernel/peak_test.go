package kernel

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPeak_RunsWithEveryKernel(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		p := Peak(20 * time.Millisecond)
		require.Greater(t, p, 0.1)
		t.Logf("%.1f GFLOP/s", p)
	})
}

// A multiply-add is two operations, of every lane in every chain.
func TestPeak_CountsBothOperationsOfAMultiplyAdd(t *testing.T) {
	defer func(k *kernel) { kern = k }(kern)
	k := *kern
	multiplyAdds := 0
	k.peak = func(rounds int) { // takes a millisecond of a clock that only sleeping moves
		multiplyAdds += rounds * peakChains * k.lanes
		time.Sleep(time.Millisecond)
	}
	kern = &k
	usingThreads(1, func() {
		synctest.Test(t, func(t *testing.T) {
			rate := Peak(10 * time.Millisecond)
			require.Positive(t, multiplyAdds)
			require.InEpsilon(t, 2*float64(multiplyAdds)/10e-3/1e9, rate, 1e-12)
		})
	})
}
