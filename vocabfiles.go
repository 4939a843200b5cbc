package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// tokenizerJSON is how a tokenizer is kept in a file: the tokens by id and the merges by rank,
// "left right", in GPT-2's byte-level spelling.
type tokenizerJSON struct {
	Kind   string   `json:"kind"`
	Vocab  []string `json:"vocab"`
	Merges []string `json:"merges,omitempty"`
}

// vocabStrings returns the byte-level spelling of every token, by id.
func (t *tokenizer) vocabStrings() []string {
	vocab := make([]string, t.size())
	for id, piece := range t.pieces {
		vocab[id] = toByteLevel(piece)
	}
	return vocab
}

// mergeStrings returns the merges by rank, each "left right" in byte-level spelling.
func (t *tokenizer) mergeStrings() []string {
	merges := make([]string, len(t.rules.list))
	for i, m := range t.rules.list {
		merges[i] = toByteLevel(t.pieces[m.left]) + " " + toByteLevel(t.pieces[m.right])
	}
	return merges
}

// MarshalJSON writes the same bytes for the same vocabulary.
func (t *tokenizer) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(tokenizerJSON{t.kind, t.vocabStrings(), t.mergeStrings()})
	return bytes.TrimSpace(b.Bytes()), err
}

// UnmarshalJSON reads what MarshalJSON writes. It refuses unknown fields and what newTokenizer
// refuses, and then leaves t as it is.
func (t *tokenizer) UnmarshalJSON(b []byte) error {
	var file tokenizerJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return err
	}
	read, err := newTokenizer(file.Kind, file.Vocab, file.Merges)
	if err != nil {
		return err
	}
	*t = *read
	return nil
}

// readGPT2Vocab reads the two files of GPT-2's vocabulary: encoder.json (or vocab.json), an object
// of token → id, and vocab.bpe (or merges.txt), a merge a line after an optional #version line.
func readGPT2Vocab(encoderJSON, merges []byte) (*tokenizer, error) {
	vocab, err := readEncoderJSON(encoderJSON)
	if err != nil {
		return nil, fmt.Errorf("GPT-2 vocabulary: %w", err)
	}
	lines := strings.Split(strings.ReplaceAll(string(merges), "\r\n", "\n"), "\n")
	if strings.HasPrefix(lines[0], "#version") {
		lines = lines[1:]
	}
	if last := len(lines) - 1; last >= 0 && lines[last] == "" {
		lines = lines[:last]
	}
	t, err := newTokenizer(kindBPE, vocab, lines)
	if err != nil {
		return nil, fmt.Errorf("GPT-2 vocabulary: %w", err)
	}
	return t, nil
}

// readEncoderJSON returns the keys of an object of token → id, by id.
func readEncoderJSON(b []byte) ([]string, error) {
	var object map[string]int
	if err := json.Unmarshal(b, &object); err != nil {
		return nil, err
	}
	// The map has lost the order and any repeated key: walk the valid text once more.
	var tokens []string
	var ids []int
	dec := json.NewDecoder(bytes.NewReader(b))
	for dec.Token(); dec.More(); {
		key, _ := dec.Token()
		var id int
		if err := dec.Decode(&id); err != nil {
			return nil, err
		}
		tokens, ids = append(tokens, key.(string)), append(ids, id)
	}
	vocab, taken := make([]string, len(ids)), make([]bool, len(ids))
	for i, id := range ids {
		if id < 0 || id >= len(ids) || taken[id] {
			return nil, fmt.Errorf("token %q: id %d is taken, or out of range for %d tokens", tokens[i], id, len(ids))
		}
		vocab[id], taken[id] = tokens[i], true
	}
	return vocab, nil
}
