// Package survey describes the samples of a training run: how many there are, how long they are, which are cut, which
// occur twice, and which of the held-out samples are trained on. It knows samples by their texts and lengths and
// nothing of the model.
package survey

import (
	"fmt"
	"slices"
	"strings"
)

// The kinds of samples.
const (
	Text         = "text"         // a row
	Conversation = "conversation" // a row: questions and answers
	RunningText  = "running text" // a file; it is always cut
)

// Place is where a sample is: a row of a file, counted from 1, or the whole file (0).
type Place struct {
	File string `json:"file"`
	Row  int    `json:"row,omitempty"`
}

func (p Place) String() string {
	if p.Row == 0 {
		return p.File
	}
	return fmt.Sprintf("%s, row %d", p.File, p.Row)
}

// Sample is one text or conversation.
type Sample struct {
	Place
	Kind    string
	Texts   []string // one, or those of a conversation in their order
	Length  int      // tokens that the model reads: all but the last one, which is only predicted
	Windows int      // samples that an epoch makes of it, each of which fits into the context
}

// key is equal for equal samples alone.
func (s Sample) key() string { return fmt.Sprintf("%s%q", s.Kind, s.Texts) }

// Survey is the description of the samples of a run.
type Survey struct {
	Train      []Part  `json:"train"` // by file and kind
	Total      Part    `json:"total"` // of Train
	HeldOut    []Part  `json:"held_out"`
	Cut        Finding `json:"cut"`        // longer than the context, but for running texts
	Duplicates Finding `json:"duplicates"` // equal to an earlier sample of the training part
	Overlap    Finding `json:"overlap"`    // held out, but also in the training part
}

// Part is the figures of some samples.
type Part struct {
	File    string   `json:"file,omitempty"`
	Kind    string   `json:"kind,omitempty"`
	Samples int      `json:"samples"`
	Windows int      `json:"windows"`
	Tokens  int      `json:"tokens"`            // the sum of the lengths
	Lengths *Lengths `json:"lengths,omitempty"` // nil: running texts only
	Cut     int      `json:"cut"`               // samples longer than the context, but for running texts

	lengths []int
}

// Lengths describes the distribution of the lengths of samples.
type Lengths struct {
	Min    int `json:"min"`
	Median int `json:"median"`
	P95    int `json:"p95"` // 95 % of the samples are at most as long
	Max    int `json:"max"`
}

// Finding is the samples with a property. It is never nil, so that JSON has [] and not null.
type Finding []Found

// Found is one sample of a finding.
type Found struct {
	Place
	Length int    `json:"length"`
	Equals *Place `json:"equals,omitempty"` // the sample that it equals, or the running text that it is a part of
	Text   string `json:"text"`             // the beginning of the first of its texts
}

// textColumns is the length of a text in a finding, in columns of a terminal.
const textColumns = 40

// New describes the samples to train on and those that are held out.
func New(context int, train, heldOut []Sample) *Survey {
	s := &Survey{Train: parts(context, train), HeldOut: parts(context, heldOut), Cut: Finding{},
		Duplicates: Finding{}, Overlap: Overlap(train, heldOut)}
	for _, p := range s.Train {
		s.Total.add(p)
	}
	s.Total.measure()
	for _, sample := range slices.Concat(train, heldOut) {
		if cut(context, sample) > 0 {
			s.Cut.add(sample, nil)
		}
	}
	seen := map[string]Place{}
	for _, sample := range train {
		if first, ok := seen[sample.key()]; ok {
			s.Duplicates.add(sample, &first)
		} else {
			seen[sample.key()] = sample.Place
		}
	}
	return s
}

// Overlap finds the held-out samples that are in the training part too: those that equal one of its samples, and
// running texts that one of its running texts contains.
func Overlap(train, heldOut []Sample) Finding {
	f, trained := Finding{}, map[string]Place{}
	var running []Sample
	for _, s := range train {
		if _, seen := trained[s.key()]; !seen {
			trained[s.key()] = s.Place
		}
		if s.Kind == RunningText {
			running = append(running, s)
		}
	}
	for _, s := range heldOut {
		where, ok := trained[s.key()]
		if !ok && s.Kind == RunningText {
			at := slices.IndexFunc(running, func(r Sample) bool { return strings.Contains(r.Texts[0], s.Texts[0]) })
			if ok = at >= 0; ok {
				where = running[at].Place
			}
		}
		if ok {
			f.add(s, &where)
		}
	}
	return f
}

// add adds a sample to the finding.
func (f *Finding) add(s Sample, equals *Place) {
	text := beginning(s.Texts[0], textColumns)
	*f = append(*f, Found{Place: s.Place, Length: s.Length, Equals: equals, Text: text})
}

// cut returns 1 for a sample that is longer than the context, else 0. A running text does not count: it is always cut.
func cut(context int, s Sample) int {
	if s.Kind != RunningText && s.Length > context {
		return 1
	}
	return 0
}

// parts returns the figures of the samples by file and kind, in the order of the first sample of each.
func parts(context int, samples []Sample) []Part {
	all := []Part{}
	for _, s := range samples {
		one := Part{File: s.File, Kind: s.Kind, Samples: 1, Windows: s.Windows, Tokens: s.Length, Cut: cut(context, s)}
		if s.Kind != RunningText {
			one.lengths = []int{s.Length}
		}
		at := slices.IndexFunc(all, func(p Part) bool { return p.File == s.File && p.Kind == s.Kind })
		if at < 0 {
			all = append(all, one)
		} else {
			all[at].add(one)
		}
	}
	for i := range all {
		all[i].measure()
	}
	return all
}

// add adds the figures of another part, but for its distribution of lengths.
func (p *Part) add(other Part) {
	p.Samples += other.Samples
	p.Windows += other.Windows
	p.Tokens += other.Tokens
	p.Cut += other.Cut
	p.lengths = append(p.lengths, other.lengths...)
}

// measure sets the distribution of the lengths.
func (p *Part) measure() {
	if n := len(p.lengths); n > 0 {
		slices.Sort(p.lengths)
		p.Lengths = &Lengths{Min: p.lengths[0], Median: p.lengths[n/2], P95: p.lengths[(95*n+99)/100-1], Max: p.lengths[n-1]}
	}
}
