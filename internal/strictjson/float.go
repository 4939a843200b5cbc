package strictjson

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Writing JSON: numbers that may be NaN or infinite, and one value a line.

// Float is a float64 that JSON can hold: NaN and infinities are written as null, and null is read as NaN.
type Float float64

// MarshalJSON writes the number, or null when it is NaN or infinite.
func (f Float) MarshalJSON() ([]byte, error) {
	if x := float64(f); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON reads a number, and null as NaN.
func (f *Float) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	return json.Unmarshal(raw, (*float64)(f))
}

// OrDash returns the number in the format of package fmt, or "-" when it is NaN.
func (f Float) OrDash(format string) string {
	if math.IsNaN(float64(f)) {
		return "-"
	}
	return fmt.Sprintf(format, float64(f))
}

// Print writes one JSON value and a newline. The characters <, > and & stay as they are.
func Print(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
