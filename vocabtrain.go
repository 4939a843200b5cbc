package main

// A vocabulary is made from texts: the 256 bytes first, so that every text has ids, then what the
// texts repeat, then the special tokens.

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// trainBPE learns a vocabulary of at most vocabSize tokens from texts: the bytes, the merges of
// the most frequent pairs (ties: lowest ids first) while a pair occurs twice, the special tokens.
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

// trainChar makes a vocabulary of at most vocabSize tokens from texts: the bytes, the characters
// of several bytes (most frequent first, ties by code point), the special tokens.
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

// byteVocab returns the first 256 tokens, as their byte-level spelling.
func byteVocab(vocabSize int) ([]string, error) {
	if vocabSize < minVocabSize {
		return nil, fmt.Errorf("vocabulary size %d: the bytes and special tokens alone take %d", vocabSize, minVocabSize)
	}
	var vocab []string
	for _, b := range byteOrder {
		vocab = append(vocab, string(byteRunes[b]))
	}
	return vocab, nil
}

// countWords returns the distinct words of texts in order of appearance, as ids of byteVocab.
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
