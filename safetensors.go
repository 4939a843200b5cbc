package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// safetensors, the file format of Hugging Face for weights   (https://huggingface.co/docs/safetensors)
//
//	8 bytes   N, little-endian
//	N bytes   JSON: {"__metadata__": {key: text}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}, …}
//	the rest  the tensors' values, little-endian, row-major, one tensor behind another without a gap
//
// Offsets count from the first byte of data. The reader refuses every file that is not exactly so; values may be NaN
// or infinite.

// tensorFile is the content of a safetensors file.
type tensorFile struct {
	Metadata map[string]string
	Tensors  []tensor // in the order of their data
}

// loadTensors reads a safetensors file.
func loadTensors(path string) (*tensorFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fileError(path, err)
	}
	tf, err := readTensors(f, info.Size())
	if err != nil {
		return nil, fileError(path, err)
	}
	return tf, nil
}

// readTensors reads safetensors of size bytes. It allocates for data only what the header, once checked, says r holds.
func readTensors(r io.ReaderAt, size int64) (*tensorFile, error) {
	header, err := readTensorHeader(r, size)
	if err != nil {
		return nil, err
	}
	start := int64(8 + len(header))
	metadata, entries, err := parseTensorHeader(header, size-start)
	if err != nil {
		return nil, err
	}
	tf := &tensorFile{Metadata: metadata, Tensors: make([]tensor, len(entries))}
	for i, e := range entries {
		data := io.NewSectionReader(r, start+e.begin, e.end-e.begin)
		if e.Data, err = readFloats(data, e.DType, e.elements); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		tf.Tensors[i] = e.tensor
	}
	return tf, nil
}

// tensorChunk is how many numbers are converted at a time.
const tensorChunk = 1 << 14

// readFloats reads n numbers of a type; nil when it does not convert to float32.
func readFloats(r io.Reader, dtype string, n int64) ([]float32, error) {
	format := tensorDTypes[dtype]
	if format.decode == nil {
		return nil, nil
	}
	floats := make([]float32, n)
	buf := make([]byte, min(n, tensorChunk)*format.width)
	for chunk := range slices.Chunk(floats, tensorChunk) {
		src := buf[:len(chunk)*int(format.width)]
		if _, err := io.ReadFull(r, src); err != nil {
			return nil, err
		}
		format.decode(chunk, src)
	}
	return floats, nil
}

// saveTensors writes a safetensors file, whole or not at all.
func saveTensors(path string, tensors []tensor, metadata map[string]string) error {
	return saveFile(path, func(w io.Writer) error { return writeTensors(w, tensors, metadata) })
}

// writeTensors writes tensors in the given order as F32, and metadata with "format": "pt", without which transformers
// opens no file. Equal content gives equal bytes.
func writeTensors(w io.Writer, tensors []tensor, metadata map[string]string) error {
	header, err := encodeTensorHeader(tensors, metadata)
	if err != nil {
		return err
	}
	buf := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	if _, err := w.Write(append(buf, header...)); err != nil {
		return err
	}
	for _, t := range tensors {
		for chunk := range slices.Chunk(t.Data, tensorChunk) {
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
