package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Tensors, and the types in which files hold their numbers.

// Tensor is a named array of numbers.
type Tensor struct {
	Name  string
	DType string    // the type in the file that was read, e.g. "BF16"; Write ignores it and writes F32
	Shape []int     // extents, row-major; without extents, the tensor is one number
	Data  []float32 // [product of Shape]; nil after reading a DType that does not convert to float32
}

// Floats returns Data, or an error for a DType that does not convert to float32.
func (t *Tensor) Floats() ([]float32, error) {
	if t.Data == nil {
		return nil, fmt.Errorf("tensor %q: cannot read %s as float32", t.Name, t.DType)
	}
	return t.Data, nil
}

// dtypes are the types of the format: the width of a number in bytes, and the conversion to float32 or nil.
var dtypes = map[string]struct {
	width  int64
	decode func(dst []float32, src []byte) // src holds len(dst) numbers
}{
	"F32": {4, decodeF32}, "F16": {2, decodeF16}, "BF16": {2, decodeBF16}, "F64": {8, nil},
	"I64": {8, nil}, "I32": {4, nil}, "I16": {2, nil}, "I8": {1, nil},
	"U64": {8, nil}, "U32": {4, nil}, "U16": {2, nil}, "U8": {1, nil}, "BOOL": {1, nil},
}

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// decodeBF16 converts bfloat16 numbers: each is the upper half of a float32.
func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// float16 returns the value of an IEEE 754 binary16: 1 bit sign, 5 bits exponent biased by 15, 10 bits fraction.
func float16(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&0x3FF
	switch exponent {
	case 0: // zero and subnormals: fraction · 2⁻²⁴
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-24) | sign)
	case 31: // infinities and NaN
		return math.Float32frombits(sign | 0xFF<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent-15+127)<<23 | fraction<<13)
}
