package main

// A token is a string of any bytes, but the files of GPT-2 hold text. They spell each byte as one
// visible character: printable Latin-1 bytes as themselves, the others as U+0100, U+0101, … in
// order (bytes_to_unicode in github.com/openai/gpt-2, encoder.py). A space becomes Ġ.

import (
	"fmt"
	"strings"
)

// byteOrder lists the bytes in the order of their tokens, 0 to 255: those that stand for
// themselves, then the others.
var byteOrder = orderBytes()

// byteRunes spells a byte; runeBytes reads the spelling.
var byteRunes, runeBytes = spellBytes()

// isVisibleByte tells whether a Latin-1 byte is a printable character other than a space or the
// soft hyphen 0xAD.
func isVisibleByte(b int) bool {
	return '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xFF && b != 0xAD
}

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

// toByteLevel spells raw bytes in GPT-2's alphabet.
func toByteLevel(raw string) string {
	var b strings.Builder
	for i := range len(raw) {
		b.WriteRune(byteRunes[raw[i]])
	}
	return b.String()
}

// fromByteLevel reads what toByteLevel wrote. Any other character is an error.
func fromByteLevel(spelled string) (string, error) {
	raw := make([]byte, 0, len(spelled))
	for _, r := range spelled {
		b, ok := runeBytes[r]
		if !ok {
			return "", fmt.Errorf("%q holds %q, which spells no byte", spelled, r)
		}
		raw = append(raw, b)
	}
	return string(raw), nil
}
