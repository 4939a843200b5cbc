// Package runlog holds the records of a training run, the reader of its log, and the judgement of its health. Training
// writes the records, reports read them. It knows tensors, phases and modes by their names and nothing of the model.
//
// A log is JSON Lines (https://jsonlines.org): one Run first, then an Epoch each epoch with Steps, Sample and
// AttnGradient lines between them, one End last. A log without an End belongs to a run that is not finished or was
// killed.
package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gogpt/internal/strictjson"
)

// Log is the records of one run, collected while it runs or read from its log.
type Log struct {
	Name    string // for legends; ReadFile sets it to the name of the file
	Run     Run
	Phases  []*Phase // in the order of their first record
	End     *End     // nil: the log has no end
	records int      // observed
}

// Phase is the records of one phase of a run.
type Phase struct {
	Name      string
	Epochs    []*Epoch
	Steps     []Steps
	Samples   []Sample
	Gradients []AttnGradient
}

// ReadFile reads the log of a run. Reading is strict: an unknown event or field, a missing field or an epoch out of
// order is an error, which names the file and the line.
func ReadFile(path string) (*Log, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	return l, nil
}

// Parse reads the content of a log as ReadFile does. An error names the line.
func Parse(data []byte) (*Log, error) {
	l := &Log{}
	err := strictjson.Lines(data, func(line []byte) error {
		record, err := parseRecord(line)
		if err != nil {
			return err
		}
		return l.Observe(record)
	})
	if err != nil {
		return nil, err
	}
	if l.records == 0 {
		return nil, errors.New("the log is empty")
	}
	return l, nil
}

// parseRecord returns the record of one line: a Run, *Epoch, Steps, Sample, AttnGradient or End.
func parseRecord(line []byte) (any, error) {
	if !json.Valid(line) {
		return nil, errors.New("not valid JSON")
	}
	members, err := strictjson.Object(line)
	if err != nil {
		return nil, err
	}
	event, err := strictjson.String(members["event"])
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	switch event {
	case "run":
		return strictjson.Decode[Run](line, members)
	case "epoch":
		r, err := strictjson.Decode[Epoch](line, members)
		return &r, err
	case "steps":
		return strictjson.Decode[Steps](line, members)
	case "sample":
		return strictjson.Decode[Sample](line, members)
	case "attn_gradient":
		return strictjson.Decode[AttnGradient](line, members)
	case "end":
		return strictjson.Decode[End](line, members)
	}
	return nil, fmt.Errorf("unknown event %q", event)
}

// Observe adds the next record of the run: a Run, *Epoch, Steps, Sample, AttnGradient or End.
func (l *Log) Observe(record any) error {
	l.records++
	if first, ok := record.(Run); ok != (l.records == 1) {
		return errors.New(`a log has one "run" line, its first`)
	} else if ok {
		l.Run = first
		return nil
	}
	if l.End != nil {
		return errors.New(`a line after the "end" line`)
	}
	switch r := record.(type) {
	case *Epoch:
		p := l.phase(r.Phase)
		if n := len(p.Epochs); r.Epoch != n+1 {
			return fmt.Errorf("epoch %d of %s, expected epoch %d", r.Epoch, r.Phase, n+1)
		}
		p.Epochs = append(p.Epochs, r)
	case Steps:
		p := l.phase(r.Phase)
		p.Steps = append(p.Steps, r)
	case Sample:
		p := l.phase(r.Phase)
		p.Samples = append(p.Samples, r)
	case AttnGradient:
		p := l.phase(r.Phase)
		p.Gradients = append(p.Gradients, r)
	case End:
		l.End = &r
	}
	return nil
}

// phase returns the phase of that name and adds it if there is none.
func (l *Log) phase(name string) *Phase {
	if p := l.Find(name); p != nil {
		return p
	}
	p := &Phase{Name: name}
	l.Phases = append(l.Phases, p)
	return p
}

// Find returns the phase of that name, or nil.
func (l *Log) Find(name string) *Phase {
	for _, p := range l.Phases {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Best returns the epoch with the lowest monitored loss, the first one of equals, or nil without an epoch.
func (p *Phase) Best() *Epoch {
	var best *Epoch
	for _, r := range p.Epochs {
		if best == nil || r.Monitored() < best.Monitored() {
			best = r
		}
	}
	return best
}

// Last returns the last epoch, or nil without an epoch.
func (p *Phase) Last() *Epoch {
	if len(p.Epochs) == 0 {
		return nil
	}
	return p.Epochs[len(p.Epochs)-1]
}
