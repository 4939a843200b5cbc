package study

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"gogpt/internal/stats"
)

// The summary as text: a table of the cells, then the comparisons.

// Print writes the summary.
func (m *Summary) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := slices.Concat(m.Factors, []string{"runs", m.Outcome.String(), "against " + m.Study.referenceLevel()})
	for _, o := range m.Others {
		head = append(head, o.String())
	}
	head = append(head, "largest rise", "norm, last/first", "clipped", "diverged")
	rates := m.Study.RateFactor() >= 0
	if rates {
		head = append(head, "breaks")
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(head, "\t"))
	for _, c := range m.Cells {
		row := slices.Concat(c.Cell, []string{strconv.Itoa(c.Finished), c.Text(m.Outcome), c.Against()})
		for _, o := range m.Others {
			row = append(row, c.Text(o))
		}
		row = append(row, c.LargestRise.Text(3), c.NormRise.Text(2), Percent(c.ClippedShare), strconv.Itoa(c.Diverged))
		if rates {
			row = append(row, map[bool]string{true: "breaks", false: "–"}[c.Breaks])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, j := range m.Comparisons {
		of := ""
		if j.Outcome != m.Outcome {
			of = fmt.Sprintf(" (%s)", j.Outcome)
		}
		fmt.Fprintf(out, "\n%d. %s%s\n   %s\n   %s\n", i+1, j.Question, of, j.Formula, j.Result())
	}
	_, err := fmt.Fprintf(out, "\n%d of %d runs; %s\n", m.Finished, m.Runs, m.KernelText())
	return err
}

// Text returns the mean and the spread of an outcome.
func (c *CellSummary) Text(o Outcome) string { return c.Outcomes[o].Text(4) }

// referenceLevel returns the first level of the last factor.
func (s *Study) referenceLevel() string { return s.Factors[len(s.Factors)-1].Levels[0].Name }

// Against returns the difference from the reference with its effect, or "" of the reference.
func (c *CellSummary) Against() string {
	if c.Effect == "" {
		return ""
	}
	return fmt.Sprintf("%s %s", c.Difference.Signed(4), c.Effect)
}

// Result returns the sum of a comparison, its interval and the verdict.
func (j *Judgement) Result() string {
	text := j.Verdict
	if j.Prediction != "" {
		text = fmt.Sprintf("predicted %s: %s", j.Prediction, j.Verdict)
	}
	if stats.Finite(float64(j.Low)) {
		text = fmt.Sprintf("%s, %s: %s; %s", j.Sum.Signed(4), j.confidence(), j.Interval(), text)
	}
	if j.Diverged > 0 {
		text += fmt.Sprintf(" (%d of %d runs diverged)", j.Diverged, j.Runs)
	}
	return text
}

// Interval returns the interval, or "–" while a run is missing.
func (j *Judgement) Interval() string {
	if !stats.Finite(float64(j.Low)) {
		return "–"
	}
	return signedNumber(float64(j.Low), 4) + " … " + signedNumber(float64(j.High), 4)
}

// confidence names the interval.
func (j *Judgement) confidence() string { return fmt.Sprintf("%.1f %% interval", 100*j.Confidence) }

// KernelText names the kernel of the finished runs. Of several kernels it also says how many runs each computed.
func (m *Summary) KernelText() string {
	names := slices.Sorted(maps.Keys(m.Kernels))
	switch len(names) {
	case 0:
		return "no kernel yet"
	case 1:
		return "kernel " + names[0]
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d)", name, m.Kernels[name])
	}
	return "kernels mixed, which may round differently: " + strings.Join(names, ", ")
}

// Percent returns a share as a percentage.
func Percent(share stats.MeanSpread) string {
	if !stats.Finite(float64(share.Mean)) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(share.Mean))
}

// signedNumber returns a number with its sign.
func signedNumber(x float64, digits int) string {
	return stats.WithSign(strconv.FormatFloat(x, 'f', digits, 64))
}
