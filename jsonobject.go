package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding/json repairs what a strict reader refuses: invalid UTF-8 and unpaired surrogates become U+FFFD, of equal keys
// the last one wins, keys match in any letter case, null fits every type. The functions here refuse all of it. Each
// takes raw as a JSON value that encoding/json has already found well-formed; nil stands for a member that is not there.

var (
	errMissing           = errors.New("missing") // a member that an object should have
	errUnpairedSurrogate = errors.New(`half of a \uXXXX surrogate pair`)
)

// jsonObject splits an object into its members. A key that stands twice is an error.
func jsonObject(raw []byte) (map[string]json.RawMessage, error) {
	if raw == nil {
		return nil, errMissing
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, twice := members[key]; twice {
			return nil, fmt.Errorf("key %q stands twice", key)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		members[key] = value
	}
	return members, nil
}

// jsonString reads a string, and nothing else.
func jsonString(raw []byte) (string, error) {
	if raw == nil {
		return "", errMissing
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", errors.New("not a string")
	}
	return *s, nil
}

// jsonSizes reads an array of whole numbers from 0 to 2^63-1.
func jsonSizes(raw []byte) ([]int64, error) {
	if raw == nil {
		return nil, errMissing
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || items == nil {
		return nil, errors.New("not an array")
	}
	sizes := make([]int64, len(items))
	for i, item := range items {
		n, err := strconv.ParseUint(string(item), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("item %d is not a whole number from 0 to 2^63-1", i+1)
		}
		sizes[i] = int64(n)
	}
	return sizes, nil
}

// unpairedSurrogate tells whether a string in raw holds half of a UTF-16 pair, as "\ud83d" without "\ude00".
func unpairedSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\') // stands only in strings
		if i < 0 {
			return false
		}
		raw = raw[i:]
		unit, ok := utf16Escape(raw)
		switch {
		case !ok:
			raw = raw[2:]
		case !utf16.IsSurrogate(unit):
			raw = raw[6:]
		default:
			low, _ := utf16Escape(raw[6:])
			if utf16.DecodeRune(unit, low) == utf8.RuneError {
				return true
			}
			raw = raw[12:]
		}
	}
}

// utf16Escape reads the \uXXXX that raw begins with, if it does.
func utf16Escape(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(unit), err == nil
}

// invalidUTF8 is the offset of the first byte that is not part of a UTF-8 character, or -1.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	i := 0
	for {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
}

// lineAt is the line, from 1, of the byte at the offset.
func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }
