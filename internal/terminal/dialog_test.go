package terminal

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// newTestDialog returns a dialog with an input, and its two outputs.
func newTestDialog(in io.Reader) (d *Dialog, out, errOut *bytes.Buffer) {
	out, errOut = new(bytes.Buffer), new(bytes.Buffer)
	return NewDialog(&Console{In: in, Out: out, Err: errOut}), out, errOut
}

func requireLines(t *testing.T, d *Dialog, lines ...string) {
	t.Helper()
	for _, want := range lines {
		line, err := d.Line()
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	for range 2 {
		_, err := d.Line()
		require.ErrorIs(t, err, io.EOF)
	}
}

func TestDialog_TheLastLineMayLackItsLineBreak(t *testing.T) {
	d, out, errOut := newTestDialog(strings.NewReader("one\r\n\nthree"))
	requireLines(t, d, "one", "", "three")
	require.False(t, d.Person)
	require.False(t, d.InterruptedInput)
	require.Empty(t, out.String()+errOut.String())
}

func TestDialog_AnUnreadableInputCountsAsEndedWithOneWarning(t *testing.T) {
	in := io.MultiReader(strings.NewReader("one\ntw"), iotest.ErrReader(syscall.EBADF))
	d, out, errOut := newTestDialog(in)
	requireLines(t, d, "one", "tw")
	require.Empty(t, out.String())
	require.Equal(t, 1, strings.Count(errOut.String(), "standard input: bad file descriptor"), errOut.String())
	require.Equal(t, 1, strings.Count(errOut.String(), "\n"))
}

// input returns its lines one after another, and io.EOF for an empty one, as a terminal does after Ctrl-D.
type input struct{ lines []string }

func (in *input) Read(p []byte) (int, error) {
	line := in.lines[0]
	in.lines = in.lines[1:]
	if line == "" {
		return 0, io.EOF
	}
	return copy(p, line+"\n"), nil
}

func TestDialog_ATerminalGoesOnAfterTheEndOfOneLine(t *testing.T) {
	d, _, _ := newTestDialog(&input{[]string{"one", "", "two"}})
	line, err := d.Line()
	require.NoError(t, err)
	require.Equal(t, "one", line)
	_, err = d.Line()
	require.ErrorIs(t, err, io.EOF)
	line, err = d.Line()
	require.NoError(t, err)
	require.Equal(t, "two", line)
}

func TestDialog_ChooseUsesTheDefaultAfterThreeRefusals(t *testing.T) {
	const question = "colour? [blue] "
	for _, c := range []struct{ in, chosen, shown string }{
		{"red\n", "red", question},
		{" red \n", "red", question},
		{"\n", "blue", question},
		{"", "blue", question + "\n"},
		{"pink\nred\n", "red", question + "no pink\n" + question},
		{"pink\nplum\npuce\nred\n", "blue",
			question + "no pink\n" + question + "no plum\n" + question + "no puce\nusing the default: blue\n"},
	} {
		d, out, _ := newTestDialog(strings.NewReader(c.in))
		var chosen string
		require.NoError(t, d.Choose("colour?", "blue", func(reply string) error {
			if strings.HasPrefix(reply, "p") {
				return errors.New("no " + reply)
			}
			chosen = reply
			return nil
		}))
		require.Equal(t, c.chosen, chosen)
		require.Equal(t, c.shown, out.String())
	}
}

func TestDialog_ChooseReturnsWhyTheDefaultIsRefused(t *testing.T) {
	refusal := errors.New("no colour")
	for _, in := range []string{"", "\n", "a\nb\nc\n"} {
		d, _, _ := newTestDialog(strings.NewReader(in))
		require.Equal(t, refusal, d.Choose("colour?", "blue", func(string) error { return refusal }))
	}
}
