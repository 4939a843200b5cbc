package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/terminal"
)

// walked trains a tiny model, in a folder of the test, with a person who types the lines of a script.
func walked(t *testing.T, lines []string, flags ...string) (code int, out, notes string) {
	args := tiny(append(append(smallData(t), "--no-interactive=false", "--finetune-epochs=1"), flags...)...)
	return gogptReading(t, &script{t, lines}, args...)
}

// inOrder asserts that the text contains the parts one after another.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		require.True(t, found, "%q is missing, or too early, in:\n%s", part, text)
		rest = after
	}
}

const (
	pretrainedPath = checkpointFolder + "/" + pretrainedModel
	finalPath      = checkpointFolder + "/" + finalModel
)

func TestInteractive_TheEndOfInputMeansEveryDefault(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, notes := walked(t, nil)
	require.Equal(t, exitOK, code, notes)
	inOrder(t, out, testPrompt, "(before training)", "pretrain: ", "save the pretrained model?",
		"["+pretrainedPath+"]", "saved: "+pretrainedPath, "finetune: ", "ended: ",
		"save the model?", "saved: "+finalPath, testPrompt, "(after training)")
	for _, path := range []string{pretrainedPath, finalPath} {
		_, _, err := loadModel(path)
		require.NoError(t, err)
	}

	code, out, notes = walked(t, nil)
	require.Equal(t, exitOK, code, notes)
	inOrder(t, out, "saved models: "+finalPath+", "+pretrainedPath, "[load]", "[final]", "loaded: "+finalPath, testPrompt)
	require.NotContains(t, out, "pretrain: ")
	require.NotContains(t, out, "save the model")
}

func TestInteractive_AnUnreadableInputMeansEveryDefault(t *testing.T) {
	t.Chdir(t.TempDir())
	args := tiny(append(smallData(t), "--no-interactive=false", "--finetune-epochs=1")...)
	code, out, notes := gogptReading(t, iotest.ErrReader(syscall.EBADF), args...)
	require.Equal(t, exitOK, code, notes)
	require.Contains(t, out, "saved: "+pretrainedPath)
	require.Contains(t, out, "saved: "+finalPath)
	require.Equal(t, 1, strings.Count(notes, "standard input: bad file descriptor"), notes)
}

func TestInteractive_SavedModelsAreLoadedOrTrainedFurther(t *testing.T) {
	t.Chdir(t.TempDir())
	walked(t, []string{"no", "y", "a question"})
	require.NoFileExists(t, pretrainedPath)
	require.FileExists(t, finalPath)
	walked(t, []string{"train", "", "n"})
	require.FileExists(t, pretrainedPath)

	code, out, notes := walked(t, []string{"load", "pre", "hello"})
	require.Equal(t, exitOK, code, notes)
	inOrder(t, out, "loaded: "+pretrainedPath, testPrompt)

	replies := []string{"cont", "", "2", "3e-5", "other.safetensors", "sub/folder/m.safetensors", "hello"}
	code, out, notes = walked(t, replies, "--log-json=run.jsonl", "--dim=32")
	require.Equal(t, exitOK, code, notes)
	inOrder(t, out, "loaded: "+finalPath, "epochs of pretraining [1]", "learning rate [0.0001]", "2 epochs",
		"saved: other.safetensors", "finetune: ", "saved: sub/folder/m.safetensors")
	log, err := os.ReadFile("run.jsonl")
	require.NoError(t, err)
	require.Contains(t, string(log), `"pretrain-epochs":"2"`)
	require.Contains(t, string(log), `"lr":"3e-05"`)
	require.Contains(t, string(log), `"dim":"16"`, "the size of the loaded model")
	before, _, err := loadModel(finalPath)
	require.NoError(t, err)
	after, _, err := loadModel("sub/folder/m.safetensors")
	require.NoError(t, err)
	require.NotEqual(t, before.embed.wte.W, after.embed.wte.W)
	requireNear(t, before.embed.wte.W, after.embed.wte.W)
}

// requireNear asserts that two sets of weights differ by a little training, not by their initial values.
func requireNear(t *testing.T, a, b []float32) {
	t.Helper()
	var moved, size float64
	for i := range a {
		d := float64(a[i] - b[i])
		moved, size = moved+d*d, size+float64(a[i])*float64(a[i])
	}
	require.Less(t, moved, size)
}

func TestInteractive_ThreeWrongRepliesMeanTheDefault(t *testing.T) {
	t.Chdir(t.TempDir())
	walked(t, nil)
	code, out, notes := walked(t, []string{"what", "maybe", "7", "x", "y", "z", "hello"})
	require.Equal(t, exitOK, code, notes)
	require.Equal(t, 3, strings.Count(out, "[load]"))
	require.Equal(t, 3, strings.Count(out, "[final]"))
	inOrder(t, out, `"what" is none of: load, train, continue`, "using the default: load", "using the default: final",
		"loaded: "+finalPath)

	code, out, _ = walked(t, []string{"continue", "final", "-1", "1e3", "many", "0", "NaN", "fast", "n", "n"})
	require.Equal(t, exitOK, code)
	inOrder(t, out, "-1", "is not a number", "using the default: 1", "--lr=0: takes", "--lr=NaN: takes",
		"is not a number", "using the default: 0.0001")

	require.NoError(t, os.WriteFile("file", nil, 0o644))
	code, out, _ = walked(t, []string{"train", "file/m", "file/m", "file/m", "n"})
	require.Equal(t, exitOK, code)
	inOrder(t, out, "not a directory", "using the default: "+pretrainedPath, "saved: "+pretrainedPath)
}

