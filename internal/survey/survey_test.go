package survey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows returns texts of one file with these lengths.
func rows(file string, lengths ...int) (samples []Sample) {
	for i, n := range lengths {
		samples = append(samples, Sample{Place: Place{file, i + 1}, Kind: Text, Texts: []string{fmt.Sprint(file, i)},
			Length: n, Windows: (n + 9) / 10})
	}
	return samples
}

func TestNew_MeasuresByFileAndKind(t *testing.T) {
	train := rows("a.json", 5, 11, 10)
	train[1].Kind = Conversation
	train = append(train, Sample{Place: Place{File: "b.txt"}, Kind: RunningText, Texts: []string{"text"}, Length: 95,
		Windows: 10})
	s := New(10, train, rows("c.json", 30))
	require.Equal(t, 3, len(s.Train))
	text, chat, running := s.Train[0], s.Train[1], s.Train[2]
	require.Equal(t, []any{"a.json", Text, 2, 2, 15, 0}, figures(text))
	require.Equal(t, []any{"a.json", Conversation, 1, 2, 11, 1}, figures(chat))
	require.Equal(t, []any{"b.txt", RunningText, 1, 10, 95, 0}, figures(running), "a running text is always cut")
	require.Nil(t, running.Lengths)
	require.Equal(t, []any{"", "", 4, 14, 121, 1}, figures(s.Total))
	require.Equal(t, &Lengths{Min: 5, Median: 10, P95: 11, Max: 11}, s.Total.Lengths)
	require.Equal(t, []any{"c.json", Text, 1, 3, 30, 1}, figures(s.HeldOut[0]))
	require.Equal(t, Finding{{Place: Place{"a.json", 2}, Length: 11, Text: "a.json1"},
		{Place: Place{"c.json", 1}, Length: 30, Text: "c.json0"}}, s.Cut, "of both parts")
}

func figures(p Part) []any { return []any{p.File, p.Kind, p.Samples, p.Windows, p.Tokens, p.Cut} }

func TestNew_95OfAHundredSamplesAreAtMostAsLongAsP95(t *testing.T) {
	var lengths []int
	for n := range 100 {
		lengths = append(lengths, 100-n)
	}
	require.Equal(t, &Lengths{Min: 1, Median: 51, P95: 95, Max: 100}, New(1000, rows("a", lengths...), nil).Total.Lengths)
	require.Equal(t, &Lengths{Min: 7, Median: 7, P95: 7, Max: 7}, New(1000, rows("a", 7), nil).Total.Lengths)
}

func TestNew_FindsSamplesThatEqualAnEarlierOne(t *testing.T) {
	sample := func(row int, kind string, texts ...string) Sample {
		return Sample{Place: Place{"a", row}, Kind: kind, Texts: texts}
	}
	s := New(10, []Sample{
		sample(1, Text, "x"), sample(2, Conversation, "x", "y"), sample(3, Text, "x"), sample(4, Conversation, "x", "z"),
		sample(5, Conversation, "x", "y"), sample(6, Text, "X"), sample(7, Text, "x"), sample(8, Text, `x" "y`),
	}, []Sample{sample(9, Text, "new"), sample(10, Text, "new")})
	var places []string
	for _, f := range s.Duplicates {
		places = append(places, equalLine(f))
	}
	require.Equal(t, []string{"a, row 3 equals a, row 1", "a, row 5 equals a, row 2", "a, row 7 equals a, row 1"}, places)
	require.Empty(t, s.Overlap)
}

func TestOverlap_FindsHeldOutSamplesThatAreTrained(t *testing.T) {
	text := func(file string, kind string, texts ...string) Sample {
		return Sample{Place: Place{File: file}, Kind: kind, Texts: texts}
	}
	train := []Sample{text("1", Text, "a"), text("2", Text, "a"), text("3", RunningText, "one two three"),
		text("4", Conversation, "q", "a")}
	for _, c := range []struct {
		held Sample
		in   string // the file of the trained sample; "": none
	}{
		{text("", Text, "a"), "1"}, {text("", Text, "b"), ""}, {text("", Text, "two"), ""},
		{text("", RunningText, "one two three"), "3"}, {text("", RunningText, "two th"), "3"},
		{text("", RunningText, "two four"), ""}, {text("", RunningText, "a"), ""},
		{text("", Conversation, "q", "a"), "4"}, {text("", Conversation, "q", "b"), ""},
	} {
		f := Overlap(train, []Sample{c.held})
		if c.in == "" {
			require.Empty(t, f, "%v", c.held)
			continue
		}
		require.Len(t, f, 1, "%v", c.held)
		require.Equal(t, &Place{File: c.in}, f[0].Equals)
	}
}

func TestFinding_PrintsTheFirstFive(t *testing.T) {
	s := New(1, rows("a", 2, 2, 2, 2, 2, 2, 2), nil)
	require.Len(t, s.Cut, 7)
	var out bytes.Buffer
	s.Print(&out, 1)
	require.Contains(t, out.String(), "longer than the context of 1 tokens: 7 of 7\n  a, row 1: 2 tokens  \"a0\"\n")
	require.Contains(t, out.String(), "\n  a, row 5: 2 tokens  \"a4\"\n  … and 2 more\n"+
		"duplicates: none\noverlap: nothing is held out\n")
}

func TestSurvey_PrintsATable(t *testing.T) {
	held, running := rows("a", 5), Sample{Place: Place{File: "c.txt"}, Kind: RunningText, Texts: []string{"t"}}
	held[0].File = "b"
	running.Length, running.Windows = 1, 1
	var out bytes.Buffer
	New(128, append(rows("a", 5, 7), running), held).Print(&out, 128)
	require.Equal(t, ` samples  windows    tokens  length: min  median    p95    max    cut  kind          file
       2        2        12            5       7      7      7      0  text          a
       1        1         1            -       -      -      -      0  running text  c.txt
       3        3        13            5       7      7      7      0                all
       1        1         5            5       5      5      5      0  text          b, held out

longer than the context of 128 tokens: none
duplicates: none
held out, but in the training part too: 1 of 1
  b, row 1 equals a, row 1  "a0"
`, out.String())
}

func TestSurvey_InJSONNothingIsAnEmptyList(t *testing.T) {
	text, err := json.Marshal(New(10, rows("a", 1), nil))
	require.NoError(t, err)
	require.Contains(t, string(text), `"held_out":[],"cut":[],"duplicates":[],"overlap":[]}`)
	require.NotContains(t, string(text), "null")
}

func TestBeginning_FitsIntoColumns(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "abcdef": "abcdef", "abcdefg": "abcdef…", "太阳是": "太阳是", "太阳是a": "太阳是…", "ab太阳是": "ab太阳…",
		"abc太阳": "abc太…",
	} {
		require.Equal(t, want, beginning(text, 6), text)
	}
}
