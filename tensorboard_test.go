package main

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

	"github.com/stretchr/testify/require"
)

// A reader of event files, written from the format's definition and sharing nothing with the writer.

// readTFRecords splits a file into records and verifies both checksums of each.
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
			return nil, errors.New("checksum of a length")
		}
		body := make([]byte, binary.LittleEndian.Uint64(head[:])+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		data := body[:len(body)-4]
		if unmask(binary.LittleEndian.Uint32(body[len(data):])) != crc32.Checksum(data, table) {
			return nil, errors.New("checksum of the data")
		}
		records = append(records, data)
	}
}

// protoFields reads the fields of a message: numbers as uint64, bytes as they are.
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

// readScalars reads an Event with scalars.
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

func TestTheChecksumIsThatOfTheFormat(t *testing.T) {
	// CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, appendix B.4).
	require.Equal(t, uint32(0x8a9136aa), crc32.Checksum(make([]byte, 32), castagnoli))
	crc := uint32(0x8a9136aa)
	require.Equal(t, (crc>>15|crc<<17)+0xa282ead8, maskedCRC(make([]byte, 32)))
}

func TestADamagedRecordIsNoticed(t *testing.T) {
	var file bytes.Buffer
	require.NoError(t, writeTFRecord(&file, []byte("some data")))
	records, err := readTFRecords(bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("some data")}, records)
	for i := range file.Len() {
		damaged := bytes.Clone(file.Bytes())
		damaged[i] ^= 1
		if i < 8 && damaged[7] == 0 && binary.LittleEndian.Uint64(damaged) > 1<<20 {
			continue // a length that no test should allocate
		}
		if i == 7 {
			continue
		}
		_, err := readTFRecords(bytes.NewReader(damaged))
		require.Error(t, err, "byte %d", i)
	}
}

func TestTensorBoardReadsARunOfTwoPhases(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "events")
	trained(t, "--pretrain-epochs=3", "--finetune-epochs=2", "--val-fraction=0.2", "--tensorboard="+dir)
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	records, err := readTFRecords(bytes.NewReader(data))
	require.NoError(t, err)
	require.Len(t, records, 1+3+2)
	require.Equal(t, []any{[]byte("brain.Event:2")}, protoFields(t, records[0])[3])
	var steps []uint64
	var before float64
	for _, r := range records[1:] {
		step, wallTime, scalars := readScalars(t, r)
		steps = append(steps, step)
		require.GreaterOrEqual(t, wallTime, before)
		before = wallTime
		require.Len(t, scalars, 6)
		require.InEpsilon(t, math.Exp(float64(scalars["train/loss"])), scalars["train/ppl"], 1e-5)
		for _, tag := range []string{"train/grad_norm", "train/learning_rate", "train/samples_per_second", "eval/loss"} {
			require.Positive(t, scalars[tag], tag)
		}
	}
	require.Equal(t, []uint64{10, 20, 30, 35, 38}, steps, "steps count on through the phases")
}

func TestEventsWithoutValidationHaveNoEvalLoss(t *testing.T) {
	var file bytes.Buffer
	l := &eventLog{out: &file, started: 1000}
	require.NoError(t, l.observe(&epochRecord{Phase: "pretrain", Step: 7, AvgLoss: 2, ElapsedSec: 0.5}))
	require.NoError(t, l.observe(endRecord{}))
	records, err := readTFRecords(&file)
	require.NoError(t, err)
	require.Len(t, records, 1)
	step, wallTime, scalars := readScalars(t, records[0])
	require.Equal(t, uint64(7), step)
	require.Equal(t, 1000.5, wallTime)
	require.NotContains(t, scalars, "eval/loss")
	require.Equal(t, float32(2), scalars["train/loss"])
}

func TestTensorBoard_EveryScalarIsTheFieldOfItsName(t *testing.T) {
	var file bytes.Buffer
	val := jsonFloat(6)
	l := &eventLog{out: &file}
	require.NoError(t, l.observe(&epochRecord{Phase: "pretrain", Step: 1, AvgLoss: 1, PPL: 2, AvgGradNorm: 3, LR: 4,
		SamplesPerSec: 5, TokensPerSec: 50, ValLoss: &val, BestLoss: 60}))
	records, err := readTFRecords(&file)
	require.NoError(t, err)
	_, _, scalars := readScalars(t, records[0])
	require.Equal(t, map[string]float32{"train/loss": 1, "train/ppl": 2, "train/grad_norm": 3, "train/learning_rate": 4,
		"train/samples_per_second": 5, "eval/loss": 6}, scalars)
}
