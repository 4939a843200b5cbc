package main

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Streaming text out of tokens, whose pieces are bytes: a token may end inside a character, or inside what may become a
// stop string. Such an end waits for its rest. What streams out is, put together, strings.ToValidUTF8(text before the
// first stop string, "\uFFFD"): a run of invalid bytes is one U+FFFD, however the tokens cut it. First is the stop string
// that is complete first, and of those complete at the same byte the longest.

// textStream turns pieces into whole characters.
type textStream struct {
	stops []string // none is empty

	waiting []byte // not yet shown
	invalid bool   // the last thing shown was U+FFFD for an invalid byte
	out     []byte // scratch
}

// begin forgets the last text.
func (s *textStream) begin(stops []string) {
	s.stops, s.waiting, s.invalid = stops, s.waiting[:0], false
}

// add takes the next piece and returns what can be shown now, which the next call overwrites. stopped: a stop string
// is complete; the text has ended before it.
func (s *textStream) add(piece string) (text []byte, stopped bool) {
	s.waiting = append(s.waiting, piece...)
	if at := s.firstStop(); at >= 0 {
		text = s.show(at)
		s.waiting = s.waiting[:0]
		return text, true
	}
	ready := len(s.waiting)
	for _, stop := range s.stops {
		ready = min(ready, len(s.waiting)-startedStop(s.waiting, stop))
	}
	return s.show(wholeCharacters(s.waiting[:ready])), false
}

// firstStop is where the first stop string begins in what waits; -1: none is complete.
func (s *textStream) firstStop() int {
	start, end := -1, 0
	for _, stop := range s.stops {
		at := bytes.Index(s.waiting, []byte(stop))
		if past := at + len(stop); at >= 0 && (start < 0 || past < end || past == end && at < start) {
			start, end = at, past
		}
	}
	return start
}

// end returns what still waits.
func (s *textStream) end() []byte { return s.show(len(s.waiting)) }

// show takes n bytes from those that wait and makes them valid UTF-8.
func (s *textStream) show(n int) []byte {
	s.out = s.out[:0]
	for b := s.waiting[:n]; len(b) > 0; {
		r, width := utf8.DecodeRune(b)
		bad := r == utf8.RuneError && width == 1
		if !bad || !s.invalid {
			s.out = utf8.AppendRune(s.out, r)
		}
		s.invalid = bad
		b = b[width:]
	}
	s.waiting = append(s.waiting[:0], s.waiting[n:]...)
	return s.out
}

// startedStop is the length of the longest end of text that is the start of stop.
func startedStop(text []byte, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasPrefix(stop, string(text[len(text)-n:])) {
			return n
		}
	}
	return 0
}

// wholeCharacters is how long text is without a character at its end that is still open.
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
