package safetensors

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

// safetensorsOf returns a file with this header and dataBytes bytes of data: 0, 1, 2 and so on.
func safetensorsOf(header string, dataBytes int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for i := range dataBytes {
		file = append(file, byte(i))
	}
	return file
}

func readTensorBytes(file []byte) (*File, error) {
	return Read(bytes.NewReader(file), int64(len(file)))
}

// floatBits returns the bits of the values, so that NaNs can be compared too.
func floatBits(xs []float32) []uint32 {
	b := make([]uint32, len(xs))
	for i, x := range xs {
		b[i] = math.Float32bits(x)
	}
	return b
}

func TestWrite_FollowsTheFormatByteByByte(t *testing.T) {
	tensors := []Tensor{
		{Name: "b", Shape: []int{2}, Data: []float32{1, -2}}, {Name: "a", Shape: nil, Data: []float32{0.5}}}
	var file bytes.Buffer
	require.NoError(t, Write(&file, tensors, map[string]string{"step": "7", "format": "tf"}))
	header := `{"__metadata__":{"format":"pt","step":"7"},"a":{"data_offsets":[8,12],"dtype":"F32","shape":[]},` +
		`"b":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := append(safetensorsOf(header, 0), 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f)
	require.Equal(t, string(want), file.String())
}

func TestSaveAndLoad_KeepEveryBit(t *testing.T) {
	long := make([]float32, 3*chunkSize+5)
	for i := range long {
		long[i] = math.Float32frombits(uint32(i) * 2654435761) // zeros, subnormals, normals, infinities and NaNs
	}
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, 0x1p-127,
		math.Float32frombits(0x7fc00000), math.Float32frombits(0x7f800001), math.Float32frombits(0xffc12345)}
	tensors := []Tensor{
		{Name: "long", Shape: []int{len(long)}, Data: long},
		{Name: "empty", Shape: []int{3, 0}, Data: []float32{}},
		{Name: "special <>&\u2028\"\\", Shape: []int{1, len(special)}, Data: special},
		{Name: "", Shape: nil, Data: []float32{7}},
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, Save(path, tensors, map[string]string{"提示": "text\x00\n"}))
	tf, err := Load(path)
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

func TestLoad_ErrorsNameTheFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "m.safetensors")
	require.NoError(t, os.WriteFile(path, safetensorsOf(`{"w":7}`, 0), 0o644))
	_, err := Load(path)
	require.EqualError(t, err, path+`: tensor "w": not an object`)
	_, err = Load(path + "x")
	require.EqualError(t, err, path+"x: no such file or directory")
	_, err = Load(folder)
	require.ErrorContains(t, err, folder+": ")

	full := safetensorsOf(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	_, err = Read(bytes.NewReader(full[:len(full)-1]), int64(len(full))) // the file shrinks while it is read
	require.EqualError(t, err, `tensor "w": unexpected EOF`)
}

// fullDisk accepts room bytes and then fails.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return d.room, errors.New("no space left")
	}
	d.room -= len(p)
	return len(p), nil
}

func TestWrite_ReportsEveryFailure(t *testing.T) {
	w := Tensor{Name: "w", Shape: []int{3}, Data: []float32{1, 2, 3}}
	var file bytes.Buffer
	require.NoError(t, Write(&file, []Tensor{w}, nil))
	for room := range file.Len() {
		require.EqualError(t, Write(&fullDisk{room}, []Tensor{w}, nil), "no space left", "after %d bytes", room)
	}
	require.NoError(t, Write(&fullDisk{file.Len()}, []Tensor{w}, nil))

	folder := t.TempDir()
	path := filepath.Join(folder, "m.safetensors")
	require.NoError(t, Save(path, []Tensor{w}, nil))
	require.EqualError(t, Save(path, nil, map[string]string{"k": "\xff"}), path+`: __metadata__: "k": not valid UTF-8`)
	require.EqualError(t, Save(path, []Tensor{{Name: "\xff", Shape: []int{0}}}, nil),
		path+`: tensor "\xff": name is not valid UTF-8`)
	requireFiles(t, folder, map[string]string{"m.safetensors": file.String()})

	require.PanicsWithValue(t, "safetensors: two members named w", func() { Write(io.Discard, []Tensor{w, w}, nil) })
	w.Shape = []int{2}
	require.PanicsWithValue(t, "safetensors: len(Data) is not the product of Shape: w",
		func() { Write(io.Discard, []Tensor{w}, nil) })
}

func TestLoad_ReadsAFileOfPyTorch(t *testing.T) {
	tf, err := Load("../../testdata/golden/tiny.safetensors")
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

func FuzzRead_WhatIsReadCanBeWrittenAndReadAgain(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(safetensorsOf(`{}`, 0))
	f.Add(safetensorsOf(`{"__metadata__":{"a":"\ud83d\ude00"},`+
		`"w":{"dtype":"BF16","shape":[2],"data_offsets":[1,5]},`+
		`"v":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]}}`, 5))
	f.Add(safetensorsOf(`{"w":{"dtype":"F16","shape":[1,3],"data_offsets":[0,6]},`+
		`"v":{"dtype":"F32","shape":[0],"data_offsets":[6,6]}} `, 6))
	f.Fuzz(func(t *testing.T, file []byte) {
		tf, err := readTensorBytes(file)
		if err != nil {
			return
		}
		var floats []Tensor
		for _, x := range tf.Tensors {
			if _, err := x.Floats(); err == nil {
				floats = append(floats, x)
			}
		}
		var again bytes.Buffer
		require.NoError(t, Write(&again, floats, tf.Metadata))
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

// requireFiles requires that the folder holds exactly these files: their contents by name.
func requireFiles(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	got := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		require.NoError(t, err)
		got[e.Name()] = string(data)
	}
	require.Equal(t, want, got)
}
