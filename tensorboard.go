package main

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

// Event files for TensorBoard: a TFRecord file of Event messages.
//
//	record   length uint64 · masked CRC of length · data · masked CRC of data     little-endian (tsl/lib/io/record_writer.h)
//	masked   ((crc >> 15 | crc << 17) + 0xa282ead8), crc the CRC-32C              (tsl/lib/hash/crc32c.h)
//
//	message Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//	message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }
//
// The first event holds the version alone. A message is its fields one after another, each a key, number<<3 | wire type,
// and a value (protobuf.dev/programming-guides/encoding).

const (
	eventFile    = "events.out.tfevents" // how the name of every event file begins
	eventVersion = "brain.Event:2"
	crcMaskDelta = 0xa282ead8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of a TFRecord.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + crcMaskDelta
}

// writeTFRecord appends one record.
func writeTFRecord(out io.Writer, data []byte) error {
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(record))
	record = append(record, data...)
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(data))
	_, err := out.Write(record)
	return err
}

// protoMessage is a protobuf message, field after field.
type protoMessage []byte

// The wire types of protobuf.
const (
	protoVarint = 0
	protoI64    = 1
	protoLen    = 2
	protoI32    = 5
)

func (m *protoMessage) key(field, wireType int) { *m = append(*m, byte(field<<3|wireType)) } // fields below 16

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

// scalar is one value of a Summary.
type scalar struct {
	tag   string
	value jsonFloat
}

// summaryEvent encodes an Event with scalars.
func summaryEvent(wallTime float64, step int64, scalars []scalar) []byte {
	var summary, event protoMessage
	for _, s := range scalars {
		var value protoMessage
		value.bytes(1, []byte(s.tag))
		value.float(2, float32(s.value))
		summary.bytes(1, value)
	}
	event.double(1, wallTime)
	event.int64(2, step)
	event.bytes(5, summary)
	return event
}

// eventLog is the observer that writes an event an epoch. Steps count on through the phases.
type eventLog struct {
	out     io.Writer
	started float64 // seconds since 1970, when the run began

	phase string
	base  int // steps of the phases before
	step  int // of the phase at work
}

// createEventLog begins a new event file in dir, which it makes where it is missing. The caller closes the file.
func createEventLog(dir string, started time.Time) (*eventLog, *os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("%s.%010d.gogpt.%d", eventFile, started.Unix(), os.Getpid())
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, nil, err
	}
	l := &eventLog{out: f, started: float64(started.UnixNano()) / 1e9}
	var version protoMessage
	version.double(1, l.started)
	version.bytes(3, []byte(eventVersion))
	if err := writeTFRecord(f, version); err != nil {
		f.Close()
		return nil, nil, err
	}
	return l, f, nil
}

func (l *eventLog) observe(record any) error {
	r, ok := record.(*epochRecord)
	if !ok {
		return nil
	}
	if r.Phase != l.phase {
		l.phase, l.base = r.Phase, l.base+l.step
	}
	l.step = r.Step
	scalars := []scalar{{"train/loss", r.AvgLoss}, {"train/ppl", r.PPL}, {"train/grad_norm", r.AvgGradNorm},
		{"train/learning_rate", r.LR}, {"train/samples_per_second", r.SamplesPerSec}}
	if r.ValLoss != nil {
		scalars = append(scalars, scalar{"eval/loss", *r.ValLoss})
	}
	err := writeTFRecord(l.out, summaryEvent(l.started+float64(r.ElapsedSec), int64(l.base+l.step), scalars))
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}
