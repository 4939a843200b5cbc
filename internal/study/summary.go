package study

import (
	"math"
	"slices"

	"gogpt/internal/stats"
	"gogpt/internal/strictjson"
)

// The summary of a study: the verdict on each comparison, and the means of each cell.

// Summary is the content of the study's JSON file. It is of the runs that have finished.
type Summary struct {
	Name        string         `json:"study"`
	Title       string         `json:"title"`
	Outcome     Outcome        `json:"outcome"`
	Others      []Outcome      `json:"others"`  // outcomes that runs measured beside it
	Base        []string       `json:"base"`    // flags of every run
	Window      int            `json:"window"`  // steps
	Factors     []string       `json:"factors"` // in the order of a cell
	Seeds       []uint64       `json:"seeds"`
	Runs        int            `json:"runs"` // declared
	Finished    int            `json:"finished"`
	Kernels     map[string]int `json:"kernels"` // finished runs by kernel
	Vocab       int            `json:"vocab"`   // of the last of them; 0 before the first
	Comparisons []Judgement    `json:"comparisons"`
	Cells       []CellSummary  `json:"cells"`

	Study   *Study             `json:"-"`
	results map[string]*Result // by the name of the run
}

// CellSummary is a cell: means over its finished runs, of each figure without the runs where it is not finite.
type CellSummary struct {
	Cell     Cell `json:"cell"`
	Finished int  `json:"finished"`
	Diverged int  `json:"diverged"`

	Outcomes     map[Outcome]stats.MeanSpread `json:"outcomes"` // the primary one and others
	LargestRise  stats.MeanSpread             `json:"largest_rise"`
	NormFirst    stats.MeanSpread             `json:"norm_first"`
	NormRise     stats.MeanSpread             `json:"norm_rise"` // last tenth of the steps / first tenth
	NormPeak     stats.MeanSpread             `json:"norm_peak"`
	ClippedShare stats.MeanSpread             `json:"clipped_share"`

	// of the primary outcome, seed by seed
	Difference stats.MeanSpread `json:"difference"` // from the reference
	Effect     Effect           `json:"effect"`     // "": the reference itself, or less than two seeds to compare
	Rise       stats.MeanSpread `json:"rise"`       // from the next lower rate
	Breaks     bool             `json:"breaks"`     // a run diverged, or the rise is larger than its spread

	Releases []ReleaseSummary `json:"releases"`
}

// ReleaseSummary is one release of a cell: means over its runs.
type ReleaseSummary struct {
	Step       stats.MeanSpread `json:"step"`
	LossBefore stats.MeanSpread `json:"loss_before"`
	LossAfter  stats.MeanSpread `json:"loss_after"`
	NormBefore stats.MeanSpread `json:"norm_before"`
	NormAfter  stats.MeanSpread `json:"norm_after"`
	NormRatio  stats.MeanSpread `json:"norm_ratio"` // after / before, of each run
	NormPeak   stats.MeanSpread `json:"norm_peak"`
}

// Effect says whether a level of the last factor makes the outcome better than the reference.
type Effect string

// The effects. A difference counts when its mean is larger than its spread and not below a least difference.
const (
	Helps Effect = "helps"
	Costs Effect = "costs"
	Same  Effect = "no difference"
)

// Summarize returns the summary of the finished runs. A difference between cells counts from least on, in nats.
func (s *Study) Summarize(runs []*Run, least float64) *Summary {
	m := &Summary{Name: s.Name, Title: s.Title, Outcome: s.Outcome, Others: []Outcome{}, Base: s.Base, Window: s.Window,
		Seeds: s.Seeds, Runs: len(runs), Kernels: map[string]int{}, Comparisons: []Judgement{}, Study: s,
		results: map[string]*Result{}}
	for _, f := range s.Factors {
		m.Factors = append(m.Factors, f.Name)
	}
	for _, r := range runs {
		if r.Result != nil {
			m.Finished++
			m.Kernels[r.Result.Kernel]++
			m.Vocab = r.Result.Vocab
			m.results[r.Name()] = r.Result
			m.measure(r.Result)
		}
	}
	for _, c := range s.Comparisons {
		m.Comparisons = append(m.Comparisons, m.judge(&c))
	}
	for _, c := range s.Cells() {
		m.Cells = append(m.Cells, m.summarizeCell(c, least))
	}
	return m
}

// measure adds the outcomes of a run to those that are shown beside the primary one. A run that diverged may have
// measured none.
func (m *Summary) measure(r *Result) {
	for _, o := range outcomes {
		if o != m.Outcome && !r.Diverged && stats.Finite(r.Value(o)) && !slices.Contains(m.Others, o) {
			m.Others = append(m.Others, o)
		}
	}
}

// result returns the result of a cell with a seed, or nil.
func (m *Summary) result(c Cell, seed uint64) *Result {
	return m.results[(&Run{Cell: c, Seed: seed}).Name()]
}

