package kernel

import "runtime"

// Work is shared among the threads in one way throughout the program:
//
//	func (l *layer) rows(lo, hi int) {
//		for t := lo; t < hi; t++ {
//			… // compute row t
//		}
//	}
//
//	kernel.Parallel(T, l, (*layer).rows)
//
// Parallel cuts the range 0 … T into spans lo … hi, one per thread, hi excluded: 10 rows and 3 threads give 0 … 3,
// 3 … 6 and 6 … 10. Each thread calls the method with its span, l.rows(lo, hi). Parallel returns when all are done.
//
// (*layer).rows is a method expression: the method as a plain function that takes its receiver as the first argument.
// Parallel takes the receiver separately, because a closure, func(lo, hi int) { … }, or a bound method, l.rows, would
// be allocated anew at every call. What the method needs to know, it reads from fields of its receiver.
//
// Results never depend on the number of threads: a method computes each index on its own and writes only what belongs
// to that index. The goroutines behind it are in pool.go.

var shared = newPool(runtime.GOMAXPROCS(0)) // the threads of the whole program

// Parallel cuts 0 … n into at most Threads() spans of nearly equal length, calls method(receiver, lo, hi) for each and
// returns when all are done. Inside such a method, and while another goroutine is in Parallel, it runs the whole
// range on the calling thread. When the method panics, on any thread, Parallel panics with the same value.
func Parallel[R any](n int, receiver *R, method func(r *R, lo, hi int)) {
	if n <= 0 {
		return
	}
	p := shared
	if spans := min(n, len(p.workers)+1); spans > 1 && p.busy.CompareAndSwap(false, true) {
		p.call(n, spans, receiver, methodOf[R](method))
		return
	}
	method(receiver, 0, n)
}

// Threads returns the number of threads that Parallel uses, the calling one included.
func Threads() int { return len(shared.workers) + 1 }

// SetThreads makes Parallel use n >= 1 threads, the calling one included. It must not run at the same time as Parallel.
func SetThreads(n int) {
	if n < 1 {
		panic("kernel.SetThreads: n < 1")
	}
	shared.stop()
	shared = newPool(n)
}
