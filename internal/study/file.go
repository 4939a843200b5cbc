package study

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"gogpt/internal/strictjson"
)

// The file of a study: JSON Lines, a Result each, in the order in which the runs finished.

// File is the file of a study, and what its lines must have.
type File struct {
	Path  string
	Study *Study

	Data     map[string]string // as in Result; nil: data and numerics of the first line
	Numerics int
}

// Append appends a result in one write and flushes it to the disk. So a file has whole lines even if several processes
// append to it, except after a full disk or a loss of power.
func (f *File) Append(r *Result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(f.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return errors.Join(err, out.Sync(), out.Close())
}

// Load returns the results by the names of their runs. A file that does not exist has none. Every line must be the
// result of a run of the study, with the same flags, data and numerics; version and kernel may differ. An error names
// the file, the line and what differs.
func (f *File) Load() (map[string]*Result, error) {
	data, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	results, err := f.parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return results, nil
}

// parse reads the content of the file as Load does. An error names the line.
func (f *File) parse(data []byte) (map[string]*Result, error) {
	runs := map[string]*Run{}
	for _, r := range f.Study.Runs() {
		runs[r.Name()] = r
	}
	results, want := map[string]*Result{}, *f
	err := strictjson.Lines(data, func(line []byte) error {
		r, err := parseResult(line)
		if err != nil {
			return err
		}
		if want.Data == nil {
			want.Data, want.Numerics = r.Data, r.Numerics
		}
		name, err := want.match(&r, runs)
		if err == nil && results[name] != nil {
			err = fmt.Errorf("%s has an earlier line: remove one of the two", name)
		}
		results[name] = &r
		return err
	})
	return results, err
}

// parseResult reads a line strictly: no unknown, missing or duplicate field.
func parseResult(line []byte) (r Result, err error) {
	if !json.Valid(line) {
		return r, errors.New("not valid JSON")
	}
	members, err := strictjson.Object(line)
	if err != nil {
		return r, err
	}
	return strictjson.Decode[Result](line, members)
}

// match returns the name of the run that a result belongs to, or what differs.
func (f *File) match(r *Result, runs map[string]*Run) (string, error) {
	if r.Study != f.Study.Name {
		return "", fmt.Errorf("is of the study %q, not of %q", r.Study, f.Study.Name)
	}
	var cell Cell
	for _, factor := range f.Study.Factors {
		cell = append(cell, r.Cell[factor.Name])
	}
	run := runs[(&Run{Cell: cell, Seed: r.Seed}).Name()]
	if run == nil || !maps.Equal(f.Study.levels(cell), r.Cell) {
		return "", fmt.Errorf("the study has no run with cell %v and seed %d", r.Cell, r.Seed)
	}
	if flags := f.Study.Flags(cell); !slices.Equal(flags, r.Flags) {
		return "", fmt.Errorf("%s: other flags: only the line has %s, only the study %s",
			run.Name(), without(r.Flags, flags), without(flags, r.Flags))
	}
	if !maps.Equal(f.Data, r.Data) {
		return "", fmt.Errorf("%s: other data: the line has %v, expected %v", run.Name(), r.Data, f.Data)
	}
	if r.Numerics != f.Numerics {
		return "", fmt.Errorf("%s: numerics %d, expected %d: programs of both compute other bits",
			run.Name(), r.Numerics, f.Numerics)
	}
	return run.Name(), nil
}

// without returns the flags that others lacks.
func without(flags, others []string) string {
	left := slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return slices.Contains(others, f) })
	return cmp.Or(strings.Join(left, " "), "none")
}
