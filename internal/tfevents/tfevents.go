// Package tfevents writes event files, which TensorBoard shows: scalars, each a step, a tag and a value. It knows
// nothing of the model.
//
// An event file is a TFRecord file of Event messages. Integers are little-endian.
//
//	record   length uint64 · masked CRC of length · data · masked CRC of data     (tsl/lib/io/record_writer.h)
//	masked   ((crc >> 15 | crc << 17) + 0xa282ead8), crc the CRC-32C              (tsl/lib/hash/crc32c.h)
//
//	message Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//	message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }
//
// The first event holds the version alone. A message is its fields one after another, each a key, number<<3 | wire
// type, and a value (protobuf.dev/programming-guides/encoding).
package tfevents

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// FilePrefix begins the name of every event file.
const FilePrefix = "events.out.tfevents"

const (
	eventVersion = "brain.Event:2"
	crcMaskDelta = 0xa282ead8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC returns the checksum of data in a TFRecord.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + crcMaskDelta
}

// writeTFRecord writes one record.
func writeTFRecord(out io.Writer, data []byte) error {
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(record))
	record = append(record, data...)
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(data))
	_, err := out.Write(record)
	return err
}

// protoMessage is an encoded protobuf message. Its methods append one field each.
type protoMessage []byte

// The wire types of protobuf.
const (
	protoVarint = 0
	protoI64    = 1
	protoLen    = 2
	protoI32    = 5
)

// key appends the key of a field, whose number must be below 16.
func (m *protoMessage) key(field, wireType int) { *m = append(*m, byte(field<<3|wireType)) }

func (m *protoMessage) int64(field int, v int64) {
	m.key(field, protoVarint)
	*m = binary.AppendUvarint(*m, uint64(v))
}

func (m *protoMessage) double(field int, v float64) {
	m.key(field, protoI64)
	*m = binary.LittleEndian.AppendUint64(*m, math.Float64bits(v))
}

func (m *protoMessage) float(field int, v float32) {
	m.key(field, protoI32)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(v))
}

func (m *protoMessage) bytes(field int, v []byte) {
	m.key(field, protoLen)
	*m = append(binary.AppendUvarint(*m, uint64(len(v))), v...)
}

// Scalar is one value with its name.
type Scalar struct {
	Tag   string // e.g. "train/loss"
	Value float64
}

// summaryEvent encodes an Event that holds scalars.
func summaryEvent(wallTime float64, step int64, scalars []Scalar) []byte {
	var summary, event protoMessage
	for _, s := range scalars {
		var value protoMessage
		value.bytes(1, []byte(s.Tag))
		value.float(2, float32(s.Value))
		summary.bytes(1, value)
	}
	event.double(1, wallTime)
	event.int64(2, step)
	event.bytes(5, summary)
	return event
}

// Writer writes the events of one run.
type Writer struct {
	out  io.Writer
	file io.Closer // nil when the caller closes the output
}

// NewWriter writes the version, dated to the start of the run, and returns a Writer. The caller closes out.
func NewWriter(out io.Writer, started time.Time) (*Writer, error) {
	var version protoMessage
	version.double(1, float64(started.UnixNano())/1e9)
	version.bytes(3, []byte(eventVersion))
	return &Writer{out: out}, writeTFRecord(out, version)
}

// Create creates an event file in the folder dir and the folder itself when it is missing. The file's name holds the
// start of the run, the name of the writer and the id of the process.
func Create(dir, writer string, started time.Time) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s.%010d.%s.%d", FilePrefix, started.Unix(), writer, os.Getpid())
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	w, err := NewWriter(f, started)
	if err != nil {
		f.Close()
		return nil, err
	}
	w.file = f
	return w, nil
}

// Write writes one event: scalars of a step. wallTime is in seconds since 1970.
func (w *Writer) Write(wallTime float64, step int64, scalars []Scalar) error {
	return writeTFRecord(w.out, summaryEvent(wallTime, step, scalars))
}

// Close closes the file of a Writer from Create.
func (w *Writer) Close() error { return w.file.Close() }
