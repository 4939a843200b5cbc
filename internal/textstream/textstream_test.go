package textstream

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// streamed feeds pieces to a stream and returns the whole text, and whether a stop string ended it. It requires that
// every part is whole characters.
func streamed(t *testing.T, pieces []string, stops ...string) (text string, stopped bool) {
	var s Stream
	s.Begin(stops)
	for _, piece := range pieces {
		part, ended := s.Add(piece)
		require.True(t, utf8.Valid(part), "%q", part)
		text += string(part)
		if ended {
			require.Empty(t, s.End())
			return text, true
		}
	}
	last := s.End()
	require.True(t, utf8.Valid(last))
	return text + string(last), false
}

// cutText cuts text into pieces of 1 to 4 bytes; their lengths follow from the seed cuts.
func cutText(text string, cuts uint64) (pieces []string) {
	for len(text) > 0 {
		n := min(len(text), 1+int(cuts&3))
		pieces, text = append(pieces, text[:n]), text[n:]
		cuts = cuts*6364136223846793005 + 1442695040888963407 // a linear congruential generator (Knuth)
		cuts ^= cuts >> 33
	}
	return pieces
}

func TestStream_HoldsBackACharacterUntilItIsWhole(t *testing.T) {
	var s Stream
	s.Begin(nil)
	for _, step := range []struct{ piece, want string }{
		{"a\xe9", "a"}, {"\xb2", ""}, {"\xb8", "鲸"}, {"\xf0\x9f", ""}, {"\x90\xb3!", "🐳!"},
		{"\xe9\xb2", ""}, {"x", "\uFFFDx"}, // the rest did not come: one U+FFFD for both bytes
		{"\xff", "\uFFFD"}, {"\xfe\x80", ""}, {"\xc3", ""}, {"y", "y"}, // an invalid run over four pieces: one U+FFFD
		{"\uFFFD", "\uFFFD"}, {"\uFFFD", "\uFFFD"}, // U+FFFD itself is a character like others
	} {
		got, stopped := s.Add(step.piece)
		require.Equal(t, step.want, string(got), "after %q", step.piece)
		require.False(t, stopped)
	}
	s.Add("\xe9")
	require.Equal(t, "\uFFFD", string(s.End()))
}

func TestStream_EndsBeforeTheFirstStopString(t *testing.T) {
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
		{[]string{"abcd"}, []string{"abcd", "bc"}, "a", true},           // complete first, though it begins later
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

// beforeStop returns the text before the first stop string, found byte by byte by the definition.
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

// For any cut of a text into pieces and any order of the stop strings, the stream is the valid UTF-8 of the text before
// the first stop string.
func FuzzStream_EqualsTheWholeText(f *testing.F) {
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