// summarizeCell returns the means of a cell, and its differences from others.
func (m *Summary) summarizeCell(c Cell, least float64) CellSummary {
	s := CellSummary{Cell: c, Outcomes: map[Outcome]stats.MeanSpread{}}
	var found []*Result
	for _, seed := range m.Seeds {
		if r := m.result(c, seed); r != nil {
			found = append(found, r)
			if r.Diverged {
				s.Diverged++
			}
		}
	}
	s.Finished = len(found)
	for _, o := range append([]Outcome{m.Outcome}, m.Others...) {
		s.Outcomes[o] = meanOf(found, func(r *Result) float64 { return r.Value(o) })
	}
	s.LargestRise = meanOf(found, func(r *Result) float64 { return float64(r.LargestRise) })
	s.NormFirst = meanOf(found, func(r *Result) float64 { return float64(r.NormFirst) })
	s.NormRise = meanOf(found, func(r *Result) float64 { return float64(r.NormLast / r.NormFirst) })
	s.NormPeak = meanOf(found, func(r *Result) float64 { return float64(r.NormPeak) })
	s.ClippedShare = meanOf(found, func(r *Result) float64 { return float64(r.ClippedShare) })
	s.Difference = m.difference(c, m.Study.reference(c))
	s.Effect = effectOf(s.Difference, least)
	s.Rise = m.difference(c, m.Study.lowerRate(c))
	s.Breaks = s.Diverged > 0 || s.Rise.Mean > s.Rise.Spread
	s.Releases = summarizeReleases(found)
	return s
}

// difference returns the primary outcome of a cell minus that of another, seed by seed. It has no value if both are the
// same cell.
func (m *Summary) difference(c, other Cell) stats.MeanSpread {
	var differences []float64
	for _, seed := range m.Seeds {
		r, base := m.result(c, seed), m.result(other, seed)
		if r != nil && base != nil && !slices.Equal(c, other) {
			differences = append(differences, r.Value(m.Outcome)-base.Value(m.Outcome))
		}
	}
	return stats.NewMeanSpread(differences)
}

// reference returns the cell with the first level of the last factor.
func (s *Study) reference(c Cell) Cell {
	last := len(c) - 1
	return append(slices.Clone(c[:last]), s.Factors[last].Levels[0].Name)
}

// lowerRate returns the cell with the level of the rate before that of c. Without one, it returns c.
func (s *Study) lowerRate(c Cell) Cell {
	lower := slices.Clone(c)
	if f := s.RateFactor(); f >= 0 {
		at := slices.IndexFunc(s.Factors[f].Levels, func(l Level) bool { return l.Name == c[f] })
		lower[f] = s.Factors[f].Levels[max(0, at-1)].Name
	}
	return lower
}

// effectOf returns the effect of a difference, or "" without a spread.
func effectOf(d stats.MeanSpread, least float64) Effect {
	mean, spread := float64(d.Mean), float64(d.Spread)
	switch {
	case !stats.Finite(spread):
		return ""
	case math.Abs(mean) <= spread || math.Abs(mean) < least:
		return Same
	case mean < 0:
		return Helps
	}
	return Costs
}

// summarizeReleases returns the first, second, … release of runs of a cell, each over the runs that reached it.
func summarizeReleases(runs []*Result) []ReleaseSummary {
	releases := []ReleaseSummary{}
	for i := 0; ; i++ {
		runs = slices.DeleteFunc(slices.Clone(runs), func(r *Result) bool { return i >= len(r.Releases) })
		if len(runs) == 0 {
			return releases
		}
		of := func(value func(r Release) strictjson.Float) stats.MeanSpread {
			return meanOf(runs, func(r *Result) float64 { return float64(value(r.Releases[i])) })
		}
		releases = append(releases, ReleaseSummary{
			Step:       of(func(r Release) strictjson.Float { return strictjson.Float(r.Step) }),
			LossBefore: of(func(r Release) strictjson.Float { return r.LossBefore }),
			LossAfter:  of(func(r Release) strictjson.Float { return r.LossAfter }),
			NormBefore: of(func(r Release) strictjson.Float { return r.NormBefore }),
			NormAfter:  of(func(r Release) strictjson.Float { return r.NormAfter }),
			NormRatio:  of(func(r Release) strictjson.Float { return r.NormAfter / r.NormBefore }),
			NormPeak:   of(func(r Release) strictjson.Float { return r.NormPeak }),
		})
	}
}

// meanOf returns the mean and the spread of the finite values of runs.
func meanOf(runs []*Result, value func(*Result) float64) stats.MeanSpread {
	var values []float64
	for _, r := range runs {
		if v := value(r); stats.Finite(v) {
			values = append(values, v)
		}
	}
	return stats.NewMeanSpread(values)
}
