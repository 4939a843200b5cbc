package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// The monitor shows a run as it goes: a table line an epoch on stdout, a live line within the epoch on a terminal. It
// hands every record to its observers: the JSON lines of a log file, TensorBoard's events, the HTML report. It only
// looks: nothing here changes what is trained.

// observer takes the records of a run one by one: a runRecord, then *epochRecord with sampleRecord and
// attnGradientRecord between them, then an endRecord.
type observer interface{ observe(record any) error }

// monitor shows and logs one run.
type monitor struct {
	out       io.Writer // table
	tty       io.Writer // live line; nil: no terminal
	color     bool      // of the live line
	observers []observer

	started time.Time
	began   float64   // seconds from the start to the phase at work
	shown   time.Time // of the last live line
	history map[string][]*epochRecord
	phases  []string
}

// newMonitor is a monitor that prints to out and, where they are not nil, to tty and log.
func newMonitor(out, tty, log io.Writer, color bool) *monitor {
	m := &monitor{out: out, tty: tty, color: color, started: time.Now(), history: map[string][]*epochRecord{}}
	if log != nil {
		m.observers = append(m.observers, jsonLog{log})
	}
	return m
}

// jsonLog is the observer that writes a record a line, at once.
type jsonLog struct{ out io.Writer }

func (l jsonLog) observe(record any) error {
	line, err := json.Marshal(record)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return nil
}

// write hands a record to every observer. A run is told with the program that runs it.
func (m *monitor) write(record any) error {
	if r, ok := record.(runRecord); ok && len(m.observers) > 0 {
		r.Program, _ = programDigest()
		record = r
	}
	for _, o := range m.observers {
		if err := o.observe(record); err != nil {
			return err
		}
	}
	return nil
}

// phase announces a phase, names what was frozen in a loaded model and learns from its start on, and prints the head of
// its table.
func (m *monitor) phase(p *phase, planned int, released []string) {
	m.phases = append(m.phases, p.name)
	m.began = time.Since(m.started).Seconds()
	held := ""
	if len(p.held) > 0 {
		held = fmt.Sprintf(", %d held out for validation", len(p.held))
	}
	fmt.Fprintf(m.out, "\n%s: %d samples%s, %d epochs, %d steps planned\n", p.name, p.train.count(0), held, p.config.Epochs, planned)
	if len(released) > 0 {
		fmt.Fprintf(m.out, "released: %s (frozen in the loaded model)\n", summarizeNames(released))
	}
	fmt.Fprintf(m.out, "%9s %5s %8s %9s %8s %9s %8s %10s %8s  %s\n",
		"epoch", "%", "loss", "ppl", "val", "lr", "|grad|", "samples/s", "eta", "frozen")
}

// epoch prints and logs one epoch.
func (m *monitor) epoch(r *epochRecord) error {
	m.clearLive()
	r.ElapsedSec = jsonFloat(time.Since(m.started).Seconds())
	m.history[r.Phase] = append(m.history[r.Phase], r)
	val := "-"
	if r.ValLoss != nil {
		val = fmt.Sprintf("%.4f", float64(*r.ValLoss))
	}
	fmt.Fprintf(m.out, "%4d/%-4d %4.0f%% %8.4f %9.2f %8s %9.2e %8.3f %10.0f %8s  %s\n",
		r.Epoch, r.Epochs, 100*float64(r.Epoch)/float64(r.Epoch+r.left), float64(r.AvgLoss), float64(r.PPL), val,
		float64(r.LR), float64(r.AvgGradNorm), float64(r.SamplesPerSec), m.eta(r), summarizeNames(r.Frozen))
	return m.write(r)
}

// etaEpochs is how many of the latest epochs an estimate rests on.
const etaEpochs = 5

// eta is the time that the planned epochs still take at the pace of the phase's latest ones.
func (m *monitor) eta(r *epochRecord) string {
	records := m.history[r.Phase]
	n, before := len(records), m.began
	if n > etaEpochs {
		before = float64(records[n-1-etaEpochs].ElapsedSec)
	}
	pace := (float64(r.ElapsedSec) - before) / float64(min(n, etaEpochs))
	return (time.Duration(pace*float64(r.left)) * time.Second).String()
}

// nameGroups shortens a list of tensor names to their layers, "h.0.attn.c_attn", and the two layers of one attention,
// where both are listed, to "h.0.attn".
func nameGroups(names []string) []string {
	listed := map[string]bool{}
	for _, name := range names {
		listed[withoutLast(name)] = true
	}
	var short []string
	for _, name := range names {
		group := withoutLast(name)
		if attn := withoutLast(group); listed[attn+".c_attn"] && listed[attn+".c_proj"] {
			group = attn
		}
		if !slices.Contains(short, group) {
			short = append(short, group)
		}
	}
	return short
}

// withoutLast is a dotted name without its last part.
func withoutLast(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

// summarizeNames is the groups of the names on one line.
func summarizeNames(names []string) string {
	short := nameGroups(names)
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

// live shows where the epoch is, on a terminal.
func (m *monitor) live(epoch, epochs int, s *epochSum) {
	if m.tty == nil || time.Since(m.shown) < liveInterval {
		return
	}
	m.shown = time.Now()
	line := fmt.Sprintf("epoch %d/%d  step %d/%d  loss %.4f  %.0f samples/s", epoch, epochs, s.done, s.steps, s.loss.mean(),
		float64(s.samples)/time.Since(s.started).Seconds())
	if m.color {
		line = "\x1b[2m" + line + "\x1b[0m"
	}
	fmt.Fprintf(m.tty, "\r\x1b[K%s", line)
}

// clearLive takes the live line away.
func (m *monitor) clearLive() {
	if m.tty != nil && !m.shown.IsZero() {
		fmt.Fprint(m.tty, "\r\x1b[K")
	}
}

// end prints the verdict of every phase and closes the log.
func (m *monitor) end(r endRecord) error {
	m.clearLive()
	r.Event, r.Health, r.ElapsedSec = "end", map[string]health{}, jsonFloat(time.Since(m.started).Seconds())
	fmt.Fprintln(m.out)
	for _, name := range m.phases {
		if records := m.history[name]; len(records) > 0 {
			h := judge(records)
			r.Health[name] = h
			fmt.Fprintf(m.out, "health of %s: %s\n", name, h)
		}
	}
	if r.Heldout != nil {
		fmt.Fprintf(m.out, "held-out questions: loss %.4f, ppl %.2f\n", float64(*r.Heldout), math.Exp(float64(*r.Heldout)))
	}
	fmt.Fprintf(m.out, "ended: %s after %s\n", r.Reason, time.Since(m.started).Round(100*time.Millisecond))
	return m.write(r)
}
