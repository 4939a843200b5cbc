package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// The JSON header of safetensors: what each tensor is and where its data lies. An error names the tensor at fault.

const (
	maxTensorHeader   = 100_000_000 // bytes; the limit of the format's own reader
	tensorMetadataKey = "__metadata__"
)

// tensorEntry is what the header says about one tensor.
type tensorEntry struct {
	tensor           // all but its data
	elements   int64 // product of Shape
	begin, end int64 // its bytes in the data
}

// readTensorHeader returns the N bytes of JSON.
func readTensorHeader(r io.ReaderAt, size int64) ([]byte, error) {
	if size < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a safetensors file", size)
	}
	var length [8]byte
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, 8), length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxTensorHeader {
		return nil, fmt.Errorf("header: its length %d is above %d", n, maxTensorHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("header: its length %d exceeds the %d bytes left in the file", n, size-8)
	}
	header := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(r, 8, int64(n)), header)
	return header, err
}

// parseTensorHeader returns the metadata and the tensors in the order of their data. Together they fill dataSize bytes.
func parseTensorHeader(header []byte, dataSize int64) (map[string]string, []tensorEntry, error) {
	members, err := parseTensorJSON(header)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	var metadata map[string]string
	if raw, ok := members[tensorMetadataKey]; ok {
		if metadata, err = parseTensorMetadata(raw); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", tensorMetadataKey, err)
		}
		delete(members, tensorMetadataKey)
	}
	var entries []tensorEntry
	for _, name := range slices.Sorted(maps.Keys(members)) {
		e, err := parseTensorEntry(name, members[name])
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b tensorEntry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	return metadata, entries, checkTensorLayout(entries, dataSize)
}

// parseTensorJSON splits the header into its members.
func parseTensorJSON(header []byte) (map[string]json.RawMessage, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, errors.New("does not begin with {")
	}
	if at := invalidUTF8(header); at >= 0 {
		return nil, fmt.Errorf("invalid UTF-8 at byte %d", at)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(header, &whole); err != nil {
		return nil, err
	}
	if unpairedSurrogate(whole) {
		return nil, errUnpairedSurrogate
	}
	return jsonObject(whole)
}

// parseTensorMetadata reads an object of strings.
func parseTensorMetadata(raw []byte) (map[string]string, error) {
	members, err := jsonObject(raw)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(members))
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if metadata[key], err = jsonString(members[key]); err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	return metadata, nil
}

// parseTensorEntry reads one tensor's type, shape and place, which must agree. Keys that it does not know are ignored.
func parseTensorEntry(name string, raw []byte) (tensorEntry, error) {
	e := tensorEntry{tensor: tensor{Name: name}}
	members, err := jsonObject(raw)
	if err != nil {
		return e, err
	}
	if e.DType, err = jsonString(members["dtype"]); err != nil {
		return e, fmt.Errorf("dtype: %w", err)
	}
	format, known := tensorDTypes[e.DType]
	if !known {
		return e, fmt.Errorf("dtype: %q is unknown", e.DType)
	}
	shape, err := jsonSizes(members["shape"])
	if err != nil {
		return e, fmt.Errorf("shape: %w", err)
	}
	offsets, err := jsonSizes(members["data_offsets"])
	if err != nil {
		return e, fmt.Errorf("data_offsets: %w", err)
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return e, fmt.Errorf("data_offsets: %v is not [begin, end]", offsets)
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, e.setShape(shape, format.width)
}

// setShape takes the extents over and checks that as many numbers, of width bytes each, fill begin … end.
func (e *tensorEntry) setShape(shape []int64, width int64) error {
	size := width
	for _, n := range shape {
		high, low := bits.Mul64(uint64(size), uint64(n))
		if high != 0 || low > math.MaxInt64 {
			return fmt.Errorf("shape: %v holds too many numbers", shape)
		}
		size = int64(low)
		e.Shape = append(e.Shape, int(n))
	}
	if size != e.end-e.begin {
		return fmt.Errorf("data_offsets: %d bytes, but %s %v takes %d", e.end-e.begin, e.DType, shape, size)
	}
	e.elements = size / width
	return nil
}

// checkTensorLayout checks that the tensors, in order, fill the data without gap, overlap or rest.
func checkTensorLayout(entries []tensorEntry, dataSize int64) error {
	end := int64(0)
	for _, e := range entries {
		if e.begin != end {
			return fmt.Errorf("tensor %q: data begins at %d, not at %d", e.Name, e.begin, end)
		}
		end = e.end
	}
	if end != dataSize {
		return fmt.Errorf("the header tells of %d bytes of data, the file holds %d", end, dataSize)
	}
	return nil
}

// encodeTensorHeader is the header for F32 tensors in the given order, filled up with spaces to a multiple of 8 bytes.
// Text that is not UTF-8 is an error. Names must differ, and each shape must agree with its data.
func encodeTensorHeader(tensors []tensor, metadata map[string]string) ([]byte, error) {
	texts := map[string]string{}
	for key, text := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(text) {
			return nil, fmt.Errorf("%s: %q: not valid UTF-8", tensorMetadataKey, key)
		}
		texts[key] = text
	}
	texts["format"] = "pt"
	members := map[string]any{tensorMetadataKey: texts}
	begin := 0
	for _, t := range tensors {
		if !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("tensor %q: name is not valid UTF-8", t.Name)
		}
		if _, twice := members[t.Name]; twice {
			panic("safetensors: two members named " + t.Name)
		}
		elements := 1
		for _, n := range t.Shape {
			elements *= n
		}
		if elements != len(t.Data) {
			panic("safetensors: len(Data) is not the product of Shape: " + t.Name)
		}
		end := begin + 4*elements
		members[t.Name] = map[string]any{
			"dtype": "F32", "shape": append([]int{}, t.Shape...), "data_offsets": [2]int{begin, end}}
		begin = end
	}
	header, err := json.Marshal(members)
	return append(header, bytes.Repeat([]byte(" "), -len(header)&7)...), err
}
