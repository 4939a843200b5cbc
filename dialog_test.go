package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// pressCtrlC sends the test's own process SIGINT and returns when everything that waits for it has it.
func pressCtrlC() { sendSelf(syscall.SIGINT) }

func sendSelf(s syscall.Signal) {
	delivered := make(chan os.Signal, 1)
	signal.Notify(delivered, s)
	defer signal.Stop(delivered)
	syscall.Kill(os.Getpid(), s)
	<-delivered
}

// hasty types a line and presses Ctrl-C before anyone could read it.
type hasty struct{}

func (hasty) Read(p []byte) (int, error) {
	pressCtrlC()
	return copy(p, "one\n"), nil
}

func TestCtrlCBesideALineIsNotLost(t *testing.T) {
	for range 30 {
		_, err := newDialog(&console{hasty{}, io.Discard, io.Discard}).line()
		require.ErrorAs(t, err, new(*interrupted))
	}
}

func TestEveryLineIsReadAndTheLastMayLackItsEnd(t *testing.T) {
	d := newDialog(&console{strings.NewReader("one\r\n\nthree"), io.Discard, io.Discard})
	for _, want := range []string{"one", "", "three"} {
		line, err := d.line()
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	for range 2 {
		_, err := d.line()
		require.ErrorIs(t, err, io.EOF)
	}
}

// What cannot be read has ended: the lines before are kept, and one warning tells why no more come.
func TestAnInputThatCannotBeReadHasEnded(t *testing.T) {
	broken := iotest.ErrReader(syscall.EBADF)
	var notes bytes.Buffer
	d := newDialog(&console{io.MultiReader(strings.NewReader("one\ntw"), broken), io.Discard, &notes})
	for _, want := range []string{"one", "tw"} {
		line, err := d.line()
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	for range 2 {
		_, err := d.line()
		require.ErrorIs(t, err, io.EOF)
	}
	require.Equal(t, 1, strings.Count(notes.String(), "standard input: bad file descriptor"), notes.String())
}

// The test runs itself once more as a program that has caught one signal and gets another. The second is SIGTERM: a
// shell that runs the tests in the background may have told them to ignore SIGINT.
func TestASecondSignalEndsTheProgramAtOnce(t *testing.T) {
	if os.Getenv("GOGPT_TEST_SIGNALS") != "" {
		ctx, _, _ := catchSignals()
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		<-ctx.Done()
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(20 * time.Second)
		return
	}
	self := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	self.Env = append(os.Environ(), "GOGPT_TEST_SIGNALS=1")
	started := time.Now()
	ended := new(exec.ExitError)
	require.ErrorAs(t, self.Run(), &ended)
	require.Equal(t, syscall.SIGTERM, ended.Sys().(syscall.WaitStatus).Signal())
	require.Less(t, time.Since(started), 15*time.Second)
}
