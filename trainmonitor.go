package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gogpt/internal/report"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
	"gogpt/internal/tfevents"
)

// The monitor shows a run: a table with one line per epoch on standard output and, during an epoch, a live line on a
// terminal. It passes every record to its observers: the log file, TensorBoard's events, the report. Nothing here
// changes what is trained.

// observer receives the records of a run one by one: a runlog.Run, then *runlog.Epoch with runlog.Steps,
// runlog.Sample and runlog.AttnGradient between them, then a runlog.End.
type observer interface{ Observe(record any) error }

// monitor shows one run and passes its records to the observers.
type monitor struct {
	out       io.Writer // the table
	tty       io.Writer // the live line; nil: no terminal
	color     bool      // of the live line
	observers []observer
	questions int // held-out questions that runlog.End.ExactMatch counts

	started time.Time
	began   float64                    // seconds from the start of the run to that of the current phase
	shown   time.Time                  // of the last live line
	history map[string][]*runlog.Epoch // by phase
	phases  []string                   // in the order of training
}

// newMonitor returns a monitor that prints to out and, where they are not nil, to tty and log.
func newMonitor(out, tty, log io.Writer, color bool) *monitor {
	m := &monitor{out: out, tty: tty, color: color, started: time.Now(), history: map[string][]*runlog.Epoch{}}
	if log != nil {
		m.observers = append(m.observers, jsonLog{log})
	}
	return m
}

// jsonLog is the observer that writes each record as a line of JSON, unbuffered.
type jsonLog struct{ out io.Writer }

func (l jsonLog) Observe(record any) error {
	line, err := json.Marshal(record)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return nil
}

// write passes a record to every observer. To a runlog.Run it adds the digest of the program.
func (m *monitor) write(record any) error {
	if r, ok := record.(runlog.Run); ok && len(m.observers) > 0 {
		r.Program, _ = programDigest()
		record = r
	}
	for _, o := range m.observers {
		if err := o.Observe(record); err != nil {
			return err
		}
	}
	return nil
}

// phase prints the head of a phase's table. frozen lists what the user froze, now or when the loaded model was trained.
func (m *monitor) phase(p *phase, planned int, frozen []string) {
	m.phases = append(m.phases, p.name)
	m.began = m.elapsed()
	held := ""
	if len(p.held) > 0 {
		held = fmt.Sprintf(", %d held out for validation", len(p.held))
	}
	fmt.Fprintf(m.out, "\n%s: %d samples%s, %d epochs, %d steps planned\n",
		p.name, p.train.count(0), held, p.config.Epochs, planned)
	if len(frozen) > 0 {
		fmt.Fprintf(m.out, "frozen by the user: %s (--freeze-attn=false releases attention)\n", summarizeNames(frozen))
	}
	fmt.Fprintf(m.out, "%9s %5s %8s %9s %8s %9s %8s %10s %8s  %s\n",
		"epoch", "%", "loss", "ppl", "val", "lr", "|grad|", "samples/s", "eta", "frozen")
}

// elapsed returns the seconds since the run began.
func (m *monitor) elapsed() float64 { return time.Since(m.started).Seconds() }

// epoch prints one epoch and passes it to the observers. remaining is the number of planned epochs after it.
func (m *monitor) epoch(r *runlog.Epoch, remaining int) error {
	m.clearLive()
	m.history[r.Phase] = append(m.history[r.Phase], r)
	val := "-"
	if r.ValLoss != nil {
		val = fmt.Sprintf("%.4f", float64(*r.ValLoss))
	}
	note := summarizeNames(r.Frozen)
	if r.Cooldown {
		note += "  cooldown"
	}
	fmt.Fprintf(m.out, "%4d/%-4d %4.0f%% %8.4f %9.2f %8s %9.2e %8.3f %10.0f %8s  %s\n",
		r.Epoch, r.Epochs, 100*float64(r.Epoch)/float64(r.Epoch+remaining), float64(r.AvgLoss), float64(r.PPL), val,
		float64(r.LR), float64(r.AvgGradNorm), float64(r.SamplesPerSec), m.eta(r, remaining), note)
	return m.write(r)
}

// etaEpochs is the largest number of latest epochs whose mean duration eta uses.
const etaEpochs = 5

// eta returns the time that the remaining epochs will take when each takes as long as the latest ones of the phase.
func (m *monitor) eta(r *runlog.Epoch, remaining int) string {
	records := m.history[r.Phase]
	n, before := len(records), m.began
	if n > etaEpochs {
		before = float64(records[n-1-etaEpochs].ElapsedSec)
	}
	pace := (float64(r.ElapsedSec) - before) / float64(min(n, etaEpochs))
	return (time.Duration(pace*float64(remaining)) * time.Second).String()
}

// summarizeNames returns the groups of tensor names on one line, and "-" without a name.
func summarizeNames(names []string) string {
	short := runlog.Groups(names)
	if len(short) == 0 {
		return "-"
	}
	if len(short) > 3 {
		return fmt.Sprintf("%s … %s (%d)", short[0], short[len(short)-1], len(short))
	}
	return strings.Join(short, ", ")
}

