// Package study describes studies: the combinations of the levels of a few factors, each trained with several seeds. It
// keeps the result of every run as one line of a file. It knows factors, levels, tensors and phases by their names and
// nothing of the model.
package study

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Study declares what is trained, and what decides. The last factor is what the study is about, and its first level is
// the reference: the page shows the difference that each other level makes.
type Study struct {
	Name        string
	Title       string
	Text        bool     // trains on a text that the user names, not on built-in data
	Base        []string // flags of every run
	Window      int      // steps of a line of the log with means of steps
	Factors     []Factor
	Seeds       []uint64
	Outcome     Outcome // the primary one, a loss
	Comparisons []Comparison
}

// Factor is what the runs vary, e.g. the learning rate.
type Factor struct {
	Name   string
	Levels []Level
}

// Level is one value of a factor and the flags that set it.
type Level struct {
	Name  string
	Flags []string
}

// Cell names one level of every factor, in the order of the factors.
type Cell []string

func (c Cell) String() string { return strings.Join(c, ", ") }

// Comparison asks a question that a weighted sum of cells answers, one sum for each seed. It is written down before the
// first run.
type Comparison struct {
	Question   string
	Prediction Prediction
	Outcome    Outcome // "": the primary one
	Sum        []Term
}

// Prediction is what is expected of a sum; "" is no prediction.
type Prediction string

// The predictions.
const (
	Above Prediction = "above 0"
	Below Prediction = "below 0"
)

// Term is the outcome of a cell times a weight.
type Term struct {
	Weight float64
	Cell   Cell
}

// Outcome is a figure of a result that runs are compared by: the name of its field in a line.
type Outcome string

// The outcomes.
const (
	TrainLoss   Outcome = "train_loss"
	ValLoss     Outcome = "val_loss"
	HeldoutLoss Outcome = "heldout_loss"
	ExactMatch  Outcome = "heldout_exact_match"
)

// outcomes lists every outcome.
var outcomes = []Outcome{TrainLoss, ValLoss, HeldoutLoss, ExactMatch}

func (o Outcome) String() string {
	return map[Outcome]string{TrainLoss: "training loss", ValLoss: "validation loss", HeldoutLoss: "held-out loss",
		ExactMatch: "held-out answers"}[o]
}

// Cells returns every combination of levels. The last factor changes fastest.
func (s *Study) Cells() []Cell {
	cells := []Cell{nil}
	for _, f := range s.Factors {
		var longer []Cell
		for _, c := range cells {
			for _, l := range f.Levels {
				longer = append(longer, append(slices.Clone(c), l.Name))
			}
		}
		cells = longer
	}
	return cells
}

// Flags returns the flags of a cell: those of every run, of the log, and of the cell's levels.
func (s *Study) Flags(c Cell) []string {
	flags := append(slices.Clone(s.Base), "--log-steps="+strconv.Itoa(s.Window))
	for i, f := range s.Factors {
		for _, l := range f.Levels {
			if l.Name == c[i] {
				flags = append(flags, l.Flags...)
			}
		}
	}
	return flags
}

// RateFactor returns the index of the first factor, other than the last, whose levels are numbers, or -1 without one.
func (s *Study) RateFactor() int {
	return slices.IndexFunc(s.Factors[:len(s.Factors)-1], func(f Factor) bool {
		return !slices.ContainsFunc(f.Levels, func(l Level) bool {
			_, err := strconv.ParseFloat(l.Name, 64)
			return err != nil
		})
	})
}

// levels returns a cell as the levels by factor.
func (s *Study) levels(c Cell) map[string]string {
	levels := map[string]string{}
	for i, f := range s.Factors {
		levels[f.Name] = c[i]
	}
	return levels
}

// Run is the training of a cell with one seed.
type Run struct {
	Cell   Cell
	Seed   uint64
	Result *Result // nil until the run has finished
	study  *Study
}

// Runs returns every run, seed by seed, so that a study that is stopped has whole seeds.
func (s *Study) Runs() []*Run {
	var runs []*Run
	for _, seed := range s.Seeds {
		for _, c := range s.Cells() {
			runs = append(runs, &Run{Cell: c, Seed: seed, study: s})
		}
	}
	return runs
}

// Name returns the seed and the cell of a run.
func (r *Run) Name() string { return fmt.Sprintf("seed %d, %s", r.Seed, r.Cell) }

// String returns the line of a finished run.
func (r *Run) String() string {
	if r.Result.Diverged {
		return r.Name() + ": diverged"
	}
	return fmt.Sprintf("%s: %s %.4f", r.Name(), r.study.Outcome, r.Result.Value(r.study.Outcome))
}