func TestInteractive_CtrlCAtAnyQuestionExitsWith130(t *testing.T) {
	t.Chdir(t.TempDir())
	walked(t, nil)
	for _, lines := range [][]string{
		{}, {"load"}, {"load", "final"},
		{"continue", "final"}, {"continue", "final", "1"}, {"continue", "final", "1", "1e-4"},
		{"train"}, {"train", "n"}, {"train", "n", "n"}, {"train", "n", "n", "a question"},
	} {
		code, out, notes := walked(t, append(lines, interruptSign))
		require.Equal(t, 130, code, "after %q:\n%s", lines, out)
		require.Contains(t, notes, "gogpt: interrupted")
	}
	code, out, _ := walked(t, []string{"train", interruptSign}, "--log-json=run.jsonl")
	require.Equal(t, 130, code)
	require.Contains(t, out, "ended: interrupted")
	log, err := os.ReadFile("run.jsonl")
	require.NoError(t, err)
	require.Contains(t, string(log), `"reason":"interrupted"`)
}

func TestInteractive_ASaveFlagReplacesTheQuestion(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, flag := range []string{"--save=m.safetensors", "--checkpoint-dir=."} {
		code, out, notes := walked(t, nil, flag)
		require.Equal(t, exitOK, code, notes)
		require.NotContains(t, out, "save the ")
		require.Contains(t, out, "saved: ")
	}
}

// The model after pretraining is the final one when no tuning follows.
func TestInteractive_AsksToSaveOncePerModel(t *testing.T) {
	for _, c := range []struct {
		flags []string
		saved []string
	}{
		{[]string{"--quick"}, []string{finalPath}},
		{[]string{"--finetune-epochs=0"}, []string{finalPath}},
		{[]string{"--finetune-epochs=1", "--pretrain-epochs=0"}, []string{finalPath}},
		{[]string{"--finetune-epochs=1"}, []string{pretrainedPath, finalPath}},
	} {
		t.Chdir(t.TempDir())
		flags := append(append(smallData(t), "--no-interactive=false"), c.flags...)
		args := slices.DeleteFunc(tiny(flags...), func(flag string) bool {
			return strings.HasPrefix(flag, "--finetune-epochs") && !slices.Contains(c.flags, flag)
		})
		code, out, notes := gogptReading(t, &script{t, nil}, args...)
		require.Equal(t, exitOK, code, notes)
		require.Equal(t, len(c.saved), strings.Count(out, "save the "), out)
		for _, path := range c.saved {
			inOrder(t, out, "["+path+"]", "saved: "+path)
		}
		saved, err := filepath.Glob(checkpointFolder + "/*")
		require.NoError(t, err)
		require.Len(t, saved, len(c.saved))
	}
}

func TestInteractive_NamesADamagedModel(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir(checkpointFolder, 0o755))
	require.NoError(t, os.WriteFile(finalPath, []byte("no model"), 0o644))
	code, _, notes := walked(t, nil)
	require.Equal(t, exitError, code)
	require.Contains(t, notes, finalPath)
	code, _, notes = walked(t, []string{"train"})
	require.Equal(t, exitOK, code, notes)
}

// hasty is an input that presses Ctrl-C when it is first read, and then sends a line.
type hasty struct{}

func (hasty) Read(p []byte) (int, error) {
	sendSelf(syscall.SIGINT)
	return copy(p, "one\n"), nil
}

// walkedBy is walked for a person or a pipe, with any input and output.
func walkedBy(t *testing.T, person bool, in io.Reader, out io.Writer, flags ...string) error {
	leavePackageFolder(t)
	console := &terminal.Console{In: in, Out: out, Err: io.Discard}
	cfg, runFlags, values, err := parseTrain(console, tiny(append(smallData(t), flags...)...))
	require.NoError(t, err)
	s := &session{cfg: cfg, flags: runFlags, values: values}
	p := &interactiveRun{terminal.NewDialog(console), s}
	p.dialog.Person = person
	return p.run()
}

