// Package jobs does a list of long jobs, several at a time, and runs this program again as a child process. It knows
// nothing of the model.
package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Queue says how jobs are done and shown.
type Queue struct {
	Workers  int       // jobs at a time
	Out      io.Writer // gets a line for each finished job
	Finished int       // jobs that were done before; the lines count them
}

// Do does the jobs in their order. For each that is done it prints how many are, an estimate of the time that the
// others take, and the job. After the first error, or when ctx is cancelled, it starts no other job, cancels the
// context of those in progress and waits for them.
func Do[J fmt.Stringer](ctx context.Context, q Queue, list []J, do func(context.Context, J) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work := make(chan J)
	var workers sync.WaitGroup
	var lock sync.Mutex // of done, failed and q.Out
	began, done, failed := time.Now(), 0, error(nil)
	for range q.Workers {
		workers.Go(func() {
			for j := range work {
				if ctx.Err() != nil {
					continue
				}
				err := do(ctx, j)
				lock.Lock()
				switch {
				case err == nil:
					done++
					left := time.Since(began) / time.Duration(done) * time.Duration(len(list)-done)
					fmt.Fprintf(q.Out, "%3d of %d  %8s left  %s\n",
						q.Finished+done, q.Finished+len(list), left.Round(time.Second), j)
				case ctx.Err() == nil:
					failed = err
					stop()
				}
				lock.Unlock()
			}
		})
	}
	for _, j := range list {
		work <- j
	}
	close(work)
	workers.Wait()
	return failed
}

// Self runs this program with other arguments. When ctx is cancelled, it sends SIGTERM. The error is the last line that
// the program wrote to stderr.
func Self(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return errors.New(cmp.Or(lines[len(lines)-1], err.Error()))
	}
	return nil
}
