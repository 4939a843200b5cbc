package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Vocabularies: built from texts, and saved in files. A vocabulary that is built from texts has first the 256 bytes, so
// that every text can be encoded, then the pieces that occur often in the texts, then the special tokens.

// trainBPE builds a vocabulary of at most vocabSize tokens from texts: the bytes, the results of merging the most
// frequent pairs (learnMerges), the special tokens.
func trainBPE(texts []string, vocabSize int) (*tokenizer, error) {
	vocab, err := byteVocab(vocabSize)
	if err != nil {
		return nil, err
	}
	var merges []string
	for _, m := range learnMerges(countWords(texts), len(vocab), vocabSize-minVocabSize) {
		merges = append(merges, vocab[m.left]+" "+vocab[m.right])
		vocab = append(vocab, vocab[m.left]+vocab[m.right])
	}
	return newTokenizer(kindBPE, append(vocab, endOfText, userTurn, assistantTurn), merges)
}

// trainChar builds a vocabulary of at most vocabSize tokens from texts: the bytes, the characters of several bytes (the
// most frequent first, of equal counts the lower code point), the special tokens.
func trainChar(texts []string, vocabSize int) (*tokenizer, error) {
	vocab, err := byteVocab(vocabSize)
	if err != nil {
		return nil, err
	}
	chars := multibyteChars(texts)
	for _, c := range chars[:min(len(chars), vocabSize-minVocabSize)] {
		vocab = append(vocab, toByteLevel(string(c)))
	}
	return newTokenizer(kindChar, append(vocab, endOfText, userTurn, assistantTurn), nil)
}

// byteVocab returns the byte-level spelling of the first 256 tokens. vocabSize, the limit of the whole vocabulary, must
// leave room for the special tokens too.
func byteVocab(vocabSize int) ([]string, error) {
	if vocabSize < minVocabSize {
		return nil, fmt.Errorf("vocabulary size %d: want at least %d (256 bytes and the special tokens)",
			vocabSize, minVocabSize)
	}
	var vocab []string
	for _, b := range byteOrder {
		vocab = append(vocab, string(byteRunes[b]))
	}
	return vocab, nil
}

// countWords returns the distinct words of texts in the order of their first occurrence, as ids of byteVocab.
func countWords(texts []string) []countedWord {
	var idOf [256]int32
	for id, b := range byteOrder {
		idOf[b] = int32(id)
	}
	var words []countedWord
	index := make(map[string]int)
	for _, text := range texts {
		for word := range pretokens(text) {
			i, seen := index[word]
			if !seen {
				i = len(words)
				index[word] = i
				ids := make([]int32, len(word))
				for j := range ids {
					ids[j] = idOf[word[j]]
				}
				words = append(words, countedWord{ids: ids})
			}
			words[i].count++
		}
	}
	return words
}

// multibyteChars returns the distinct characters of several bytes in texts: the most frequent first, of equal counts
// the lower code point.
func multibyteChars(texts []string) []rune {
	counts := make(map[rune]int)
	for _, text := range texts {
		for len(text) > 0 {
			r, width := utf8.DecodeRuneInString(text)
			if width > 1 {
				counts[r]++
			}
			text = text[width:]
		}
	}
	chars := make([]rune, 0, len(counts))
	for c := range counts {
		chars = append(chars, c)
	}
	slices.SortFunc(chars, func(a, b rune) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return chars
}

// buildTokenizer builds the vocabulary that cfg asks for from all texts of the corpora.
func buildTokenizer(cfg *Config, corpora ...*corpus) (*tokenizer, error) {
	var texts []string
	for _, c := range corpora {
		texts = append(texts, c.Rows...)
		texts = append(texts, c.Streams...)
		for _, p := range slices.Concat(c.conversations()...) {
			texts = append(texts, p.User, p.Assistant)
		}
	}
	if cfg.Tokenizer == kindChar {
		return trainChar(texts, cfg.Model.Vocab)
	}
	return trainBPE(texts, cfg.Model.Vocab)
}

// tokenizerJSON is a tokenizer in a file. Tokens and merges are in byte-level spelling.
type tokenizerJSON struct {
	Kind   string   `json:"kind"`             // "bpe" or "char"
	Vocab  []string `json:"vocab"`            // [vocab] the tokens by id
	Merges []string `json:"merges,omitempty"` // by rank, "left right"
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

// MarshalJSON returns a tokenizerJSON, the same bytes for the same vocabulary.
func (t *tokenizer) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(tokenizerJSON{t.kind, t.vocabStrings(), t.mergeStrings()})
	return bytes.TrimSpace(b.Bytes()), err
}

// UnmarshalJSON reads a tokenizerJSON. An unknown field is an error, and so is what newTokenizer refuses; after an
// error t is unchanged.
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

// readGPT2Vocab reads the two files of GPT-2's vocabulary: encoder.json (or vocab.json), an object of token → id, and
// vocab.bpe (or merges.txt), one merge per line after an optional #version line.
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

// readEncoderJSON reads an object of token → id and returns the tokens by id. n tokens must have the ids 0 to n-1, each
// id once.
func readEncoderJSON(b []byte) ([]string, error) {
	var object map[string]int
	if err := json.Unmarshal(b, &object); err != nil {
		return nil, err
	}
	// A map forgets repeated keys, so the JSON, now known to be valid, is read a second time.
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
			return nil, fmt.Errorf("token %q: id %d is out of range, or another token has it: expected 0 to %d, each once",
				tokens[i], id, len(ids)-1)
		}
		vocab[id], taken[id] = tokens[i], true
	}
	return vocab, nil
}
