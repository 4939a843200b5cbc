//go:build unix

package terminal

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// closedPipe returns a pipe whose reader has closed it.
func closedPipe(t *testing.T) *os.File {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	t.Cleanup(func() { writer.Close() })
	return writer
}

func TestConsole_BrokenPipeIsOneStreamWithoutAReader(t *testing.T) {
	out := closedPipe(t)
	_, err := out.WriteString("x")
	require.True(t, BrokenPipe(out, err))
	require.False(t, BrokenPipe(new(bytes.Buffer), err), "another stream")
	require.False(t, BrokenPipe(closedPipe(t), os.ErrClosed), "another fault")
	require.False(t, BrokenPipe(out, nil))
}

func TestConsole_IgnoreBrokenPipeForgivesNoOtherFault(t *testing.T) {
	out := closedPipe(t)
	c := &Console{Out: out}
	undo := c.IgnoreBrokenPipe()
	n, err := c.Out.Write([]byte("xyz"))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.NoError(t, out.Close())
	_, err = c.Out.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrClosed)
	undo()
	require.Equal(t, out, c.Out)
}
