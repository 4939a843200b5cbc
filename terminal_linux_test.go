package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// terminal opens a pseudo-terminal: what the program writes into screen comes out of keyboard's other side, shown.
func terminal(t *testing.T) (shown, screen *os.File) {
	shown, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
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

// An untrained model writes any bytes. None of them rings a terminal's bell, moves its cursor or changes its colours.
func TestReplies_NothingOfAnAnswerSteersATerminal(t *testing.T) {
	shown, screen := terminal(t)
	require.True(t, isTerminal(screen))
	m, words := timetableModel(t, 32, len("<hi>"), saying("a\ab\x1b[1mc\bd\x7fe\u009bf\x00g\th")...)
	d := newDialog(&console{&script{t, nil}, screen, io.Discard})
	require.NoError(t, newREPL(d, newChat(m, words, shortAnswers(30)), false).answerOnce("hi"))
	require.NoError(t, screen.Close())
	text, _ := io.ReadAll(shown) // it ends with an error: nobody has the screen open any more
	require.Equal(t, "a\uFFFDb\uFFFD[1mc\uFFFDd\uFFFDe\uFFFDf\uFFFDg\th\r\n", string(text))
}
