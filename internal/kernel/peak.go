package kernel

import (
	"math"
	"sync/atomic"
	"time"
)

// peakChains is the number of independent chains of multiply-adds in every kernel's peak loop.
const peakChains = 12

// peakRun counts the multiply-adds that all threads do until the deadline.
type peakRun struct {
	deadline time.Time
	count    atomic.Int64
}

// Peak runs independent multiply-adds in registers, with all threads and the instructions of the kernel in use, for the
// time d. It returns their rate in GFLOP/s; a multiply-add is two operations.
func Peak(d time.Duration) float64 {
	start := time.Now()
	p := &peakRun{deadline: start.Add(d)}
	Parallel(Threads(), p, (*peakRun).threads)
	return 2 * float64(p.count.Load()) / time.Since(start).Seconds() / 1e9
}

// threads runs the peak loop until the deadline and counts the multiply-adds of threads lo..hi.
func (p *peakRun) threads(lo, hi int) {
	const rounds = 1 << 12
	for time.Now().Before(p.deadline) {
		kern.peak(rounds)
		p.count.Add(int64(hi-lo) * rounds * peakChains * int64(kern.lanes))
	}
}

// peakGeneric: for range rounds { s = s·x + x } for twelve independent s. Without the sum at the end nothing would use
// the results, and the compiler could remove the loop.
func peakGeneric(rounds int) {
	var s [peakChains]float32
	x := float32(0.5)
	a, b, c, d, e, f, g, h, i, j, k, l := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11]
	for range rounds {
		a, b, c, d, e, f = a*x+x, b*x+x, c*x+x, d*x+x, e*x+x, f*x+x
		g, h, i, j, k, l = g*x+x, h*x+x, i*x+x, j*x+x, k*x+x, l*x+x
	}
	if t := a + b + c + d + e + f + g + h + i + j + k + l; math.IsNaN(float64(t)) {
		panic("kernel.Peak: a sum of finite numbers is NaN")
	}
}
