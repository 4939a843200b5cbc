package tfevents

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A reader of event files, written from the definition of the format. It shares no code with the writer.

// readTFRecords returns the records of a file after it has verified both checksums of each.
func readTFRecords(r io.Reader) (records [][]byte, err error) {
	unmask := func(masked uint32) uint32 {
		rotated := masked - 0xa282ead8
		return rotated>>17 | rotated<<15
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for {
		var head [12]byte
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return records, nil
		} else if err != nil {
			return nil, err
		}
		if unmask(binary.LittleEndian.Uint32(head[8:])) != crc32.Checksum(head[:8], table) {
			return nil, errors.New("wrong checksum of a length")
		}
		body := make([]byte, binary.LittleEndian.Uint64(head[:])+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		data := body[:len(body)-4]
		if unmask(binary.LittleEndian.Uint32(body[len(data):])) != crc32.Checksum(data, table) {
			return nil, errors.New("wrong checksum of the data")
		}
		records = append(records, data)
	}
}

// protoFields returns the fields of a message by number: numbers as uint64, bytes as they are.
func protoFields(t *testing.T, message []byte) map[int][]any {
	fields := map[int][]any{}
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		require.Positive(t, n)
		message = message[n:]
		var value any
		size := map[uint64]int{1: 8, 5: 4}[key&7]
		switch key & 7 {
		case 0:
			value, size = binary.Uvarint(message)
		case 1:
			value = binary.LittleEndian.Uint64(message)
		case 5:
			value = uint64(binary.LittleEndian.Uint32(message))
		case 2:
			length, n := binary.Uvarint(message)
			size = n + int(length)
			value = message[n:size]
		default:
			t.Fatalf("wire type %d", key&7)
		}
		fields[int(key>>3)] = append(fields[int(key>>3)], value)
		message = message[size:]
	}
	return fields
}

// readScalars decodes an Event that holds scalars.
func readScalars(t *testing.T, event []byte) (step uint64, wallTime float64, scalars map[string]float32) {
	fields := protoFields(t, event)
	scalars = map[string]float32{}
	for _, summary := range fields[5] {
		for _, value := range protoFields(t, summary.([]byte))[1] {
			v := protoFields(t, value.([]byte))
			scalars[string(v[1][0].([]byte))] = math.Float32frombits(uint32(v[2][0].(uint64)))
		}
	}
	return fields[2][0].(uint64), math.Float64frombits(fields[1][0].(uint64)), scalars
}

func TestWriter_MasksTheChecksumAsTheFormatSays(t *testing.T) {
	// CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, appendix B.4).
	require.Equal(t, uint32(0x8a9136aa), crc32.Checksum(make([]byte, 32), castagnoli))
	crc := uint32(0x8a9136aa)
	require.Equal(t, (crc>>15|crc<<17)+0xa282ead8, maskedCRC(make([]byte, 32)))
}

func TestWriter_ItsChecksumsRevealAnyDamage(t *testing.T) {
	var file bytes.Buffer
	require.NoError(t, writeTFRecord(&file, []byte("some data")))
	records, err := readTFRecords(bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("some data")}, records)
	for i := range file.Len() {
		damaged := bytes.Clone(file.Bytes())
		damaged[i] ^= 1
		if i < 8 && binary.LittleEndian.Uint64(damaged) > 1<<20 {
			continue // a length that no test should allocate
		}
		_, err := readTFRecords(bytes.NewReader(damaged))
		require.Error(t, err, "byte %d", i)
	}
}

func TestWriter_WritesEventsAfterTheVersion(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, time.Unix(1000, 5e8))
	require.NoError(t, err)
	require.NoError(t, w.Write(1001, 7, []Scalar{{"a", 2}, {"b", -0.5}}))
	records, err := readTFRecords(&file)
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.Equal(t, []any{[]byte("brain.Event:2")}, protoFields(t, records[0])[3])
	require.Equal(t, []any{math.Float64bits(1000.5)}, protoFields(t, records[0])[1])
	step, wallTime, scalars := readScalars(t, records[1])
	require.Equal(t, uint64(7), step)
	require.Equal(t, 1001.0, wallTime)
	require.Equal(t, map[string]float32{"a": 2, "b": -0.5}, scalars)
}

func TestCreate_NamesTheFileAsTensorBoardExpects(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "events")
	w, err := Create(dir, "writer", time.Unix(1000, 0))
	require.NoError(t, err)
	require.NoError(t, w.Write(1001, 1, []Scalar{{"a", 2}}))
	require.NoError(t, w.Close())
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.0000001000.writer.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	records, err := readTFRecords(bytes.NewReader(data))
	require.NoError(t, err)
	require.Len(t, records, 2)
}
