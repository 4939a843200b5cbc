//go:build unix

package terminal

import (
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sendSelf sends a signal to the process of the test, and returns when every channel that is notified of it has it.
func sendSelf(s syscall.Signal) {
	delivered := make(chan os.Signal, 1)
	signal.Notify(delivered, s)
	defer signal.Stop(delivered)
	syscall.Kill(os.Getpid(), s)
	<-delivered
}

func TestSignals_TheFirstOneCancelsTheContextAndIsReported(t *testing.T) {
	for s, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, caught, stop := CatchSignals()
		require.NoError(t, ctx.Err())
		require.NoError(t, caught())
		sendSelf(s)
		stop()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		interrupted := new(Interrupted)
		require.ErrorAs(t, caught(), &interrupted)
		require.Equal(t, code, interrupted.Code)
		require.Equal(t, "interrupted by "+s.String(), interrupted.Error())
	}
	_, caught, stop := CatchSignals()
	stop()
	require.NoError(t, caught(), "no signal came")
}

// hasty is an input whose line and Ctrl-C arrive at the same time.
type hasty struct{}

func (hasty) Read(p []byte) (int, error) {
	sendSelf(syscall.SIGINT)
	return copy(p, "one\n"), nil
}

func TestDialog_ASignalThatArrivesWithALineIsNotLost(t *testing.T) {
	for range 30 {
		d := NewDialog(&Console{In: hasty{}, Out: io.Discard, Err: io.Discard})
		_, err := d.Line()
		require.ErrorAs(t, err, new(*Interrupted))
		require.True(t, d.InterruptedInput)
	}
}

func TestDialog_ASignalEndsTheQuestion(t *testing.T) {
	d := NewDialog(&Console{In: hasty{}, Out: io.Discard, Err: io.Discard})
	err := d.Choose("colour?", "blue", func(string) error { panic("no reply was given") })
	require.ErrorAs(t, err, new(*Interrupted))
}

// The test starts itself again as a program that has caught one signal and receives another. The second one is SIGTERM:
// nohup, or a shell's background job, may have made the program ignore SIGINT.
func TestSignals_TheSecondOneEndsTheProgramAtOnce(t *testing.T) {
	const asChild = "TERMINAL_TEST_SIGNALS"
	if os.Getenv(asChild) != "" {
		ctx, _, _ := CatchSignals()
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		<-ctx.Done()
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(20 * time.Second)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), asChild+"=1")
	started := time.Now()
	ended := new(exec.ExitError)
	require.ErrorAs(t, child.Run(), &ended)
	require.Equal(t, syscall.SIGTERM, ended.Sys().(syscall.WaitStatus).Signal())
	require.Less(t, time.Since(started), 15*time.Second)
}
