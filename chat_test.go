package main

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// interactive is a tiny training that may read its input.
func interactive(t *testing.T, input string, flags ...string) string {
	args := tiny(append(append(smallData(t), "--no-interactive=false"), flags...)...)
	code, out, err := gogptReading(t, iotest.OneByteReader(strings.NewReader(input)), args...)
	require.Equal(t, exitOK, code, err)
	require.Empty(t, err)
	return out
}

func TestTheEndOfInputEndsTheConversation(t *testing.T) {
	out := interactive(t, "")
	require.Contains(t, out, "save the model to a file?")
	require.Contains(t, out, testPrompt)
	require.NotContains(t, out, "saved: ")
	require.True(t, strings.HasSuffix(out, "> \n"))
}

func TestALineIsAnsweredEvenWithoutItsNewline(t *testing.T) {
	out := interactive(t, "\nhello\n\n  \nlast words")
	require.Equal(t, 4, strings.Count(out, "> "), "two questions and two blank lines")
}

func TestTheModelIsSavedWhereTheAnswerSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	out := interactive(t, path+"\n")
	require.Contains(t, out, "saved: "+path)
	_, _, err := loadModel(path)
	require.NoError(t, err)
	require.NotContains(t, interactive(t, "", "--save="+path), "save the model", "not asked when a flag has said it")
}

func TestAQuestionLongerThanTheContextIsRefused(t *testing.T) {
	require.Contains(t, interactive(t, "\n"+strings.Repeat("why ", 100)+"\n"), "tokens, the context 32)")
}
