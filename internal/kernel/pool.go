package kernel

import (
	"runtime"
	"sync/atomic"
	"time"
)

// The threads behind Parallel. A pool of n threads is the caller and n-1 workers, each a goroutine. A call offers a
// span to each worker and runs the first span on the caller. n alone decides which spans exist. When the caller is
// done, it also runs every span that its worker has not taken yet. So a worker that is parked, or has no processor,
// does not delay the call.

const (
	spinTime  = 100 * time.Microsecond // a worker without work spins this long, then parks; most calls come sooner
	spinRound = 100                    // reads of the state between two calls of the scheduler
)

// The states of a worker. Only the caller sets workerOffered and workerStopped, only the worker workerParked.
const (
	workerIdle uint32 = iota
	workerOffered
	workerTaken
	workerParked
	workerStopped
)

// worker is one goroutine of the pool and its state.
type worker struct {
	state   atomic.Uint32
	wake    chan struct{} // holds at most one token: one per change from workerParked to another state
	failure any           // the value that its span panicked with
	_       [64]byte      // a cache line, so that workers spin on different ones
}

// pool holds the current call. Its fields are written only while no worker has taken a span.
type pool struct {
	busy     atomic.Bool
	workers  []*worker
	spinTime time.Duration

	n, spans int
	receiver any
	method   spanMethod
}

// spanMethod hides the type parameter of Parallel. An interface holds a func or a pointer without an allocation.
type spanMethod interface {
	run(receiver any, lo, hi int)
}

// methodOf is the spanMethod for a receiver of type *R.
type methodOf[R any] func(r *R, lo, hi int)

func (f methodOf[R]) run(receiver any, lo, hi int) { f(receiver.(*R), lo, hi) }

// newPool starts the n-1 workers of a pool of n threads.
func newPool(n int) *pool {
	p := &pool{workers: make([]*worker, n-1), spinTime: spinTime}
	if n > runtime.GOMAXPROCS(0) {
		p.spinTime = 0 // a worker that spins would take a processor from one that works
	}
	for i := range p.workers {
		p.workers[i] = &worker{wake: make(chan struct{}, 1)}
		go p.workers[i].loop(p, i+1)
	}
	return p
}

// stop ends the workers.
func (p *pool) stop() {
	for _, w := range p.workers {
		w.setState(workerStopped)
	}
}

// call runs the method on the given number of spans of 0..n and returns when all are done.
func (p *pool) call(n, spans int, receiver any, method spanMethod) {
	p.n, p.spans, p.receiver, p.method = n, spans, receiver, method
	defer p.join()
	for _, w := range p.workers[:spans-1] {
		w.setState(workerOffered)
	}
	p.runSpan(0)
}

// join runs the spans that no worker has taken, waits for the others and panics with the first worker's failure.
func (p *pool) join() {
	var failure any
	for i, w := range p.workers[:p.spans-1] {
		if w.state.CompareAndSwap(workerOffered, workerIdle) {
			w.runSpan(p, i+1)
		}
		for spins := 1; w.state.Load() == workerTaken; spins++ {
			if spins%spinRound == 0 {
				runtime.Gosched()
			}
		}
		if failure == nil {
			failure = w.failure
		}
	}
	p.receiver, p.method = nil, nil
	p.busy.Store(false)
	if failure != nil {
		panic(failure)
	}
}

// runSpan calls the method with span i.
func (p *pool) runSpan(i int) {
	p.method.run(p.receiver, p.n*i/p.spans, p.n*(i+1)/p.spans)
}

// setState changes the state of a worker and wakes it if it is parked.
func (w *worker) setState(state uint32) {
	if w.state.Swap(state) == workerParked {
		w.wake <- struct{}{}
	}
}

// loop runs span i of every call until the pool is stopped.
func (w *worker) loop(p *pool, i int) {
	for {
		switch w.state.Load() {
		case workerStopped:
			return
		case workerOffered:
			if w.state.CompareAndSwap(workerOffered, workerTaken) {
				w.runSpan(p, i)
				w.state.Store(workerIdle)
			}
		default:
			w.wait(p.spinTime)
		}
	}
}

// runSpan runs span i and keeps the value of a panic for join.
func (w *worker) runSpan(p *pool, i int) {
	defer func() { w.failure = recover() }()
	p.runSpan(i)
}

// wait returns when the state may have changed: it spins for the given time, then parks.
func (w *worker) wait(spinTime time.Duration) {
	for start := time.Now(); time.Since(start) < spinTime; runtime.Gosched() {
		for range spinRound {
			if w.state.Load() != workerIdle {
				return
			}
		}
	}
	if w.state.CompareAndSwap(workerIdle, workerParked) {
		<-w.wake
	}
}
