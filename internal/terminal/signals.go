package terminal

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// A signal ends a program in good order: the program catches it, finishes its current step, and exits with 128 + the
// number of the signal, as the exit code of a program that a signal killed is in a shell.

// ExitSIGINT is the exit code of a program that Ctrl-C has ended.
const ExitSIGINT = 128 + int(syscall.SIGINT)

// Interrupted is the error of a run that a signal has ended.
type Interrupted struct {
	signal string
	Code   int // exit code
}

func (e *Interrupted) Error() string { return "interrupted by " + e.signal }

// InterruptedBy returns the error for a signal.
func InterruptedBy(s os.Signal) *Interrupted {
	number, _ := s.(syscall.Signal)
	return &Interrupted{s.String(), 128 + int(number)}
}

// CatchSignals catches SIGINT and SIGTERM until stop is called. The first signal cancels ctx. A second one ends the
// program at once, as if nothing had been caught.
//
// caught returns an *Interrupted that names the first signal, or nil if there was none. After stop has returned, it
// knows of every signal that arrived before.
func CatchSignals() (ctx context.Context, caught func() error, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals, settled := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer close(settled)
		if got, ok := <-signals; ok {
			signal.Stop(signals)
			cancel(InterruptedBy(got))
		}
	}()
	caught = func() error { return context.Cause(ctx) }
	stop = func() {
		signal.Stop(signals)
		close(signals)
		<-settled
	}
	return ctx, caught, stop
}
