package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// safetensorsOf is a file with the given header and as many bytes of data, counting up from 0.
func safetensorsOf(header string, dataBytes int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for i := range dataBytes {
		file = append(file, byte(i))
	}
	return file
}

func readTensorBytes(file []byte) (*tensorFile, error) {
	return readTensors(bytes.NewReader(file), int64(len(file)))
}

// floatBits makes values comparable bit by bit, NaN included.
func floatBits(xs []float32) []uint32 {
	b := make([]uint32, len(xs))
	for i, x := range xs {
		b[i] = math.Float32bits(x)
	}
	return b
}

func TestWrittenBytesFollowTheFormat(t *testing.T) {
	tensors := []tensor{{Name: "b", Shape: []int{2}, Data: []float32{1, -2}}, {Name: "a", Shape: nil, Data: []float32{0.5}}}
	var file bytes.Buffer
	require.NoError(t, writeTensors(&file, tensors, map[string]string{"step": "7", "format": "tf"}))
	header := `{"__metadata__":{"format":"pt","step":"7"},"a":{"data_offsets":[8,12],"dtype":"F32","shape":[]},` +
		`"b":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := append(safetensorsOf(header, 0), 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f)
	require.Equal(t, string(want), file.String())
}

func TestEveryBitSurvives(t *testing.T) {
	long := make([]float32, 3*tensorChunk+5)
	for i := range long {
		long[i] = math.Float32frombits(uint32(i) * 2654435761) // reaches every kind of number
	}
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, 0x1p-127,
		math.Float32frombits(0x7fc00000), math.Float32frombits(0x7f800001), math.Float32frombits(0xffc12345)}
	tensors := []tensor{
		{Name: "long", Shape: []int{len(long)}, Data: long},
		{Name: "empty", Shape: []int{3, 0}, Data: []float32{}},
		{Name: "special <>&\u2028\"\\", Shape: []int{1, len(special)}, Data: special},
		{Name: "", Shape: nil, Data: []float32{7}},
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, saveTensors(path, tensors, map[string]string{"提示": "text\x00\n"}))
	tf, err := loadTensors(path)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"format": "pt", "提示": "text\x00\n"}, tf.Metadata)
	require.Len(t, tf.Tensors, len(tensors))
	for i, want := range tensors {
		got := tf.Tensors[i]
		require.Equal(t, want.Name, got.Name)
		require.Equal(t, want.Shape, got.Shape)
		require.Equal(t, "F32", got.DType)
		require.Equal(t, floatBits(want.Data), floatBits(got.Data), want.Name)
	}
}

func TestHalfPrecisionConvertsExactly(t *testing.T) {
	all := make([]byte, 0, 1<<17)
	for h := range 1 << 16 {
		all = binary.LittleEndian.AppendUint16(all, uint16(h))
	}
	// A number is (−1)^sign · 2^exponent · 1.fraction, or 0.fraction at the smallest exponent; the largest is for Inf and NaN.
	for dtype, format := range map[string]struct{ fractionBits, bias int }{"F16": {10, 15}, "BF16": {7, 127}} {
		values, err := readFloats(bytes.NewReader(all), dtype, 1<<16)
		require.NoError(t, err)
		for h, got := range values {
			fractions := 1 << format.fractionBits
			exponent, fraction := h&0x7fff/fractions, h%fractions
			want := math.Ldexp(1+float64(fraction)/float64(fractions), exponent-format.bias)
			switch {
			case exponent == 0:
				want = math.Ldexp(float64(fraction)/float64(fractions), 1-format.bias)
			case exponent == 2*format.bias+1 && fraction == 0:
				want = math.Inf(1)
			case exponent == 2*format.bias+1:
				want = math.NaN()
			}
			if h>>15 == 1 {
				want = -want
			}
			if math.IsNaN(want) {
				require.True(t, math.IsNaN(float64(got)), "%s %#04x", dtype, h)
				require.Equal(t, h>>15 == 1, math.Signbit(float64(got)))
				continue
			}
			require.Equal(t, math.Float64bits(want), math.Float64bits(float64(got)), "%s %#04x", dtype, h)
		}
	}
}

func TestReaderTakesWhatTheFormatAllows(t *testing.T) {
	// out of order, unknown keys, numbers and empty tensors between others, white space behind
	file := safetensorsOf(`{"one":{"dtype":"F32","shape":[],"data_offsets":[8,12],"extra":{"a":[1,{}]}},`+
		`"zero":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[8,8]},`+
		`"ids":{"shape":[1],"dtype":"I64","data_offsets":[0,8]},"\u00e9":{"dtype":"BOOL","shape":[1,1],"data_offsets":[12,13]}}`+" \n\t ", 13)
	tf, err := readTensorBytes(file)
	require.NoError(t, err)
	require.Nil(t, tf.Metadata)
	var names []string
	for _, x := range tf.Tensors {
		names = append(names, x.Name)
	}
	require.Equal(t, []string{"ids", "zero", "one", "é"}, names)
	require.Equal(t, []uint32{0x0b0a0908}, floatBits(tf.Tensors[2].Data))
	_, err = tf.Tensors[0].floats()
	require.EqualError(t, err, `tensor "ids": cannot read I64 as float32`)
	empty, err := tf.Tensors[1].floats()
	require.NoError(t, err)
	require.Empty(t, empty)

	tf, err = readTensorBytes(safetensorsOf(`{}`, 0))
	require.NoError(t, err)
	require.Empty(t, tf.Tensors)
}

func TestReaderRefuses(t *testing.T) {
	one := func(entry string) string { return `{"w":` + entry + `}` }
	for _, c := range []struct {
		header string
		data   int
		want   string
	}{
		{``, 0, `header: does not begin with {`},
		{` {}`, 0, `header: does not begin with {`},
		{`[]`, 0, `header: does not begin with {`},
		{`{`, 0, `header: unexpected end of JSON input`},
		{`{} {}`, 0, `header: invalid character '{' after top-level value`},
		{"{}\x00", 0, `header: invalid character '\x00' after top-level value`},
		{"{\"\xff\":1}", 0, `header: invalid UTF-8 at byte 2`},
		{`{"\ud800":1}`, 0, `header: half of a \uXXXX surrogate pair`},
		{`{"w":1,"\u0077":2}`, 0, `header: key "w" stands twice`},
		{`{}`, 1, `the header tells of 0 bytes of data, the file holds 1`},
		{`{"__metadata__":null}`, 0, `__metadata__: not an object`},
		{`{"__metadata__":{"a":1}}`, 0, `__metadata__: "a": not a string`},
		{`{"__metadata__":{"a":"1","a":"1"}}`, 0, `__metadata__: key "a" stands twice`},
		{one(`7`), 0, `tensor "w": not an object`},
		{one(`{"shape":[],"data_offsets":[0,4]}`), 4, `tensor "w": dtype: missing`},
		{one(`{"Dtype":"F32","shape":[],"data_offsets":[0,4]}`), 4, `tensor "w": dtype: missing`},
		{one(`{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}`), 4, `tensor "w": key "dtype" stands twice`},
		{one(`{"dtype":null,"shape":[],"data_offsets":[0,4]}`), 4, `tensor "w": dtype: not a string`},
		{one(`{"dtype":"f32","shape":[],"data_offsets":[0,4]}`), 4, `tensor "w": dtype: "f32" is unknown`},
		{one(`{"dtype":"F32","data_offsets":[0,4]}`), 4, `tensor "w": shape: missing`},
		{one(`{"dtype":"F32","shape":null,"data_offsets":[0,4]}`), 4, `tensor "w": shape: not an array`},
		{one(`{"dtype":"F32","shape":1,"data_offsets":[0,4]}`), 4, `tensor "w": shape: not an array`},
		{one(`{"dtype":"F32","shape":[1,-1],"data_offsets":[0,4]}`), 4, `tensor "w": shape: item 2 is not a whole number from 0 to 2^63-1`},
		{one(`{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}`), 4, `tensor "w": shape: item 1 is not a whole number from 0 to 2^63-1`},
		{one(`{"dtype":"F32","shape":[null],"data_offsets":[0,4]}`), 4, `tensor "w": shape: item 1 is not a whole number from 0 to 2^63-1`},
		{one(`{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}`), 4, `tensor "w": shape: item 1 is not a whole number from 0 to 2^63-1`},
		{one(`{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}`), 4, `tensor "w": shape: item 1 is not a whole number from 0 to 2^63-1`},
		{one(`{"dtype":"F32","shape":[4294967296,1073741825],"data_offsets":[0,4]}`), 4, `tensor "w": shape: [4294967296 1073741825] holds too many numbers`},
		{one(`{"dtype":"U8","shape":[9223372036854775807,2],"data_offsets":[0,4]}`), 4, `tensor "w": shape: [9223372036854775807 2] holds too many numbers`},
		{one(`{"dtype":"F32","shape":[]}`), 4, `tensor "w": data_offsets: missing`},
		{one(`{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}`), 4, `tensor "w": data_offsets: [0 4 8] is not [begin, end]`},
		{one(`{"dtype":"F32","shape":[],"data_offsets":[4,0]}`), 4, `tensor "w": data_offsets: [4 0] is not [begin, end]`},
		{one(`{"dtype":"F32","shape":[],"data_offsets":[0,-4]}`), 4, `tensor "w": data_offsets: item 2 is not a whole number from 0 to 2^63-1`},
		{one(`{"dtype":"F16","shape":[2,1],"data_offsets":[0,8]}`), 8, `tensor "w": data_offsets: 8 bytes, but F16 [2 1] takes 4`},
		{one(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`), 8, `tensor "w": data begins at 4, not at 0`},
		{`{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[3],"data_offsets":[5,8]}}`, 8, `tensor "v": data begins at 5, not at 4`},
		{`{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}`, 7, `tensor "v": data begins at 3, not at 4`},
		{one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`), 5, `the header tells of 4 bytes of data, the file holds 5`},
		{one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`), 7, `the header tells of 8 bytes of data, the file holds 7`},
	} {
		_, err := readTensorBytes(safetensorsOf(c.header, c.data))
		require.EqualError(t, err, c.want, c.header)
	}
	for file, want := range map[string]string{
		"":                                    `0 bytes are too few for a safetensors file`,
		"\x02\x00\x00\x00\x00\x00\x00":        `7 bytes are too few for a safetensors file`,
		"\x03\x00\x00\x00\x00\x00\x00\x00{}":  `header: its length 3 exceeds the 2 bytes left in the file`,
		"\x00\xe1\xf5\x05\x00\x00\x00\x00{}":  `header: its length 100000000 exceeds the 2 bytes left in the file`,
		"\x01\xe1\xf5\x05\x00\x00\x00\x00{}":  `header: its length 100000001 is above 100000000`,
		"\xff\xff\xff\xff\xff\xff\xff\xff{} ": `header: its length 18446744073709551615 is above 100000000`,
	} {
		_, err := readTensorBytes([]byte(file))
		require.EqualError(t, err, want)
	}
}

func TestTensorErrorsNameTheFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "m.safetensors")
	require.NoError(t, os.WriteFile(path, safetensorsOf(`{"w":7}`, 0), 0o644))
	_, err := loadTensors(path)
	require.EqualError(t, err, path+`: tensor "w": not an object`)
	_, err = loadTensors(path + "x")
	require.EqualError(t, err, path+"x: no such file or directory")
	_, err = loadTensors(folder)
	require.ErrorContains(t, err, folder+": ")

	full := safetensorsOf(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	_, err = readTensors(bytes.NewReader(full[:len(full)-1]), int64(len(full))) // the file shrinks while it is read
	require.EqualError(t, err, `tensor "w": unexpected EOF`)
}

// fullDisk takes so many bytes and then fails.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return d.room, errors.New("no space left")
	}
	d.room -= len(p)
	return len(p), nil
}

func TestWriteFailuresAreReported(t *testing.T) {
	w := tensor{Name: "w", Shape: []int{3}, Data: []float32{1, 2, 3}}
	var file bytes.Buffer
	require.NoError(t, writeTensors(&file, []tensor{w}, nil))
	for room := range file.Len() {
		require.EqualError(t, writeTensors(&fullDisk{room}, []tensor{w}, nil), "no space left", "after %d bytes", room)
	}
	require.NoError(t, writeTensors(&fullDisk{file.Len()}, []tensor{w}, nil))

	folder := t.TempDir()
	path := filepath.Join(folder, "m.safetensors")
	require.NoError(t, saveTensors(path, []tensor{w}, nil))
	require.EqualError(t, saveTensors(path, nil, map[string]string{"k": "\xff"}), path+`: __metadata__: "k": not valid UTF-8`)
	require.EqualError(t, saveTensors(path, []tensor{{Name: "\xff", Shape: []int{0}}}, nil), path+`: tensor "\xff": name is not valid UTF-8`)
	requireFolder(t, folder, map[string]string{"m.safetensors": file.String()})

	require.PanicsWithValue(t, "safetensors: two members named w", func() { writeTensors(io.Discard, []tensor{w, w}, nil) })
	w.Shape = []int{2}
	require.PanicsWithValue(t, "safetensors: len(Data) is not the product of Shape: w", func() { writeTensors(io.Discard, []tensor{w}, nil) })
}