// The program asks a person who stops the training once whether to save the model. The reply y saves it under the name
// of the phase.
func TestInteractive_APersonCanSaveAnInterruptedTraining(t *testing.T) {
	for _, c := range []struct{ reply, tuning, saved string }{
		{"", "0", ""}, {"m.safetensors", "0", "m.safetensors"}, {"y", "0", finalPath}, {"y", "1", pretrainedPath},
		{interruptSign, "1", ""},
	} {
		t.Chdir(t.TempDir())
		out := &pressing{after: 4000}
		err := walkedBy(t, true, &script{t, []string{c.reply}}, out,
			"--pretrain-epochs=1000000", "--patience=0", "--finetune-epochs="+c.tuning)
		stopped := new(terminal.Interrupted)
		require.ErrorAs(t, err, &stopped)
		require.Equal(t, terminal.ExitSIGINT, stopped.Code)
		require.Equal(t, "interrupted by interrupt", err.Error(), "one line, also after a second Ctrl-C")
		require.Equal(t, 1, strings.Count(out.String(), "save the model as it is?"))
		if c.saved == "" {
			require.NotContains(t, out.String(), "saved: ")
		} else {
			require.Contains(t, out.String(), "saved: "+c.saved)
		}
	}
}

func TestInteractive_AnErrorBeforeTrainingEndsTheLog(t *testing.T) {
	for reason, failed := range map[string]error{
		runlog.Interrupted: terminal.InterruptedBy(os.Interrupt), runlog.Failed: errors.New("no answer"),
	} {
		log := filepath.Join(t.TempDir(), "run.jsonl")
		var out bytes.Buffer
		c := &terminal.Console{In: forbiddenInput{t}, Out: &out, Err: &out}
		cfg, flags, values, err := parseTrain(c, tiny(append(smallData(t), "--log-json="+log)...))
		require.NoError(t, err)
		s := &session{cfg: cfg, flags: flags, values: values, started: func() error { return failed }}
		require.EqualError(t, s.run(c), failed.Error())
		events, err := os.ReadFile(log)
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(string(events), "\n"), "the records of the run and of its end")
		require.Contains(t, string(events), `{"event":"end","reason":"`+reason+`"`)
	}
}

// A person who presses Ctrl-C at a question is not asked another one, nor is a pipe.
func TestInteractive_OnlyAPersonWhoStopsTheTrainingItselfIsAskedToSave(t *testing.T) {
	endless := []string{"--pretrain-epochs=1000000", "--patience=0"}
	for name, c := range map[string]struct {
		person bool
		in     io.Reader // hasty presses Ctrl-C at the first question
		after  int       // bytes of output before Ctrl-C
		flags  []string
		asked  int
	}{
		"a person, in training":   {true, strings.NewReader("n\n"), 4000, endless, 1},
		"a pipe, in training":     {false, strings.NewReader("n\n"), 4000, endless, 0},
		"a person, at a question": {true, hasty{}, math.MaxInt, []string{"--finetune-epochs=1"}, 0},
	} {
		t.Chdir(t.TempDir())
		out := &pressing{after: c.after}
		require.ErrorAs(t, walkedBy(t, c.person, c.in, out, c.flags...), new(*terminal.Interrupted), name)
		require.Equal(t, c.asked, strings.Count(out.String(), "save the model as it is?"), name)
		require.Contains(t, out.String(), "ended: interrupted", name)
	}
}

// After training, the test prompt and the conversation use the seed of the run and plain text; the answer to the test
// prompt is at most testTokens long.
func TestInteractive_TheConversationAfterTrainingHasTheRunsSettings(t *testing.T) {
	code, out, notes := walked(t, []string{"n", "n", "hello", "/set", "/stats"}, "--seed=9")
	require.Equal(t, exitOK, code, notes)
	require.NotContains(t, out, `"stop_reason"`)
	inOrder(t, out, "(after training)", "  seed=9\n", "  temperature=0\n", "last answer: ")
	cut := fmt.Sprintf("(cut at max-tokens=%d)\n", testTokens)
	require.Equal(t, 2, strings.Count(notes, cut), "before and after training: %s", notes)
}

// What happens when the reader of standard output closes it, as head does.

// abandoned returns a pipe whose reader has closed it.
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

func TestBrokenPipe_ATrainingContinuesAndSaves(t *testing.T) {
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

func TestBrokenPipe_OtherCommandsEndQuietly(t *testing.T) {
	_, _, model := savedModel(t)
	for _, args := range [][]string{
		{"help"}, {"train", "-h"}, {"version"}, {"tokenize", "--model=" + model, "--text=a", "--json"},
		{"eval", "--model=" + model, "--data=" + textFile(t, "d.json", `["ab"]`)}, {"chat", "--model=" + model, "--prompt=a"},
	} {
		errText, err := program(t, args...)
		require.NoError(t, err, args)
		require.NotContains(t, errText, "pipe", args)
	}
}

func TestBrokenPipe_AnInteractiveTrainingContinuesToo(t *testing.T) {
	var errOut bytes.Buffer
	args := tiny(append(smallData(t), "--no-interactive=false", "--finetune-epochs=1")...)
	require.Equal(t, exitOK, runInFolder(t, args, &script{t, nil}, abandoned(t), &errOut), errOut.String())
	for _, path := range []string{pretrainedPath, finalPath} {
		_, _, err := loadModel(path)
		require.NoError(t, err)
	}
}