// liveInterval is the shortest time between two live lines.
const liveInterval = 100 * time.Millisecond

// live shows the progress of an epoch in the live line.
func (m *monitor) live(epoch, epochs int, s *epochSum) {
	if m.tty == nil || time.Since(m.shown) < liveInterval {
		return
	}
	m.shown = time.Now()
	line := fmt.Sprintf("epoch %d/%d  step %d/%d  loss %.4f  %.0f samples/s",
		epoch, epochs, s.done, s.steps, s.loss.mean(), float64(s.samples)/time.Since(s.started).Seconds())
	if m.color {
		line = "\x1b[2m" + line + "\x1b[0m"
	}
	fmt.Fprintf(m.tty, "\r\x1b[K%s", line)
}

// clearLive erases the live line.
func (m *monitor) clearLive() {
	if m.tty != nil && !m.shown.IsZero() {
		fmt.Fprint(m.tty, "\r\x1b[K")
	}
}

// end prints the health of every phase and writes the last record.
func (m *monitor) end(r runlog.End) error {
	m.clearLive()
	r.Event, r.Health, r.ElapsedSec = "end", map[string]runlog.Health{}, strictjson.Float(m.elapsed())
	fmt.Fprintln(m.out)
	for _, name := range m.phases {
		if records := m.history[name]; len(records) > 0 {
			h := runlog.Judge(records)
			r.Health[name] = h
			fmt.Fprintf(m.out, "health of %s: %s\n", name, h)
		}
	}
	if r.Heldout != nil {
		fmt.Fprintf(m.out, "held-out questions: loss %.4f, ppl %.2f", float64(*r.Heldout), math.Exp(float64(*r.Heldout)))
		if r.ExactMatch != nil {
			right := math.Round(float64(*r.ExactMatch) * float64(m.questions))
			fmt.Fprintf(m.out, "; %.0f of %d answered word for word", right, m.questions)
		}
		fmt.Fprintln(m.out)
	}
	fmt.Fprintf(m.out, "ended: %s after %s\n", r.Reason, time.Since(m.started).Round(100*time.Millisecond))
	return m.write(r)
}

// reportLog is the observer that writes the report when the run ends.
type reportLog struct {
	runlog.Log
	path string
}

// newReportLog returns an observer that writes the report to path. The run has the name of that file.
func newReportLog(path string) *reportLog {
	return &reportLog{Log: runlog.Log{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))}, path: path}
}

func (r *reportLog) Observe(record any) error {
	err := r.Log.Observe(record)
	if err == nil && r.End != nil {
		err = report.WriteRuns(r.path, []*runlog.Log{&r.Log})
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// scalarWriter appends figures of a step, at a time in seconds since 1970, to an event file.
type scalarWriter interface {
	Write(wallTime float64, step int64, scalars []tfevents.Scalar) error
}

// eventLog is the observer that writes the figures of each epoch to an event file. A phase continues the step numbers
// of the phase before it.
type eventLog struct {
	events  scalarWriter
	started float64 // seconds since 1970, when the run began

	phase string
	base  int // steps of the earlier phases
	step  int // of the current phase
}

func (l *eventLog) Observe(record any) error {
	r, ok := record.(*runlog.Epoch)
	if !ok {
		return nil
	}
	if r.Phase != l.phase {
		l.phase, l.base = r.Phase, l.base+l.step
	}
	l.step = r.Step
	scalars := []tfevents.Scalar{
		{Tag: "train/loss", Value: float64(r.AvgLoss)},
		{Tag: "train/ppl", Value: float64(r.PPL)},
		{Tag: "train/grad_norm", Value: float64(r.AvgGradNorm)},
		{Tag: "train/learning_rate", Value: float64(r.LR)},
		{Tag: "train/samples_per_second", Value: float64(r.SamplesPerSec)},
	}
	if r.ValLoss != nil {
		scalars = append(scalars, tfevents.Scalar{Tag: "eval/loss", Value: float64(*r.ValLoss)})
	}
	if err := l.events.Write(l.started+float64(r.ElapsedSec), int64(l.base+l.step), scalars); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// endOf returns the last record of a run that failed.
func endOf(failed error) runlog.End {
	var diverged *divergence
	var interrupted *terminal.Interrupted
	switch {
	case errors.As(failed, &interrupted):
		return runlog.End{Reason: runlog.Interrupted}
	case errors.As(failed, &diverged):
		return runlog.End{Reason: runlog.Diverged, Error: failed.Error()}
	}
	return runlog.End{Reason: runlog.Failed, Error: failed.Error()}
}

// programDigest returns the SHA-256 of the running executable, which differs between builds of the same version.
var programDigest = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return fileDigest(path)
})

// fileDigest returns the SHA-256 of a file, in hexadecimal.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
