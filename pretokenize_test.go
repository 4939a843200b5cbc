package main

import (
	"slices"
	"strings"
	"testing"
)

func TestScannerCutsTextAsGPT2DoesIt(t *testing.T) {
	for _, c := range []struct{ text, words string }{ // words joined by |
		{"", ""},
		{" ", " "},
		{"Hello world", "Hello| world"},
		{"it's IT'S", "it|'s| IT|'|S"},
		{"we'll you've they're I'm he'd can't", "we|'ll| you|'ve| they|'re| I|'m| he|'d| can|'t"},
		{" 's ''s 'sa", " '|s| ''|s| '|sa"},
		{"'", "'"},
		{"'l 'r", "'|l| '|r"},
		{"a   b", "a|  | b"},
		{"a  ", "a|  "},
		{"a\n\nb", "a|\n|\n|b"},
		{"a \n b", "a| \n| b"},
		{"\t a\tb", "\t| a|\t|b"},
		{"x\r\n", "x|\r\n"},
		{"a  1", "a| | 1"},
		{"3rd 1,234.5", "3|rd| 1|,|234|.|5"},
		{"٣४Ⅷ²½a", "٣४Ⅷ²½|a"},
		{"e\u0301", "e|\u0301"},
		{"中文。 日", "中文|。| 日"},
		{" 👩\u200d👧!", " 👩\u200d👧!"},
		{"a\u00a0b\u3000\u3000c", "a|\u00a0|b|\u3000|\u3000|c"},
		{"a\u2028 b", "a|\u2028| b"},
		{"a\u0085\u0085b", "a|\u0085|\u0085|b"},        // a space to Python's regex, not to JavaScript
		{"!\ufeff\u180e\u200b", "!\ufeff\u180e\u200b"}, // no spaces; U+FEFF is one to JavaScript
		{"!\x1c\x1d\x1e\x1f\x00", "!\x1c\x1d\x1e\x1f\x00"},
		{" \xff\xfea\xc3", " \xff\xfe|a|\xc3"},
	} {
		got := slices.Collect(pretokens(c.text))
		if strings.Join(got, "|") != c.words {
			t.Errorf("%q: cut into %q, want %q", c.text, got, c.words)
		}
	}
}

func TestScannerStopsWhenTheLoopDoes(t *testing.T) {
	for word := range pretokens("one two three") {
		if word != "one" {
			t.Fatalf("went on to %q", word)
		}
		break
	}
}
