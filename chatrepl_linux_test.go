package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"gogpt/internal/terminal"
)

// openTerminal opens a pseudo-terminal. A program writes to screen; shown then holds what the terminal displays.
func openTerminal(t *testing.T) (shown, screen *os.File) {
	shown, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this system has no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { shown.Close() })
	var locked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, shown.Fd(), request, uintptr(unsafe.Pointer(value)))
		require.Zero(t, failed)
	}
	screen, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { screen.Close() })
	return shown, screen
}

// An untrained model produces any bytes. None of them rings the bell of a terminal, moves its cursor or changes its
// colours.
func TestREPL_AnAnswerCannotControlATerminal(t *testing.T) {
	shown, screen := openTerminal(t)
	require.True(t, terminal.IsTerminal(screen))
	m, words := timetableModel(t, 32, len("<hi>"), saying("a\ab\x1b[1mc\bd\x7fe\u009bf\x00g\th")...)
	d := terminal.NewDialog(&terminal.Console{In: &script{t, nil}, Out: screen, Err: io.Discard})
	require.NoError(t, newREPL(d, newChat(m, words, shortAnswers(30)), false).answerOnce("hi"))
	require.NoError(t, screen.Close())
	text, _ := io.ReadAll(shown) // the error that screen is closed
	require.Equal(t, "a\uFFFDb\uFFFD[1mc\uFFFDd\uFFFDe\uFFFDf\uFFFDg\th\r\n", string(text))
}
