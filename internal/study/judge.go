package study

import (
	"cmp"
	"fmt"
	"math"

	"gogpt/internal/stats"
	"gogpt/internal/strictjson"
)

// The verdicts on comparisons.

// Judgement is the verdict on a comparison.
type Judgement struct {
	Question   string             `json:"question"`
	Outcome    Outcome            `json:"outcome"`
	Formula    string             `json:"formula"`
	Prediction Prediction         `json:"prediction"`
	Finished   int                `json:"finished"` // of its runs
	Runs       int                `json:"runs"`
	Diverged   int                `json:"diverged"`   // of its finished runs
	Sums       []strictjson.Float `json:"sums"`       // by seed; null where a run is missing
	Sum        stats.MeanSpread   `json:"sum"`        // of the seeds without a missing run
	Confidence float64            `json:"confidence"` // of the interval
	Low        strictjson.Float   `json:"low"`        // bounds of the interval; null while a run is missing
	High       strictjson.Float   `json:"high"`
	Verdict    string             `json:"verdict"`
}

// The verdicts on a comparison with all its runs. Without a prediction, a difference is above 0 or below 0.
const (
	AsPredicted = "as predicted"
	Contrary    = "contrary to the prediction"
	NotShown    = "no difference shown"
)

// errorShare is the share of studies in which a verdict may be wrong. The comparisons of a study share it equally
// (Bonferroni's correction).
const errorShare = 0.05

// judge returns the verdict on a comparison.
func (m *Summary) judge(c *Comparison) Judgement {
	j := Judgement{Question: c.Question, Outcome: cmp.Or(c.Outcome, m.Outcome), Formula: c.formula(),
		Prediction: c.Prediction, Runs: len(c.Sum) * len(m.Seeds),
		Confidence: 1 - errorShare/float64(len(m.Study.Comparisons)),
		Low:        strictjson.Float(math.NaN()), High: strictjson.Float(math.NaN())}
	var sums []float64
	for _, seed := range m.Seeds {
		sum := 0.0
		for _, term := range c.Sum {
			r := m.result(term.Cell, seed)
			if r == nil {
				sum = math.NaN()
				continue
			}
			j.Finished++
			if r.Diverged {
				j.Diverged++
			}
			sum += term.Weight * r.Value(j.Outcome)
		}
		j.Sums = append(j.Sums, strictjson.Float(sum))
		if stats.Finite(sum) {
			sums = append(sums, sum)
		}
	}
	j.Sum = stats.NewMeanSpread(sums)
	if len(sums) < len(m.Seeds) {
		j.Verdict = fmt.Sprintf("no verdict yet: %d of %d runs", j.Finished, j.Runs)
		return j
	}
	low, high := j.Sum.Interval(j.Confidence, len(sums))
	j.Low, j.High = strictjson.Float(low), strictjson.Float(high)
	j.Verdict = c.verdict(low, high)
	return j
}

// verdict returns the verdict on a sum with this interval.
func (c *Comparison) verdict(low, high float64) string {
	found := Below
	switch {
	case low > 0:
		found = Above
	case !(high < 0): // also of one seed, whose interval is not finite
		return NotShown
	}
	switch c.Prediction {
	case "":
		return string(found)
	case found:
		return AsPredicted
	}
	return Contrary
}

// formula returns the sum of a comparison as text. A weight that all terms share stands before it.
func (c *Comparison) formula() string {
	text, shared := "", math.Abs(c.Sum[0].Weight)
	for i, term := range c.Sum {
		switch {
		case term.Weight < 0 && i == 0:
			text += "−"
		case term.Weight < 0:
			text += " − "
		case i > 0:
			text += " + "
		}
		if w := math.Abs(term.Weight); w != shared {
			text += fmt.Sprintf("%g · ", w/shared)
		}
		text += "L(" + term.Cell.String() + ")"
	}
	if shared != 1 {
		return fmt.Sprintf("%g · [%s]", shared, text)
	}
	return text
}
