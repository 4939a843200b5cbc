package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// withThreads runs f with a team of n and puts the old one back.
func withThreads(n int, f func()) {
	defer setThreads(threads())
	setThreads(n)
	f()
}

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

func TestSpansCoverEveryIndexOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 4 * runtime.NumCPU()} {
		withThreads(size, func() {
			for n := range 40 {
				v := &visits{count: make([]int32, n)}
				for range 20 {
					parallel(n, v, (*visits).span)
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
		parallel(len(o.inner[i].count), &o.inner[i], (*visits).span)
	}
}

func TestNestedCallRunsSerially(t *testing.T) {
	withThreads(3, func() {
		o := new(nest)
		for i := range o.inner {
			o.inner[i].count = make([]int32, 10)
		}
		parallel(len(o.inner), o, (*nest).span)
		for i := range o.inner {
			require.Equal(t, []int32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, o.inner[i].count)
			require.EqualValues(t, 1, o.inner[i].spans.Load())
		}
	})
}

func TestSeveralCallersShareTheTeam(t *testing.T) {
	withThreads(3, func() {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				v := &visits{count: make([]int32, 50)}
				for range 200 {
					parallel(50, v, (*visits).span)
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
		panic("span: at fault")
	}
}

func TestPanicInASpanReachesTheCaller(t *testing.T) {
	withThreads(3, func() {
		for at := range 3 {
			require.PanicsWithValue(t, "span: at fault", func() { parallel(3, &faulty{at}, (*faulty).span) })
			v := &visits{count: make([]int32, 3)}
			parallel(3, v, (*visits).span)
			require.Equal(t, []int32{1, 1, 1}, v.count, "the team works on after a panic")
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

// When several helpers fail, the caller hears of the first, whoever was the quickest.
func TestTeam_RaisesThePanicOfTheFirstHelper(t *testing.T) {
	withThreads(4, func() {
		for first := 1; first < 4; first++ {
			for range 20 {
				require.PanicsWithValue(t, first, func() { parallel(4, &faultyFrom{first}, (*faultyFrom).span) })
			}
		}
	})
}

func TestIdleHelpersPark(t *testing.T) {
	withThreads(3, func() {
		v := &visits{count: make([]int32, 3)}
		parallel(3, v, (*visits).span)
		require.Eventually(t, func() bool {
			return crew.helpers[0].state.Load() == helperParked && crew.helpers[1].state.Load() == helperParked
		}, 5*time.Second, time.Millisecond)
		parallel(3, v, (*visits).span)
		require.Equal(t, []int32{2, 2, 2}, v.count)
	})
}

func TestTeamSurvivesGarbageCollection(t *testing.T) {
	withThreads(7, func() {
		v := &visits{count: make([]int32, 100)}
		for range 20 {
			parallel(100, v, (*visits).span)
			runtime.GC()
		}
		require.EqualValues(t, 20, v.count[99])
	})
}

func TestParallelDoesNotAllocate(t *testing.T) {
	withThreads(2, func() {
		v := &visits{count: make([]int32, 2)}
		require.Zero(t, testing.AllocsPerRun(100, func() { parallel(2, v, (*visits).span) }))
	})
}

func TestSetThreadsNeedsOne(t *testing.T) {
	require.PanicsWithValue(t, "setThreads: n < 1", func() { setThreads(0) })
}

func BenchmarkParallel(b *testing.B) {
	v := &visits{count: make([]int32, threads())}
	for b.Loop() {
		parallel(threads(), v, (*visits).span)
	}
}
