package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The numbers of a file begin at a multiple of 8 bytes, whatever the length of the header before them: spaces fill it up.
func TestTensorHeader_NumbersBeginAtAMultipleOfEight(t *testing.T) {
	for length := 1; length <= 8; length++ {
		var file bytes.Buffer
		require.NoError(t, writeTensors(&file, []tensor{{Name: strings.Repeat("a", length), Shape: []int{1}, Data: []float32{1}}}, nil))
		header := binary.LittleEndian.Uint64(file.Bytes())
		require.Zero(t, header%8, "a name of %d bytes", length)
		require.Equal(t, int(8+header+4), file.Len())
		text := string(file.Bytes()[8 : 8+header])
		require.Less(t, len(text)-len(strings.TrimRight(text, " ")), 8, "no more spaces than needed")
	}
}
