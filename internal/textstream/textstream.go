// Package textstream turns pieces of bytes, as a language model's tokens are, into a stream of whole characters that
// ends before the first stop string. It knows nothing of the model.
//
// A piece may end inside a character, or inside what may become a stop string. The stream holds such an end back until
// the next piece decides. All parts that it returns, put together, are
//
//	strings.ToValidUTF8(text before the first stop string, "\uFFFD")
//
// so a run of invalid bytes is one U+FFFD, however the pieces cut it. The first stop string is the one that is complete
// first; of those that are complete at the same byte, the longest.
package textstream

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Stream turns pieces into whole characters. Begin starts a text, Add receives its pieces one after another, and End
// ends it.
type Stream struct {
	stops []string // none is empty

	held    []byte // received and not yet returned
	invalid bool   // the last character returned was U+FFFD for an invalid byte
	out     []byte // the part returned last; overwritten by the next
}

// Begin starts a new text that ends before the first of the stop strings. None of them may be empty.
func (s *Stream) Begin(stops []string) {
	s.stops, s.held, s.invalid = stops, s.held[:0], false
}

// Add receives the next piece and returns the part of the text that is certain now. The next call overwrites that part.
// stopped reports whether a stop string is complete: then the text has ended before it.
func (s *Stream) Add(piece string) (text []byte, stopped bool) {
	s.held = append(s.held, piece...)
	if at := s.firstStop(); at >= 0 {
		text = s.flush(at)
		s.held = s.held[:0]
		return text, true
	}
	certain := len(s.held)
	for _, stop := range s.stops {
		certain = min(certain, len(s.held)-startedStop(s.held, stop))
	}
	return s.flush(wholeCharacters(s.held[:certain])), false
}

// firstStop returns the offset of the first stop string in the bytes held back, or -1 when none is complete.
func (s *Stream) firstStop() int {
	start, end := -1, 0
	for _, stop := range s.stops {
		at := bytes.Index(s.held, []byte(stop))
		stopEnd := at + len(stop)
		if at >= 0 && (start < 0 || stopEnd < end || stopEnd == end && at < start) {
			start, end = at, stopEnd
		}
	}
	return start
}

// End returns the bytes still held back, as the end of the text.
func (s *Stream) End() []byte { return s.flush(len(s.held)) }

// flush removes n bytes from those held back and returns them as valid UTF-8.
func (s *Stream) flush(n int) []byte {
	s.out = s.out[:0]
	for b := s.held[:n]; len(b) > 0; {
		r, width := utf8.DecodeRune(b)
		bad := r == utf8.RuneError && width == 1
		if !bad || !s.invalid {
			s.out = utf8.AppendRune(s.out, r)
		}
		s.invalid = bad
		b = b[width:]
	}
	s.held = append(s.held[:0], s.held[n:]...)
	return s.out
}

// startedStop returns the length of the longest end of text that is the beginning of stop.
func startedStop(text []byte, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasPrefix(stop, string(text[len(text)-n:])) {
			return n
		}
	}
	return 0
}

// wholeCharacters returns the length of text without an incomplete character at its end.
func wholeCharacters(text []byte) int {
	for at := len(text) - 1; at >= 0 && at >= len(text)-utf8.UTFMax; at-- {
		if utf8.RuneStart(text[at]) {
			if utf8.FullRune(text[at:]) {
				break
			}
			return at
		}
	}
	return len(text)
}
