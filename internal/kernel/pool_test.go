package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// visits counts how often a span has covered each index.
type visits struct {
	count []int32 // [n]
	spans atomic.Int32
}

func (v *visits) span(lo, hi int) {
	v.spans.Add(1)
	for i := lo; i < hi; i++ {
		v.count[i]++
	}
}

func TestParallel_CoversEveryIndexOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 4 * runtime.NumCPU()} {
		usingThreads(size, func() {
			for n := range 40 {
				v := &visits{count: make([]int32, n)}
				for range 20 {
					Parallel(n, v, (*visits).span)
				}
				for _, c := range v.count {
					require.EqualValues(t, 20, c)
				}
				require.EqualValues(t, 20*min(n, size), v.spans.Load())
			}
		})
	}
}

type nest struct{ inner [4]visits }

func (o *nest) span(lo, hi int) {
	for i := lo; i < hi; i++ {
		Parallel(len(o.inner[i].count), &o.inner[i], (*visits).span)
	}
}

func TestParallel_RunsANestedCallSerially(t *testing.T) {
	usingThreads(3, func() {
		o := new(nest)
		for i := range o.inner {
			o.inner[i].count = make([]int32, 10)
		}
		Parallel(len(o.inner), o, (*nest).span)
		for i := range o.inner {
			require.Equal(t, []int32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, o.inner[i].count)
			require.EqualValues(t, 1, o.inner[i].spans.Load())
		}
	})
}

func TestParallel_ServesSeveralCallers(t *testing.T) {
	usingThreads(3, func() {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				v := &visits{count: make([]int32, 50)}
				for range 200 {
					Parallel(50, v, (*visits).span)
				}
				for _, c := range v.count {
					if c != 200 {
						t.Errorf("an index was visited %d times, not 200", c)
					}
				}
			})
		}
		wg.Wait()
	})
}

type faulty struct{ at int }

func (f *faulty) span(lo, hi int) {
	if lo <= f.at && f.at < hi {
		panic("a fault in a span")
	}
}

func TestParallel_PanicsWithTheValueOfASpan(t *testing.T) {
	usingThreads(3, func() {
		for at := range 3 {
			require.PanicsWithValue(t, "a fault in a span", func() { Parallel(3, &faulty{at}, (*faulty).span) })
			v := &visits{count: make([]int32, 3)}
			Parallel(3, v, (*visits).span)
			require.Equal(t, []int32{1, 1, 1}, v.count, "the pool works after a panic")
			require.EqualValues(t, 3, v.spans.Load())
		}
	})
}

type faultyFrom struct{ first int }

func (f *faultyFrom) span(lo, hi int) {
	if lo >= f.first {
		panic(lo)
	}
}

// When several workers panic, the caller receives the value of the first one, whichever panics earliest.
func TestParallel_PanicsWithTheValueOfTheFirstWorker(t *testing.T) {
	usingThreads(4, func() {
		for first := 1; first < 4; first++ {
			for range 20 {
				require.PanicsWithValue(t, first, func() { Parallel(4, &faultyFrom{first}, (*faultyFrom).span) })
			}
		}
	})
}

func TestPool_ParksIdleWorkers(t *testing.T) {
	usingThreads(3, func() {
		v := &visits{count: make([]int32, 3)}
		Parallel(3, v, (*visits).span)
		require.Eventually(t, func() bool {
			return shared.workers[0].state.Load() == workerParked && shared.workers[1].state.Load() == workerParked
		}, 5*time.Second, time.Millisecond)
		Parallel(3, v, (*visits).span)
		require.Equal(t, []int32{2, 2, 2}, v.count)
	})
}

func TestPool_SurvivesGarbageCollection(t *testing.T) {
	usingThreads(7, func() {
		v := &visits{count: make([]int32, 100)}
		for range 20 {
			Parallel(100, v, (*visits).span)
			runtime.GC()
		}
		require.EqualValues(t, 20, v.count[99])
	})
}

func TestParallel_DoesNotAllocate(t *testing.T) {
	usingThreads(2, func() {
		v := &visits{count: make([]int32, 2)}
		require.Zero(t, testing.AllocsPerRun(100, func() { Parallel(2, v, (*visits).span) }))
	})
}

func TestSetThreads_NeedsOne(t *testing.T) {
	require.PanicsWithValue(t, "kernel.SetThreads: n < 1", func() { SetThreads(0) })
}

func BenchmarkParallel(b *testing.B) {
	v := &visits{count: make([]int32, Threads())}
	for b.Loop() {
		Parallel(Threads(), v, (*visits).span)
	}
}
