package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What happens when the reader of standard output leaves, as head does.

// abandoned is a pipe whose reader has left.
func abandoned(t *testing.T) *os.File {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	t.Cleanup(func() { writer.Close() })
	return writer
}

// program runs the built program in an empty folder with an abandoned standard output.
func program(t *testing.T, args ...string) (errText string, err error) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), asProgram+"=1")
	var errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = abandoned(t), &errOut
	err = cmd.Run()
	return errOut.String(), err
}

func TestATrainingOutlivesTheReaderOfItsTable(t *testing.T) {
	dir := t.TempDir()
	path, log := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "run.jsonl")
	errText, err := program(t, tiny(append(smallData(t), "--pretrain-epochs=2", "--save="+path, "--log-json="+log)...)...)
	require.NoError(t, err, errText)
	require.Empty(t, errText)
	_, _, err = loadModel(path)
	require.NoError(t, err)
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(data), `"epoch":2`)
	require.Contains(t, string(data), `{"event":"end","reason":"completed"`)
}

func TestWhatOnlyShowsEndsQuietlyWithItsReader(t *testing.T) {
	_, _, model := savedModel(t)
	for _, args := range [][]string{{"help"}, {"train", "-h"}, {"version"}, {"tokenize", "--model=" + model, "--text=a", "--json"},
		{"eval", "--model=" + model, "--data=" + textFile(t, "d.json", `["ab"]`)}, {"chat", "--model=" + model, "--prompt=a"}} {
		errText, err := program(t, args...)
		require.NoError(t, err, args)
		require.NotContains(t, errText, "pipe", args)
	}
}

func TestATrainingWithQuestionsOutlivesItsReaderToo(t *testing.T) {
	var errOut bytes.Buffer
	args := tiny(append(smallData(t), "--no-interactive=false", "--finetune-epochs=1")...)
	require.Equal(t, exitOK, runInFolder(t, args, &script{t, nil}, abandoned(t), &errOut), errOut.String())
	for _, path := range []string{pretrainedPath, finalPath} {
		_, _, err := loadModel(path)
		require.NoError(t, err)
	}
}

func TestOnlyTheReadersLeavingIsForgiven(t *testing.T) {
	out := abandoned(t)
	_, err := out.WriteString("x")
	require.True(t, readerLeft(out, err))
	require.False(t, readerLeft(new(bytes.Buffer), err), "another stream")
	require.NoError(t, out.Close())
	_, err = unheeded{out}.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrClosed, "another fault")
}
