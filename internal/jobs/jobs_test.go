package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// number is a job.
type number int

func (n number) String() string { return fmt.Sprintf("job %d", int(n)) }

func TestDo_PrintsALineForEachFinishedJob(t *testing.T) {
	var out strings.Builder
	var did []number
	q := Queue{Workers: 1, Out: &out, Finished: 2}
	err := Do(t.Context(), q, []number{7, 8}, func(_ context.Context, n number) error {
		did = append(did, n)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []number{7, 8}, did, "in their order")
	require.Equal(t, "  3 of 4        0s left  job 7\n  4 of 4        0s left  job 8\n", out.String())
}

func TestDo_EstimatesTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock moves only when everything sleeps
		var out strings.Builder
		q := Queue{Workers: 1, Out: &out}
		err := Do(t.Context(), q, []number{1, 2, 3}, func(_ context.Context, n number) error {
			time.Sleep(time.Duration(n) * 10 * time.Second)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "  1 of 3       20s left  job 1\n  2 of 3       15s left  job 2\n  3 of 3        0s left  job 3\n",
			out.String())
	})
}

func TestDo_DoesSeveralAtATime(t *testing.T) {
	both := make(chan struct{})
	var started atomic.Int32
	err := Do(t.Context(), Queue{Workers: 2, Out: io.Discard}, []number{1, 2}, func(context.Context, number) error {
		if started.Add(1) == 2 {
			close(both)
		}
		<-both // waits for ever unless both are in progress
		return nil
	})
	require.NoError(t, err)
}

func TestDo_TheFirstErrorEndsTheRest(t *testing.T) {
	full, third := errors.New("no space left"), false
	var out strings.Builder
	err := Do(t.Context(), Queue{Workers: 2, Out: &out}, []number{1, 2, 3}, func(ctx context.Context, n number) error {
		switch n {
		case 1:
			return full
		case 2:
			<-ctx.Done() // the error cancels what is in progress
		default:
			third = ctx.Err() == nil
		}
		return ctx.Err()
	})
	require.ErrorIs(t, err, full)
	require.False(t, third)
	require.Empty(t, out.String())
}

func TestDo_ACancelledContextIsNoErrorOfAJob(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	did := 0
	err := Do(ctx, Queue{Workers: 1, Out: io.Discard}, []number{1, 2, 3}, func(ctx context.Context, n number) error {
		did++
		cancel()
		return ctx.Err()
	})
	require.NoError(t, err, "the caller knows why it cancelled")
	require.Equal(t, 1, did)
}

// TestMain makes this test a program that prints its arguments to stderr and fails, or creates a file and waits for
// SIGTERM, when it runs itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "wait" {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		if err := os.WriteFile(os.Args[2], nil, 0o644); err == nil {
			fmt.Fprintln(os.Stderr, <-terminated)
		}
		os.Exit(3)
	}
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		fmt.Fprintf(os.Stderr, "a warning\n%s\n", strings.Join(os.Args[1:], " "))
		os.Exit(3)
	}
	if len(os.Args) > 1 && os.Args[1] == "silent" {
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func TestSelf_TheErrorIsTheLastLineOfStderr(t *testing.T) {
	require.EqualError(t, Self(t.Context(), "fail", "twice"), "fail twice")
	require.EqualError(t, Self(t.Context(), "silent"), "exit status 3")
	require.NoError(t, Self(t.Context(), "-test.run=^$"))
}

func TestSelf_ACancelledContextTerminatesTheChild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM")
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := filepath.Join(t.TempDir(), "waits")
	go func() {
		defer cancel()
		for range 1000 {
			if _, err := os.Stat(waits); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	require.EqualError(t, Self(ctx, "wait", waits), "terminated", "the child can end by itself")
}
