// Package strictjson reads JSON without repairing it, and writes numbers that JSON cannot hold as null. It knows
// nothing of the model.
//
// encoding/json accepts what a strict reader refuses (I-JSON, RFC 7493): it replaces invalid UTF-8 and unpaired
// surrogates with U+FFFD, lets the last of duplicate keys win, matches keys in any letter case, and reads null into
// every type. Object, String and Sizes refuse duplicate keys, keys in another letter case and null; InvalidUTF8 and
// UnpairedSurrogate find the rest. Each reader takes a JSON value that encoding/json has already found well-formed, and
// nil for a missing member.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The errors that callers look for or share.
var (
	ErrMissing           = errors.New("missing") // an object lacks this member
	ErrUnpairedSurrogate = errors.New(`half of a \uXXXX surrogate pair`)
)

// Object returns the members of an object by their keys. A duplicate key is an error.
func Object(raw []byte) (map[string]json.RawMessage, error) {
	if raw == nil {
		return nil, ErrMissing
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
		if _, seen := members[key]; seen {
			return nil, fmt.Errorf("duplicate key %q", key)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		members[key] = value
	}
	return members, nil
}

// Lines calls read for every line of data, in order. An error, of read or of a last line without a newline, names the
// line.
func Lines(data []byte, read func(line []byte) error) error {
	for number := 1; len(data) > 0; number++ {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		err := errors.New("incomplete, no newline at its end")
		if complete {
			err = read(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		data = rest
	}
	return nil
}

// Decode decodes an object with these members into a record. Every member must be a field of the record, and every
// field that is always written must be a member: those that the record has when it is encoded again.
func Decode[R any](raw []byte, members map[string]json.RawMessage) (r R, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	again, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	written, err := Object(again)
	for key := range written {
		if _, ok := members[key]; !ok {
			return r, fmt.Errorf("%s: %w", key, ErrMissing)
		}
	}
	return r, err
}

// String returns the text of a JSON string. A value of any other type, null included, is an error.
func String(raw []byte) (string, error) {
	if raw == nil {
		return "", ErrMissing
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", errors.New("not a string")
	}
	return *s, nil
}

// Sizes returns the items of an array of whole numbers from 0 to 2^63-1. Anything else is an error.
func Sizes(raw []byte) ([]int64, error) {
	if raw == nil {
		return nil, ErrMissing
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

// UnpairedSurrogate reports whether a string in raw holds half of a UTF-16 surrogate pair, such as "\ud83d" without
// "\ude00".
func UnpairedSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\') // occurs only in strings
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

// utf16Escape returns the UTF-16 unit of the escape \uXXXX at the start of raw; ok is false when raw begins otherwise.
func utf16Escape(raw []byte) (unit rune, ok bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(n), err == nil
}

// InvalidUTF8 returns the offset of the first byte that belongs to no UTF-8 character, or -1 when data is valid UTF-8.
func InvalidUTF8(data []byte) int {
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

// LineAt returns the number of the line, counted from 1, that holds the byte at the offset.
func LineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }
