package main

import (
	"sync/atomic"
	"time"
)

// peakRun counts the multiply-adds that all threads do until the deadline.
type peakRun struct {
	deadline time.Time
	count    atomic.Int64
}

func (p *peakRun) span(lo, hi int) {
	const rounds = 1 << 12
	for time.Now().Before(p.deadline) {
		kern.peak(rounds)
		p.count.Add(int64(hi-lo) * rounds * peakChains * int64(kern.lanes))
	}
}

// measurePeak returns the rate, in GFLOP/s, at which all threads together do independent multiply-adds in registers (two operations
// each) with the instructions of the kernel in use, measured for the time d.
func measurePeak(d time.Duration) float64 {
	start := time.Now()
	p := &peakRun{deadline: start.Add(d)}
	parallel(threads(), p, (*peakRun).span)
	return 2 * float64(p.count.Load()) / time.Since(start).Seconds() / 1e9
}
