package terminal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConsole_AFileABufferAndDevNullAreNoTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer file.Close()
	null, err := os.Open(os.DevNull) // a character device, as terminals are
	require.NoError(t, err)
	defer null.Close()
	closed, err := os.Open(os.DevNull)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for _, stream := range []any{new(bytes.Buffer), file, null, closed, nil} {
		require.False(t, IsTerminal(stream), "%T", stream)
	}
}

// The controlling side of a pseudo-terminal is a terminal too.
func TestConsole_OnlyATerminalThatIsNotDumbRedrawsALine(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this system has no pseudo-terminals: ", err)
	}
	defer tty.Close()
	require.True(t, IsTerminal(tty))
	t.Setenv("TERM", "xterm")
	require.Equal(t, tty, (&Console{Err: tty}).TTY())
	require.Nil(t, (&Console{Out: tty, Err: new(bytes.Buffer)}).TTY())
	t.Setenv("TERM", "dumb")
	require.Nil(t, (&Console{Err: tty}).TTY())
}

func TestConsole_ProgressWithoutATerminalIsALineNowAndThen(t *testing.T) {
	var out, errOut bytes.Buffer
	c := &Console{Out: &out, Err: &errOut}
	show := c.Progress(time.Hour)
	for _, text := range []string{"step 1", "step 2", ""} {
		show(text)
	}
	require.Equal(t, "step 1\n", errOut.String())
	show = c.Progress(0)
	for _, text := range []string{"step 3", "", "step 4"} {
		show(text)
	}
	require.Equal(t, "step 1\nstep 3\nstep 4\n", errOut.String())
	require.Empty(t, out.String())
}

func TestOneLine_JoinsErrorsAndEscapesLineBreaks(t *testing.T) {
	inner := errors.Join(errors.New("the log\nis full"), errors.New("so is the disk"))
	require.Equal(t, `diverged; the log\nis full; so is the disk`, OneLine(errors.Join(errors.New("diverged"), inner)))
	require.Equal(t, `x\x1b[2J: 数据 it's`, OneLine(errors.New("x\x1b[2J: 数据 it's")))
}
