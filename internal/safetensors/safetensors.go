// Package safetensors reads and writes safetensors, the file format of Hugging Face for the weights of models. It knows
// tensors by their names alone and nothing of the model.
//
// The format (https://huggingface.co/docs/safetensors):
//
//	8 bytes   N, little-endian
//	N bytes   JSON: {"__metadata__": {key: text}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}, …}
//	the rest  the tensors' values, little-endian, row-major, one tensor after another without a gap
//
// Offsets count from the first byte of data. The reader refuses every file that differs from this in any way; values
// may be NaN or infinite. The writer writes F32 alone.
package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"gogpt/internal/atomicfile"
)

// File is the content of a safetensors file.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor // in the order of their data
}

// Load reads a safetensors file. An error begins with the path and names the tensor at fault.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, atomicfile.PathError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, atomicfile.PathError(path, err)
	}
	file, err := Read(f, info.Size())
	if err != nil {
		return nil, atomicfile.PathError(path, err)
	}
	return file, nil
}

// Read reads a safetensors file of size bytes from r. It checks the header against size before it allocates memory for
// data.
func Read(r io.ReaderAt, size int64) (*File, error) {
	header, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	start := int64(8 + len(header))
	metadata, entries, err := parseHeader(header, size-start)
	if err != nil {
		return nil, err
	}
	file := &File{Metadata: metadata, Tensors: make([]Tensor, len(entries))}
	for i, e := range entries {
		data := io.NewSectionReader(r, start+e.begin, e.end-e.begin)
		if e.Data, err = readFloats(data, e.DType, e.elements); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		file.Tensors[i] = e.Tensor
	}
	return file, nil
}

// chunkSize is the number of values that are converted at a time.
const chunkSize = 1 << 14

// readFloats reads n numbers of a type as float32. It returns nil for a type that does not convert.
func readFloats(r io.Reader, dtype string, n int64) ([]float32, error) {
	format := dtypes[dtype]
	if format.decode == nil {
		return nil, nil
	}
	floats := make([]float32, n)
	buf := make([]byte, min(n, chunkSize)*format.width)
	for chunk := range slices.Chunk(floats, chunkSize) {
		src := buf[:len(chunk)*int(format.width)]
		if _, err := io.ReadFull(r, src); err != nil {
			return nil, err
		}
		format.decode(chunk, src)
	}
	return floats, nil
}

// Save writes tensors and metadata to a file, whole or not at all, as Write does. An error begins with the path.
func Save(path string, tensors []Tensor, metadata map[string]string) error {
	return atomicfile.Save(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}

// Write writes the tensors in their order as F32, and the metadata with "format": "pt", which the library transformers
// requires. Equal content gives equal bytes. Text that is not UTF-8 is an error; two tensors of one name, or a shape
// that does not fit its data, make Write panic.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	buf := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	if _, err := w.Write(append(buf, header...)); err != nil {
		return err
	}
	for _, t := range tensors {
		for chunk := range slices.Chunk(t.Data, chunkSize) {
			buf = buf[:0]
			for _, x := range chunk {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}
