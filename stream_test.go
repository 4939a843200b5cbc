package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// streamed feeds pieces to a stream and returns what it showed, and whether a stop string ended it. Every part shown
// must be whole characters.
func streamed(t *testing.T, pieces []string, stops ...string) (text string, stopped bool) {
	var s textStream
	s.begin(stops)
	for _, piece := range pieces {
		part, ended := s.add(piece)
		require.True(t, utf8.Valid(part), "%q", part)
		text += string(part)
		if ended {
			require.Empty(t, s.end())
			return text, true
		}
	}
	last := s.end()
	require.True(t, utf8.Valid(last))
	return text + string(last), false
}

// cutText cuts text into pieces of 1 to 4 bytes, as cuts says.
func cutText(text string, cuts uint64) (pieces []string) {
	for len(text) > 0 {
		n := min(len(text), 1+int(cuts&3))
		pieces, text = append(pieces, text[:n]), text[n:]
		cuts = mix(cuts)
	}
	return pieces
}

func TestCharacterSplitOverTokensWaitsForItsRest(t *testing.T) {
	var s textStream
	s.begin(nil)
	for _, step := range []struct{ piece, shown string }{
		{"a\xe9", "a"}, {"\xb2", ""}, {"\xb8", "鲸"}, {"\xf0\x9f", ""}, {"\x90\xb3!", "🐳!"},
		{"\xe9\xb2", ""}, {"x", "\uFFFDx"}, // the rest never came: one mark for both bytes
		{"\xff", "\uFFFD"}, {"\xfe\x80", ""}, {"\xc3", ""}, {"y", "y"}, // a run over four tokens: one mark
		{"\uFFFD", "\uFFFD"}, {"\uFFFD", "\uFFFD"}, // U+FFFD itself is a character like others
	} {
		got, stopped := s.add(step.piece)
		require.Equal(t, step.shown, string(got), "after %q", step.piece)
		require.False(t, stopped)
	}
	s.add("\xe9")
	require.Equal(t, "\uFFFD", string(s.end()))
}

func TestTextEndsBeforeTheFirstStopString(t *testing.T) {
	for _, c := range []struct {
		pieces  []string
		stops   []string
		text    string
		stopped bool
	}{
		{[]string{"one", " two", " three"}, []string{"two"}, "one ", true},
		{[]string{"one t", "w", "o three"}, []string{"two"}, "one ", true},
		{[]string{"one t", "w", "ice"}, []string{"two"}, "one twice", false},
		{[]string{"aab", "aac"}, []string{"aac"}, "aab", true},
		{[]string{"aaa", "ab"}, []string{"aab"}, "aa", true},
		{[]string{"x stop y end"}, []string{"end", "stop"}, "x ", true}, // the earliest, not the first in the list
		{[]string{"abcd"}, []string{"abcd", "bc"}, "a", true},           // the one complete first, wherever it begins
		{[]string{"ab", "c", "d"}, []string{"bc", "abcd"}, "a", true},
		{[]string{"xabc"}, []string{"c", "abc", "bc"}, "x", true}, // complete at once: the longest
		{[]string{"鲸鱼", "\xe7", "\x8c\xab"}, []string{"猫"}, "鲸鱼", true},
		{[]string{"wait", " for", " it"}, []string{" it ends"}, "wait for it", false},
	} {
		text, stopped := streamed(t, c.pieces, c.stops...)
		require.Equal(t, c.text, text, "%q", c.pieces)
		require.Equal(t, c.stopped, stopped, "%q", c.pieces)
	}
}

// beforeStop is the text before the first stop string, byte after byte by the definition.
func beforeStop(text string, stops ...string) (before string, found bool) {
	for end := range len(text) + 1 {
		longest := ""
		for _, stop := range stops {
			if strings.HasSuffix(text[:end], stop) && len(stop) > len(longest) {
				longest = stop
			}
		}
		if longest != "" {
			return text[:end-len(longest)], true
		}
	}
	return text, false
}

// However the tokens cut a text, and in whatever order the stop strings are given, what streams out is the valid UTF-8 of
// the text before the first of them.
func FuzzStreamEqualsTheWholeText(f *testing.F) {
	f.Add("鲸鱼 and \xe9\xb2 broken \xff\xfe bytes", "and", "\xe9", uint64(1))
	f.Add("aaaaaaab", "aaab", "ab", uint64(2))
	f.Add("\xe9\xb2\xb8", "\xb2", "\xe9\xb2", uint64(3)) // a stop string inside a character
	f.Add("abcd", "abcd", "bc", uint64(3))               // one inside the other
	f.Fuzz(func(t *testing.T, text, one, two string, cuts uint64) {
		if one == "" || two == "" {
			return
		}
		for _, stops := range [][]string{{one}, {one, two}, {two, one}} {
			got, stopped := streamed(t, cutText(text, cuts), stops...)
			before, found := beforeStop(text, stops...)
			require.Equal(t, found, stopped)
			require.Equal(t, strings.ToValidUTF8(before, "\uFFFD"), got)
		}
		plain, _ := streamed(t, cutText(text, cuts))
		require.Equal(t, strings.ToValidUTF8(text, "\uFFFD"), plain)
	})
}
