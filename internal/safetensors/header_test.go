package safetensors

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The data of a file begins at a multiple of 8 bytes for any length of the header: spaces pad it.
func TestHeader_DataBeginsAtAMultipleOfEight(t *testing.T) {
	for length := 1; length <= 8; length++ {
		var file bytes.Buffer
		tensor := Tensor{Name: strings.Repeat("a", length), Shape: []int{1}, Data: []float32{1}}
		require.NoError(t, Write(&file, []Tensor{tensor}, nil))
		header := binary.LittleEndian.Uint64(file.Bytes())
		require.Zero(t, header%8, "a name of %d bytes", length)
		require.Equal(t, int(8+header+4), file.Len())
		text := string(file.Bytes()[8 : 8+header])
		require.Less(t, len(text)-len(strings.TrimRight(text, " ")), 8, "no more spaces than needed")
	}
}

func TestHeader_AcceptsWhatTheFormatAllows(t *testing.T) {
	// tensors in any order, unknown keys, a tensor of one number, an empty tensor between others, white space at the end
	file := safetensorsOf(`{"one":{"dtype":"F32","shape":[],"data_offsets":[8,12],"extra":{"a":[1,{}]}},`+
		`"zero":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[8,8]},`+
		`"ids":{"shape":[1],"dtype":"I64","data_offsets":[0,8]},`+
		`"\u00e9":{"dtype":"BOOL","shape":[1,1],"data_offsets":[12,13]}}`+" \n\t ", 13)
	tf, err := readTensorBytes(file)
	require.NoError(t, err)
	require.Nil(t, tf.Metadata)
	var names []string
	for _, x := range tf.Tensors {
		names = append(names, x.Name)
	}
	require.Equal(t, []string{"ids", "zero", "one", "é"}, names)
	require.Equal(t, []uint32{0x0b0a0908}, floatBits(tf.Tensors[2].Data))
	_, err = tf.Tensors[0].Floats()
	require.EqualError(t, err, `tensor "ids": cannot read I64 as float32`)
	empty, err := tf.Tensors[1].Floats()
	require.NoError(t, err)
	require.Empty(t, empty)

	tf, err = readTensorBytes(safetensorsOf(`{}`, 0))
	require.NoError(t, err)
	require.Empty(t, tf.Tensors)
}

func TestHeader_Refuses(t *testing.T) {
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
		{`{"w":1,"\u0077":2}`, 0, `header: duplicate key "w"`},
		{`{}`, 1, `the header describes 0 bytes of data, the file holds 1`},
		{`{"__metadata__":null}`, 0, `__metadata__: not an object`},
		{`{"__metadata__":{"a":1}}`, 0, `__metadata__: "a": not a string`},
		{`{"__metadata__":{"a":"1","a":"1"}}`, 0, `__metadata__: duplicate key "a"`},
		{`{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[3],"data_offsets":[5,8]}}`, 8,
			`tensor "v": data begins at 5, not at 4`},
		{`{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}`, 7,
			`tensor "v": data begins at 3, not at 4`},
		{`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 5,
			`the header describes 4 bytes of data, the file holds 5`},
		{`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7,
			`the header describes 8 bytes of data, the file holds 7`},
	} {
		_, err := readTensorBytes(safetensorsOf(c.header, c.data))
		require.EqualError(t, err, c.want, c.header)
	}
	for file, want := range map[string]string{
		"":                                    `0 bytes are too few for a safetensors file`,
		"\x02\x00\x00\x00\x00\x00\x00":        `7 bytes are too few for a safetensors file`,
		"\x03\x00\x00\x00\x00\x00\x00\x00{}":  `header: its length 3 exceeds the 2 bytes left in the file`,
		"\x00\xe1\xf5\x05\x00\x00\x00\x00{}":  `header: its length 100000000 exceeds the 2 bytes left in the file`,
		"\x01\xe1\xf5\x05\x00\x00\x00\x00{}":  `header: its length 100000001 is above the limit of 100000000`,
		"\xff\xff\xff\xff\xff\xff\xff\xff{} ": `header: its length 18446744073709551615 is above the limit of 100000000`,
	} {
		_, err := readTensorBytes([]byte(file))
		require.EqualError(t, err, want)
	}
}

func TestHeader_RefusesAWrongTensor(t *testing.T) {
	for _, c := range []struct {
		entry string // of the tensor "w"
		data  int
		want  string
	}{
		{`7`, 0, `not an object`},
		{`{"shape":[],"data_offsets":[0,4]}`, 4, `dtype: missing`},
		{`{"Dtype":"F32","shape":[],"data_offsets":[0,4]}`, 4, `dtype: missing`},
		{`{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}`, 4, `duplicate key "dtype"`},
		{`{"dtype":null,"shape":[],"data_offsets":[0,4]}`, 4, `dtype: not a string`},
		{`{"dtype":"f32","shape":[],"data_offsets":[0,4]}`, 4, `dtype: "f32" is unknown`},
		{`{"dtype":"F32","data_offsets":[0,4]}`, 4, `shape: missing`},
		{`{"dtype":"F32","shape":null,"data_offsets":[0,4]}`, 4, `shape: not an array`},
		{`{"dtype":"F32","shape":1,"data_offsets":[0,4]}`, 4, `shape: not an array`},
		{`{"dtype":"F32","shape":[1,-1],"data_offsets":[0,4]}`, 4,
			`shape: item 2 is not a whole number from 0 to 2^63-1`},
		{`{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}`, 4, `shape: item 1 is not a whole number from 0 to 2^63-1`},
		{`{"dtype":"F32","shape":[null],"data_offsets":[0,4]}`, 4,
			`shape: item 1 is not a whole number from 0 to 2^63-1`},
		{`{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}`, 4, `shape: item 1 is not a whole number from 0 to 2^63-1`},
		{`{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}`, 4,
			`shape: item 1 is not a whole number from 0 to 2^63-1`},
		{`{"dtype":"F32","shape":[4294967296,1073741825],"data_offsets":[0,4]}`, 4,
			`shape: [4294967296 1073741825] holds too many numbers`},
		{`{"dtype":"U8","shape":[9223372036854775807,2],"data_offsets":[0,4]}`, 4,
			`shape: [9223372036854775807 2] holds too many numbers`},
		{`{"dtype":"F32","shape":[]}`, 4, `data_offsets: missing`},
		{`{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}`, 4, `data_offsets: [0 4 8] is not [begin, end]`},
		{`{"dtype":"F32","shape":[],"data_offsets":[4,0]}`, 4, `data_offsets: [4 0] is not [begin, end]`},
		{`{"dtype":"F32","shape":[],"data_offsets":[0,-4]}`, 4,
			`data_offsets: item 2 is not a whole number from 0 to 2^63-1`},
		{`{"dtype":"F16","shape":[2,1],"data_offsets":[0,8]}`, 8, `data_offsets: 8 bytes, but F16 [2 1] takes 4`},
		{`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`, 8, `data begins at 4, not at 0`},
	} {
		_, err := readTensorBytes(safetensorsOf(`{"w":`+c.entry+`}`, c.data))
		require.EqualError(t, err, `tensor "w": `+c.want, c.entry)
	}
}
