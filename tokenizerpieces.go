package main

import (
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// GPT-2 cuts a text into words before it merges bytes, so that no token spans two words. Its pattern
// (github.com/openai/gpt-2, encoder.py) is
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// Go's package regexp has no look-ahead and its \s matches ASCII only, so functions replace the pattern.
// White space is Unicode's White_Space, as in the Python module regex that GPT-2 uses. JavaScript, and with it
// @huggingface/tokenizers, differs in two characters: U+0085 is not white space there and U+FEFF is.

// charClass is the kind of a character.
type charClass int

const (
	symbolChar charClass = iota
	letterChar
	numberChar
	spaceChar
)

// pretokens yields the words of text in order. Joined, they are the text.
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

// pretokenLen returns the length in bytes of the first word of s, which must not be empty.
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

// contractionLen returns the length in bytes of the English ending ('s, 't, 're, …) that s begins with, or 0.
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

// spaceLen returns the length in bytes of the first word of s, which begins with white space. At the end of the text
// the word is the whole run of white space; elsewhere it is the run without its last character (\s+(?!\S)), which
// begins the next word. A run of one character is a word (\s+).
func spaceLen(s string) int {
	n, last := classRun(s, spaceChar)
	if n < len(s) && n > last {
		return n - last
	}
	return n
}

// classRun returns the length in bytes of the longest prefix of s whose characters are all of one class, and the length
// of its last character.
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

// firstChar returns the class and the length in bytes of the first character of s. A byte that is not valid UTF-8 is a
// symbol.
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

// Byte-level spelling. A token is a string of any bytes, but GPT-2's vocabulary files contain text. They spell each
// byte as one visible character: printable Latin-1 bytes as themselves, the others as U+0100, U+0101, … in order
// (bytes_to_unicode in github.com/openai/gpt-2, encoder.py). A space becomes Ġ.

// byteOrder lists the bytes of tokens 0 to 255: first the bytes that are spelled as themselves, then the others.
var byteOrder = orderBytes()

// byteRunes maps a byte to its spelling, and runeBytes maps the spelling back to the byte.
var byteRunes, runeBytes = spellBytes()

// isVisibleByte reports whether a Latin-1 byte is a printable character other than the spaces and the soft hyphen 0xAD.
func isVisibleByte(b int) bool {
	return '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xFF && b != 0xAD
}

// orderBytes returns the value of byteOrder.
func orderBytes() []byte {
	var visible, others []byte
	for b := range 256 {
		if isVisibleByte(b) {
			visible = append(visible, byte(b))
		} else {
			others = append(others, byte(b))
		}
	}
	return append(visible, others...)
}

// spellBytes returns the values of byteRunes and runeBytes.
func spellBytes() (spelling [256]rune, bytes map[rune]byte) {
	bytes = make(map[rune]byte)
	next := rune(0x100)
	for b := range 256 {
		spelling[b] = rune(b)
		if !isVisibleByte(b) {
			spelling[b] = next
			next++
		}
		bytes[spelling[b]] = byte(b)
	}
	return spelling, bytes
}

// toByteLevel returns the byte-level spelling of raw bytes.
func toByteLevel(raw string) string {
	var b strings.Builder
	for i := range len(raw) {
		b.WriteRune(byteRunes[raw[i]])
	}
	return b.String()
}

// fromByteLevel returns the raw bytes of a byte-level spelling.
func fromByteLevel(spelled string) (string, error) {
	raw := make([]byte, 0, len(spelled))
	for _, r := range spelled {
		b, ok := runeBytes[r]
		if !ok {
			return "", fmt.Errorf("%q contains %q, which spells no byte", spelled, r)
		}
		raw = append(raw, b)
	}
	return string(raw), nil
}
