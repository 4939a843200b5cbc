package main

// GPT-2 cuts text into words before it merges bytes, so that no token spans two words. Its pattern
// (github.com/openai/gpt-2, encoder.py) is
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// Go's regexp has no look-ahead and an ASCII-only \s, so the pattern is a scanner here. White space
// is Unicode's White_Space, as in the Python module regex that GPT-2 uses. JavaScript, and with it
// @huggingface/tokenizers, differs in two characters: U+0085 is no space there and U+FEFF is one.

import (
	"iter"
	"unicode"
	"unicode/utf8"
)

type charClass int

const (
	symbolChar charClass = iota
	letterChar
	numberChar
	spaceChar
)

// pretokens yields the words of text in order; joined they are text again.
func pretokens(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			n := pretokenLen(text)
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// pretokenLen returns the bytes of the first word of s, which is not empty.
func pretokenLen(s string) int {
	if n := contractionLen(s); n > 0 {
		return n
	}
	lead := 0
	if s[0] == ' ' && len(s) > 1 {
		lead = 1
	}
	class, _ := firstChar(s[lead:])
	if class == spaceChar {
		return spaceLen(s)
	}
	n, _ := classRun(s[lead:], class)
	return lead + n
}

// contractionLen returns the bytes of the English ending that s begins with, or 0.
func contractionLen(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) > 2 {
		switch s[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// spaceLen returns the bytes of the first word of s, which begins with white space: the whole run
// at the end of the text (\s+(?!\S)), else all but its last character, which is left to what
// follows, unless it is the only one (\s+).
func spaceLen(s string) int {
	n, last := classRun(s, spaceChar)
	if n < len(s) && n > last {
		return n - last
	}
	return n
}

// classRun returns the bytes of the longest prefix of s that is all of one class, and those of the
// prefix's last character.
func classRun(s string, class charClass) (n, last int) {
	for n < len(s) {
		c, width := firstChar(s[n:])
		if c != class {
			break
		}
		n, last = n+width, width
	}
	return n, last
}

// firstChar returns the class and the bytes of the first character of s. A byte that is not valid
// UTF-8 is a symbol of its own.
func firstChar(s string) (charClass, int) {
	r, width := utf8.DecodeRuneInString(s)
	switch {
	case unicode.IsLetter(r):
		return letterChar, width
	case unicode.IsNumber(r):
		return numberChar, width
	case unicode.IsSpace(r):
		return spaceChar, width
	}
	return symbolChar, width
}
