package safetensors

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

	"gogpt/internal/strictjson"
)

// The JSON header: the type, the shape and the position of every tensor. An error names the tensor at fault.

const (
	maxHeader   = 100_000_000 // bytes, as in the reader of Hugging Face
	metadataKey = "__metadata__"
)

// entry is one tensor of the header.
type entry struct {
	Tensor           // without its data
	elements   int64 // product of Shape
	begin, end int64 // its bytes in the data
}

// readHeader returns the N bytes of JSON of a file of size bytes.
func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	if size < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a safetensors file", size)
	}
	var length [8]byte
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, 8), length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("header: its length %d is above the limit of %d", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("header: its length %d exceeds the %d bytes left in the file", n, size-8)
	}
	header := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(r, 8, int64(n)), header)
	return header, err
}

// parseHeader returns the metadata and the tensors in the order of their data, which must fill dataSize bytes.
func parseHeader(header []byte, dataSize int64) (map[string]string, []entry, error) {
	members, err := parseJSON(header)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	var metadata map[string]string
	if raw, ok := members[metadataKey]; ok {
		if metadata, err = parseMetadata(raw); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", metadataKey, err)
		}
		delete(members, metadataKey)
	}
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(members)) {
		e, err := parseEntry(name, members[name])
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	return metadata, entries, checkLayout(entries, dataSize)
}

// parseJSON returns the members of the header.
func parseJSON(header []byte) (map[string]json.RawMessage, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, errors.New("does not begin with {")
	}
	if at := strictjson.InvalidUTF8(header); at >= 0 {
		return nil, fmt.Errorf("invalid UTF-8 at byte %d", at)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(header, &whole); err != nil {
		return nil, err
	}
	if strictjson.UnpairedSurrogate(whole) {
		return nil, strictjson.ErrUnpairedSurrogate
	}
	return strictjson.Object(whole)
}

// parseMetadata returns the members of an object of strings.
func parseMetadata(raw []byte) (map[string]string, error) {
	members, err := strictjson.Object(raw)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(members))
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if metadata[key], err = strictjson.String(members[key]); err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	return metadata, nil
}

// parseEntry returns one tensor, whose type, shape and position must agree. It ignores unknown keys.
func parseEntry(name string, raw []byte) (entry, error) {
	e := entry{Tensor: Tensor{Name: name}}
	members, err := strictjson.Object(raw)
	if err != nil {
		return e, err
	}
	if e.DType, err = strictjson.String(members["dtype"]); err != nil {
		return e, fmt.Errorf("dtype: %w", err)
	}
	format, known := dtypes[e.DType]
	if !known {
		return e, fmt.Errorf("dtype: %q is unknown", e.DType)
	}
	shape, err := strictjson.Sizes(members["shape"])
	if err != nil {
		return e, fmt.Errorf("shape: %w", err)
	}
	offsets, err := strictjson.Sizes(members["data_offsets"])
	if err != nil {
		return e, fmt.Errorf("data_offsets: %w", err)
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return e, fmt.Errorf("data_offsets: %v is not [begin, end]", offsets)
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, e.setShape(shape, format.width)
}

// setShape sets the shape and checks that its numbers, of width bytes each, fill the bytes from begin to end.
func (e *entry) setShape(shape []int64, width int64) error {
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

// checkLayout checks that the tensors, in their order, fill the data without a gap, an overlap or a rest.
func checkLayout(entries []entry, dataSize int64) error {
	end := int64(0)
	for _, e := range entries {
		if e.begin != end {
			return fmt.Errorf("tensor %q: data begins at %d, not at %d", e.Name, e.begin, end)
		}
		end = e.end
	}
	if end != dataSize {
		return fmt.Errorf("the header describes %d bytes of data, the file holds %d", end, dataSize)
	}
	return nil
}

// encodeHeader returns the header of F32 tensors in their order, padded with spaces to a multiple of 8 bytes.
func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	texts := map[string]string{}
	for key, text := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(text) {
			return nil, fmt.Errorf("%s: %q: not valid UTF-8", metadataKey, key)
		}
		texts[key] = text
	}
	texts["format"] = "pt"
	members := map[string]any{metadataKey: texts}
	begin := 0
	for _, t := range tensors {
		if !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("tensor %q: name is not valid UTF-8", t.Name)
		}
		if _, seen := members[t.Name]; seen {
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
