package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A run as its records tell it, gathered while it goes or read back from its log. Reading is strict: an unknown event or
// field, a missing field, an epoch out of order is an error that names the file and the line.

// runLog is one run.
type runLog struct {
	name    string // for legends
	run     runRecord
	phases  []*phaseLog
	end     *endRecord // nil: the run has not ended
	records int
}

// phaseLog is one phase of a run.
type phaseLog struct {
	name      string
	epochs    []*epochRecord
	samples   []sampleRecord
	gradients []attnGradientRecord
}

// readRunLog reads the JSON lines of one run.
func readRunLog(path string) (*runLog, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l, err := parseRunLog(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	return l, nil
}

// parseRunLog reads the lines of a log; an error names the line.
func parseRunLog(data []byte) (*runLog, error) {
	l := &runLog{}
	for number := 1; len(data) > 0; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return nil, fmt.Errorf("line %d: cut short, no newline", number)
		}
		record, err := parseRecord(line)
		if err == nil {
			err = l.observe(record)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		data = rest
	}
	if l.records == 0 {
		return nil, errors.New("empty, not a log of a run")
	}
	return l, nil
}

// parseRecord reads one line of a log.
func parseRecord(line []byte) (any, error) {
	if !json.Valid(line) {
		return nil, errors.New("not JSON")
	}
	members, err := jsonObject(line)
	if err != nil {
		return nil, err
	}
	event, err := jsonString(members["event"])
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	switch event {
	case "run":
		return decodeRecord[runRecord](line, members)
	case "epoch":
		r, err := decodeRecord[epochRecord](line, members)
		return &r, err
	case "sample":
		return decodeRecord[sampleRecord](line, members)
	case "attn_gradient":
		return decodeRecord[attnGradientRecord](line, members)
	case "end":
		return decodeRecord[endRecord](line, members)
	}
	return nil, fmt.Errorf("unknown event %q", event)
}

// decodeRecord decodes a line, of which every field must be known and every field that is always written be there.
func decodeRecord[R any](line []byte, members map[string]json.RawMessage) (r R, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	again, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	written, err := jsonObject(again)
	for key := range written {
		if _, ok := members[key]; !ok {
			return r, fmt.Errorf("%s: %w", key, errMissing)
		}
	}
	return r, err
}

// observe adds the next record of the run.
func (l *runLog) observe(record any) error {
	l.records++
	if first, ok := record.(runRecord); ok != (l.records == 1) {
		return errors.New(`a log begins with one "run" line`)
	} else if ok {
		l.run = first
		return nil
	}
	if l.end != nil {
		return errors.New(`a line behind the "end" of the run`)
	}
	switch r := record.(type) {
	case *epochRecord:
		p := l.phase(r.Phase)
		if n := len(p.epochs); r.Epoch != n+1 {
			return fmt.Errorf("epoch %d of %s where epoch %d belongs", r.Epoch, r.Phase, n+1)
		}
		p.epochs = append(p.epochs, r)
	case sampleRecord:
		p := l.phase(r.Phase)
		p.samples = append(p.samples, r)
	case attnGradientRecord:
		p := l.phase(r.Phase)
		p.gradients = append(p.gradients, r)
	case endRecord:
		l.end = &r
	}
	return nil
}

// phase is the phase of that name, begun where it is new.
func (l *runLog) phase(name string) *phaseLog {
	if p := l.find(name); p != nil {
		return p
	}
	p := &phaseLog{name: name}
	l.phases = append(l.phases, p)
	return p
}

// find is the phase of that name, or nil.
func (l *runLog) find(name string) *phaseLog {
	for _, p := range l.phases {
		if p.name == name {
			return p
		}
	}
	return nil
}

// best is the epoch with the lowest monitored loss, the first of equals, or nil without an epoch.
func (p *phaseLog) best() *epochRecord {
	var best *epochRecord
	for _, r := range p.epochs {
		if best == nil || r.monitored() < best.monitored() {
			best = r
		}
	}
	return best
}

// last is the last epoch, or nil without one.
func (p *phaseLog) last() *epochRecord {
	if len(p.epochs) == 0 {
		return nil
	}
	return p.epochs[len(p.epochs)-1]
}