func TestFileOfPyTorchIsRead(t *testing.T) {
	tf, err := loadTensors("testdata/golden/tiny.safetensors")
	require.NoError(t, err)
	require.Contains(t, tf.Metadata["config"], `"n_embd": 32`)
	shapes := map[string][]int{}
	for _, x := range tf.Tensors {
		shapes[x.Name] = x.Shape
		require.Equal(t, "F32", x.DType)
	}
	require.Equal(t, []int{61, 32}, shapes["param/wte.weight"])
	require.Equal(t, []int{32, 96}, shapes["grad/h.1.attn.c_attn.weight"])
	require.Equal(t, []int{12, 61}, shapes["logits/0"])
}

func FuzzSafetensors(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(safetensorsOf(`{}`, 0))
	f.Add(safetensorsOf(`{"__metadata__":{"a":"\ud83d\ude00"},"w":{"dtype":"BF16","shape":[2],"data_offsets":[1,5]},"v":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]}}`, 5))
	f.Add(safetensorsOf(`{"w":{"dtype":"F16","shape":[1,3],"data_offsets":[0,6]},"v":{"dtype":"F32","shape":[0],"data_offsets":[6,6]}} `, 6))
	f.Fuzz(func(t *testing.T, file []byte) {
		tf, err := readTensorBytes(file)
		if err != nil {
			return
		}
		var floats []tensor
		for _, x := range tf.Tensors {
			if _, err := x.floats(); err == nil {
				floats = append(floats, x)
			}
		}
		var again bytes.Buffer
		require.NoError(t, writeTensors(&again, floats, tf.Metadata))
		tf, err = readTensorBytes(again.Bytes())
		require.NoError(t, err)
		require.Equal(t, "pt", tf.Metadata["format"])
		for _, want := range floats {
			i := 0
			for tf.Tensors[i].Name != want.Name {
				i++
			}
			require.Equal(t, want.Shape, tf.Tensors[i].Shape)
			require.Equal(t, floatBits(want.Data), floatBits(tf.Tensors[i].Data))
		}
	})
}
