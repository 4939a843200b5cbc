package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

// The threads. A team of n workers is the caller and n-1 helpers. parallel cuts a range into spans, offers one to each helper
// and runs the first itself. Which spans exist depends on n alone; who runs them does not matter: a span that its helper has not
// yet taken when the caller is done is run by the caller, so a helper that sleeps, or has no processor, delays nobody.

const (
	helperPatience = 100 * time.Microsecond // a helper without work stays awake this long: a step calls parallel far more often
	spinRound      = 100                    // looks at the state between two calls of the scheduler
)

// The states of a helper. Only the caller moves it to offered, only the helper to parked.
const (
	helperIdle uint32 = iota
	helperOffered
	helperTaken
	helperParked
	helperDismissed
)

// helper is one goroutine of the team and its state.
type helper struct {
	state   atomic.Uint32
	wake    chan struct{} // holds at most one token: one for each way from parked to offered or dismissed
	failure any           // what its span panicked with
	_       [64]byte      // helpers spin on their own cache lines
}

// team holds the current call. Its fields are written only while no helper has taken a span.
type team struct {
	busy     atomic.Bool
	helpers  []*helper
	patience time.Duration

	n, parts int
	arg      any
	span     spanRunner
}

// spanRunner hides the type parameter of parallel. A func and a pointer fit in an interface without an allocation.
type spanRunner interface{ run(arg any, lo, hi int) }

type spanOf[L any] func(l *L, lo, hi int)

func (f spanOf[L]) run(arg any, lo, hi int) { f(arg.(*L), lo, hi) }

var crew = newTeam(runtime.GOMAXPROCS(0))

// threads returns the size of the team.
func threads() int { return len(crew.helpers) + 1 }

// setThreads replaces the team by one of n >= 1 workers, the caller included. It must not run beside a call of parallel.
func setThreads(n int) {
	if n < 1 {
		panic("setThreads: n < 1")
	}
	crew.dismiss()
	crew = newTeam(n)
}

// parallel cuts 0..n into at most threads() spans of nearly equal length, runs span(l, lo, hi) for each and returns when all are
// done. A call from inside a span, or while another goroutine uses the team, runs serially. A panic in a span is raised here.
func parallel[L any](n int, l *L, span func(l *L, lo, hi int)) {
	if n <= 0 {
		return
	}
	t := crew
	if parts := min(n, len(t.helpers)+1); parts > 1 && t.busy.CompareAndSwap(false, true) {
		t.call(n, parts, l, spanOf[L](span))
		return
	}
	span(l, 0, n)
}

func newTeam(n int) *team {
	t := &team{helpers: make([]*helper, n-1), patience: helperPatience}
	if n > runtime.GOMAXPROCS(0) {
		t.patience = 0 // spinning would only take a processor from who works
	}
	for i := range t.helpers {
		t.helpers[i] = &helper{wake: make(chan struct{}, 1)}
		go t.helpers[i].serve(t, i+1)
	}
	return t
}

func (t *team) dismiss() {
	for _, h := range t.helpers {
		h.tell(helperDismissed)
	}
}

func (t *team) call(n, parts int, arg any, span spanRunner) {
	t.n, t.parts, t.arg, t.span = n, parts, arg, span
	defer t.join()
	for _, h := range t.helpers[:parts-1] {
		h.tell(helperOffered)
	}
	t.runSpan(0)
}

// join runs the spans that nobody has taken, waits for the others and raises the first helper's panic.
func (t *team) join() {
	var failure any
	for i, h := range t.helpers[:t.parts-1] {
		if h.state.CompareAndSwap(helperOffered, helperIdle) {
			h.runSpan(t, i+1)
		}
		for spins := 1; h.state.Load() == helperTaken; spins++ {
			if spins%spinRound == 0 {
				runtime.Gosched()
			}
		}
		if failure == nil {
			failure = h.failure
		}
	}
	t.arg, t.span = nil, nil
	t.busy.Store(false)
	if failure != nil {
		panic(failure)
	}
}

func (t *team) runSpan(part int) {
	t.span.run(t.arg, t.n*part/t.parts, t.n*(part+1)/t.parts)
}

func (h *helper) tell(state uint32) {
	if h.state.Swap(state) == helperParked {
		h.wake <- struct{}{}
	}
}

func (h *helper) serve(t *team, part int) {
	for {
		switch h.state.Load() {
		case helperDismissed:
			return
		case helperOffered:
			if h.state.CompareAndSwap(helperOffered, helperTaken) {
				h.runSpan(t, part)
				h.state.Store(helperIdle)
			}
		default:
			h.rest(t.patience)
		}
	}
}

func (h *helper) runSpan(t *team, part int) {
	defer func() { h.failure = recover() }()
	t.runSpan(part)
}

// rest returns when there may be something to do: it spins for the given time, then parks.
func (h *helper) rest(patience time.Duration) {
	for start := time.Now(); time.Since(start) < patience; runtime.Gosched() {
		for range spinRound {
			if h.state.Load() != helperIdle {
				return
			}
		}
	}
	if h.state.CompareAndSwap(helperIdle, helperParked) {
		<-h.wake
	}
}
