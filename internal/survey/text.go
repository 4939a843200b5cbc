package survey

import (
	"fmt"
	"io"
	"strconv"
)

// A survey as text for a terminal.

const (
	tableHead = " samples  windows    tokens  length: min  median    p95    max    cut  kind          file"
	tableRow  = "%8d %8d %9d %12s %7s %6s %6s %6d  %-12s  %s\n"
)

// Print writes the survey. context is that of New.
func (s *Survey) Print(out io.Writer, context int) {
	fmt.Fprintln(out, tableHead)
	for _, p := range s.Train {
		p.print(out, p.Kind, p.File)
	}
	if len(s.Train) > 1 {
		s.Total.print(out, "", "all")
	}
	held := 0
	for _, p := range s.HeldOut {
		p.print(out, p.Kind, p.File+", held out")
		held += p.Samples
	}
	fmt.Fprintln(out)
	s.Cut.print(out, fmt.Sprintf("longer than the context of %d tokens: ", context), s.Total.Samples+held, cutLine)
	s.Duplicates.print(out, "duplicates: ", s.Total.Samples, equalLine)
	if held == 0 {
		fmt.Fprintln(out, "overlap: nothing is held out")
	} else {
		s.Overlap.print(out, "held out, but in the training part too: ", held, equalLine)
	}
}

// print writes a line of the table.
func (p Part) print(out io.Writer, kind, name string) {
	lengths := [4]string{"-", "-", "-", "-"}
	if l := p.Lengths; l != nil {
		for i, n := range []int{l.Min, l.Median, l.P95, l.Max} {
			lengths[i] = strconv.Itoa(n)
		}
	}
	fmt.Fprintf(out, tableRow, p.Samples, p.Windows, p.Tokens, lengths[0], lengths[1], lengths[2], lengths[3], p.Cut,
		kind, name)
}

// examples is how many samples of a finding are printed.
const examples = 5

// print writes a finding among some samples: how many, and a line for each of the first.
func (f Finding) print(out io.Writer, what string, samples int, line func(Found) string) {
	if len(f) == 0 {
		fmt.Fprintf(out, "%snone\n", what)
		return
	}
	fmt.Fprintf(out, "%s%d of %d\n", what, len(f), samples)
	for _, found := range f[:min(examples, len(f))] {
		fmt.Fprintf(out, "  %s  %q\n", line(found), found.Text)
	}
	if more := len(f) - examples; more > 0 {
		fmt.Fprintf(out, "  … and %d more\n", more)
	}
}

func cutLine(f Found) string { return fmt.Sprintf("%s: %d tokens", f.Place, f.Length) }

func equalLine(f Found) string {
	if f.Row == 0 {
		return fmt.Sprintf("%s is in %s", f.Place, f.Equals)
	}
	return fmt.Sprintf("%s equals %s", f.Place, f.Equals)
}

// beginning returns the text, or of a long one its beginning: at most this number of columns of a terminal, where a
// character outside ASCII may take two.
func beginning(text string, columns int) string {
	for i, r := range text {
		if columns--; r >= 0x80 {
			columns--
		}
		if columns < 0 {
			return text[:i] + "…"
		}
	}
	return text
}
