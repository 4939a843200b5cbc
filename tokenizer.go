package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The names of the special tokens: the end of a text, and who speaks next in a conversation.
const (
	endOfText     = "<|endoftext|>"
	userTurn      = "<|user|>"
	assistantTurn = "<|assistant|>"
)

// tokenizer turns text into token ids and back. Its vocabulary has a token for every byte, so every string can be
// encoded, and decode(encode(s)) == s. A tokenizer never changes, so several goroutines may share it.
type tokenizer struct {
	kind                       string // kindBPE or kindChar
	endOfText, user, assistant int    // ids of the special tokens; -1: not in the vocabulary

	pieces  []string       // [vocab] the raw bytes of each token; the name of a special token
	ids     map[string]int // from piece to id
	special []bool         // [vocab] true for the ids that encode never returns
	byteIDs [256]int32     // from byte to id
	rules   mergeRules     // empty for kindChar
}

// newTokenizer makes a tokenizer from the tokens by id and the merges "left right" by rank, both in byte-level spelling
// (tokenizerpieces.go). Every byte must have a token. Each other token must be the result of a merge (kindBPE), a
// character of several bytes (kindChar) or a special token, whose name looks <like this>.
func newTokenizer(kind string, vocab, merges []string) (*tokenizer, error) {
	if kind != kindBPE && (kind != kindChar || len(merges) > 0) {
		return nil, fmt.Errorf("tokenizer kind %q with %d merges: want %s, or %s without merges",
			kind, len(merges), kindBPE, kindChar)
	}
	t := &tokenizer{kind: kind, ids: make(map[string]int, len(vocab))}
	for id, spelled := range vocab {
		if err := t.addPiece(spelled); err != nil {
			return nil, fmt.Errorf("token %d: %w", id, err)
		}
	}
	for b := range t.byteIDs {
		id, ok := t.ids[string([]byte{byte(b)})]
		if !ok {
			return nil, fmt.Errorf("byte 0x%02x has no token", b)
		}
		t.byteIDs[b] = int32(id)
		t.special[id] = false
	}
	for i, merge := range merges {
		if err := t.addMerge(merge); err != nil {
			return nil, fmt.Errorf("merge %d: %w", i+1, err)
		}
	}
	if err := t.classifyOthers(); err != nil {
		return nil, err
	}
	t.endOfText, t.user, t.assistant = t.specialID(endOfText), t.specialID(userTurn), t.specialID(assistantTurn)
	return t, nil
}

// addPiece appends a token. It counts as special until it proves to be a byte, the result of a merge or a character.
func (t *tokenizer) addPiece(spelled string) error {
	piece, err := fromByteLevel(spelled)
	if err != nil {
		return err
	}
	if other, ok := t.ids[piece]; ok {
		return fmt.Errorf("%q is already token %d", spelled, other)
	}
	t.ids[piece] = len(t.pieces)
	t.pieces = append(t.pieces, piece)
	t.special = append(t.special, true)
	return nil
}

// addMerge appends a merge to the rules.
func (t *tokenizer) addMerge(merge string) error {
	left, right, _ := strings.Cut(merge, " ")
	a, err := t.mergePart(left)
	if err != nil {
		return err
	}
	b, err := t.mergePart(right)
	if err != nil {
		return err
	}
	id, ok := t.ids[t.pieces[a]+t.pieces[b]]
	if !ok {
		return fmt.Errorf("the result of %q has no token", merge)
	}
	if !t.special[id] {
		return fmt.Errorf("%q makes token %d, as an earlier merge does", merge, id)
	}
	t.special[id] = false
	t.rules.add(bpeMerge{tokenPair{int32(a), int32(b)}, int32(id)})
	return nil
}

// mergePart returns the id of one side of a merge, which must be a byte or the result of an earlier merge.
func (t *tokenizer) mergePart(spelled string) (int, error) {
	piece, err := fromByteLevel(spelled)
	if err != nil {
		return 0, err
	}
	id, ok := t.ids[piece]
	if !ok || t.special[id] {
		return 0, fmt.Errorf("%q is neither a byte nor the result of an earlier merge", spelled)
	}
	return id, nil
}

// classifyOthers checks the tokens that are neither bytes nor results of merges: they are characters or special tokens.
func (t *tokenizer) classifyOthers() error {
	for id, piece := range t.pieces {
		if !t.special[id] {
			continue
		}
		_, width := utf8.DecodeRuneInString(piece)
		switch {
		case piece == "":
			return fmt.Errorf("token %d is empty", id)
		case t.kind == kindChar && width > 1 && width == len(piece):
			t.special[id] = false
		case len(piece) < 3 || piece[0] != '<' || piece[len(piece)-1] != '>':
			return fmt.Errorf("token %d, %q, is not a byte, a %s piece or a <special> token", id, piece, t.kind)
		}
	}
	return nil
}

// specialID returns the id of a special token, or -1 where the vocabulary lacks it.
func (t *tokenizer) specialID(name string) int {
	if id, ok := t.ids[name]; ok && t.special[id] {
		return id
	}
	return -1
}

// size returns the number of tokens.
func (t *tokenizer) size() int { return len(t.pieces) }

// hasChatTokens reports whether the vocabulary has the special tokens of a conversation.
func (t *tokenizer) hasChatTokens() bool { return t.endOfText >= 0 && t.user >= 0 && t.assistant >= 0 }

// isSpecial reports whether id is a special token, which encode never returns.
func (t *tokenizer) isSpecial(id int) bool { return t.special[id] }

// piece returns the raw bytes of a token, which need not be valid UTF-8, or the name of a special token.
func (t *tokenizer) piece(id int) string {
	if id < 0 || id >= len(t.pieces) {
		panic(fmt.Sprintf("tokenizer: id %d of %d tokens", id, len(t.pieces)))
	}
	return t.pieces[id]
}

// decode joins the pieces of ids.
func (t *tokenizer) decode(ids []int) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(t.piece(id))
	}
	return b.String()
}

// encode returns the ids of a text. The name of a special token in it is text like any other.
func (t *tokenizer) encode(text string) []int { return t.appendEncode(nil, text) }

// appendEncode appends the ids of text to ids.
func (t *tokenizer) appendEncode(ids []int, text string) []int {
	if t.kind == kindChar {
		return t.appendChars(ids, text)
	}
	m := wordMerger{rules: &t.rules}
	for word := range pretokens(text) {
		m.ids = m.ids[:0]
		for i := range len(word) {
			m.ids = append(m.ids, t.byteIDs[word[i]])
		}
		for _, id := range m.merge() {
			ids = append(ids, int(id))
		}
	}
	return ids
}

// appendChars appends one id per character, or the ids of its bytes where the character has no token.
func (t *tokenizer) appendChars(ids []int, text string) []int {
	for len(text) > 0 {
		_, width := utf8.DecodeRuneInString(text)
		char := text[:width]
		text = text[width:]
		if id, ok := t.ids[char]; ok {
			ids = append(ids, id)
			continue
		}
		for i := range len(char) {
			ids = append(ids, int(t.byteIDs[char[i]]))
		}
	}
	return ids
}
