package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/safetensors"
)

// charModel saves a new model of characters whose sizes are none of the defaults, and returns the path of the file.
func charModel(t *testing.T) (*LLM, *tokenizer, string) {
	words, err := trainChar([]string{"甲乙丙丁戊"}, 1000)
	require.NoError(t, err)
	shape := ModelConfig{Layers: 3, Heads: 3, Dim: 15, Hidden: 22, Context: 40, Vocab: words.size()}
	m := newLLM(shape, newRNG(5, initStream))
	path := filepath.Join(t.TempDir(), "char.safetensors")
	require.NoError(t, saveModel(path, m, words))
	return m, words, path
}

// started runs a training without questions that starts from a file, and must succeed.
func started(t *testing.T, path string, flags ...string) (out string) {
	t.Helper()
	args := slices.Concat(smallData(t), []string{"--no-interactive", "--init-from=" + path, "--pretrain-epochs=1",
		"--finetune-epochs=0"}, flags)
	code, out, errText := gogpt(t, args...)
	require.Equal(t, exitOK, code, errText)
	require.Empty(t, errText)
	return out
}

func bytesOf(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// Three ways to train a saved model further: a person chooses it from the menu, or --init-from names it, with and
// without questions.
func TestInitFrom_GivesTheBitsOfTheInteractiveWay(t *testing.T) {
	t.Chdir(t.TempDir())
	walked(t, nil)
	code, out, notes := walked(t, []string{"continue", "final", "2", "3e-4", "n", "chosen.safetensors"},
		"--log-json=chosen.jsonl")
	require.Equal(t, exitOK, code, notes)
	inOrder(t, out, "initial weights and tokenizer: "+finalPath, "2 epochs", "saved: chosen.safetensors")

	plan := []string{"--init-from=" + finalPath, "--pretrain-epochs=2", "--lr=3e-4"}
	code, out, notes = walked(t, []string{"n", "named.safetensors"}, append(plan, "--log-json=named.jsonl")...)
	require.Equal(t, exitOK, code, notes)
	require.NotContains(t, out, "saved models: ", "the choice is made")
	inOrder(t, out, "initial weights and tokenizer: "+finalPath, "(before training)", "2 epochs", "(after training)")

	started(t, finalPath, append(plan, "--finetune-epochs=1", "--save=asked.safetensors")...)
	want := bytesOf(t, "chosen.safetensors")
	require.Equal(t, want, bytesOf(t, "named.safetensors"))
	require.Equal(t, want, bytesOf(t, "asked.safetensors"))
	require.NotEqual(t, want, bytesOf(t, finalPath))

	var runs []runlog.Run
	for _, log := range []string{"chosen.jsonl", "named.jsonl"} {
		l, err := runlog.ReadFile(log)
		require.NoError(t, err)
		for _, path := range []string{"log-json", "pretrain-data", "chat-data"} { // other files with the same content
			delete(l.Run.Config, path)
		}
		runs = append(runs, l.Run)
	}
	require.Equal(t, runs[0], runs[1])
}

func TestInitFrom_TakesSizesAndTokenizerFromTheFile(t *testing.T) {
	m, words, path := charModel(t)
	before := bytesOf(t, path)
	dir := t.TempDir()
	saved, log := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "run.jsonl")
	out := started(t, path, "--save="+saved, "--log-json="+log)
	require.Contains(t, out, "initial weights and tokenizer: "+path)

	trainedModel, trainedWords, err := loadModel(saved)
	require.NoError(t, err)
	require.Equal(t, m.ModelConfig, trainedModel.ModelConfig)
	require.Equal(t, words, trainedWords, "the vocabulary is not built anew from the data, which has other characters")
	require.NotEqual(t, m.embed.wte.W, trainedModel.embed.wte.W)
	requireNear(t, m.embed.wte.W, trainedModel.embed.wte.W)
	require.Equal(t, before, bytesOf(t, path), "the file stays as it is")

	l, err := runlog.ReadFile(log)
	require.NoError(t, err)
	for flag, want := range map[string]string{"layers": "3", "heads": "3", "dim": "15", "hidden": "22", "context": "40",
		"vocab-size": fmt.Sprint(words.size()), "tokenizer": kindChar, "init-from": path} {
		require.Equal(t, want, l.Run.Config[flag], flag)
	}
	require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(before)), l.Run.Data["init-from"])
	require.Equal(t, m.ParamCount(), l.Run.Parameters)
	require.Equal(t, words.size(), l.Run.Vocab)
	require.NotContains(t, logLines(t)[0]["data"], "init-from", "without the flag")
}

func TestInitFrom_RefusesAFlagThatContradictsTheFile(t *testing.T) {
	_, words, path := charModel(t)
	size := words.size()
	for _, c := range []struct{ flag, value, takes string }{
		{"layers", "2", "3, as in --init-from="},
		{"heads", "5", "3, as in --init-from="},
		{"dim", "256", "15, as in --init-from="},
		{"hidden", "0", "22, as in --init-from="},
		{"context", "128", "40, as in --init-from="},
		{"tokenizer", "bpe", "char, as in --init-from="},
		{"vocab-size", fmt.Sprint(size - 1), fmt.Sprintf("at least %d, the vocabulary in --init-from=", size)},
	} {
		code, out, err := gogpt(t, "--no-interactive", "--init-from="+path, "--"+c.flag+"="+c.value, "--max-steps=1")
		require.Equal(t, exitUsage, code, c.flag)
		require.Contains(t, err, fmt.Sprintf("--%s=%s: takes %s%s", c.flag, c.value, c.takes, path))
		require.Equal(t, 1, strings.Count(err, "\n"), err)
		require.Empty(t, out)
	}
	agreeing := []string{"--layers=3", "--heads=3", "--dim=15", "--hidden=22", "--context=40", "--tokenizer=char"}
	for _, limit := range []int{size, size + 1, 2048} {
		started(t, path, append(agreeing, fmt.Sprint("--vocab-size=", limit))...)
	}
}

// The limits of flags that depend on a size are those of the size in the file.
func TestInitFrom_ChecksOtherFlagsAgainstTheSizesOfTheFile(t *testing.T) {
	_, _, path := charModel(t)
	started(t, path, "--heads=3", "--unfreeze=layered", "--pretrain-epochs=4")
	code, _, err := gogpt(t, "--init-from="+path, "--unfreeze=layered", "--pretrain-epochs=3")
	require.Equal(t, exitUsage, code)
	require.Contains(t, err, "one more than --layers=3, and not 3")
	code, _, err = gogpt(t, "--init-from="+path, "--lr=0")
	require.Equal(t, exitUsage, code)
	require.Contains(t, err, "--lr=0: takes a finite number above 0")
}

func TestInitFrom_NamesAFileThatIsNoModelToTrain(t *testing.T) {
	_, _, path := charModel(t)
	whole := string(bytesOf(t, path))
	words, err := newTokenizer(kindBPE, byteTokenizer(t).vocabStrings()[:256], nil)
	require.NoError(t, err)
	mute := filepath.Join(t.TempDir(), "mute.safetensors")
	shape := ModelConfig{Layers: 1, Heads: 1, Dim: 4, Hidden: 4, Context: 8, Vocab: words.size()}
	require.NoError(t, saveModel(mute, newLLM(shape, newRNG(1, initStream)), words))
	for file, want := range map[string]string{
		"missing.safetensors":                    "no such file",
		t.TempDir():                              "is a directory",
		textFile(t, "text", "not a model"):       "header",
		textFile(t, "cut", whole[:len(whole)-1]): "the header describes",
		textFile(t, "long", whole+" "):           "the header describes",
		rewrite(t, path, func(f *safetensors.File) { delete(f.Metadata, metaTokenizer) }): `no "tokenizer"`,
		rewrite(t, path, func(f *safetensors.File) { f.Tensors = f.Tensors[1:] }):         "no tensor",
		mute: "no tokens for the speakers of a conversation",
	} {
		code, out, err := gogpt(t, "--no-interactive", "--init-from="+file)
		require.Equal(t, exitError, code, file)
		require.True(t, strings.HasPrefix(err, "gogpt: "+file+": "), err)
		require.Contains(t, err, want)
		require.Equal(t, 1, strings.Count(err, "\n"), err)
		require.Empty(t, out)
	}
}

func TestInitFrom_WithoutEpochsSavesTheSameModel(t *testing.T) {
	_, _, path := charModel(t)
	saved := filepath.Join(t.TempDir(), "m.safetensors")
	started(t, path, "--pretrain-epochs=0", "--save="+saved)
	require.Equal(t, bytesOf(t, path), bytesOf(t, saved))
}

func TestInitFrom_SaveMayNameTheSameFile(t *testing.T) {
	_, _, path := charModel(t)
	other := filepath.Join(t.TempDir(), "other.safetensors")
	started(t, path, "--save="+other)
	before := bytesOf(t, path)
	started(t, path, "--save="+path)
	require.NotEqual(t, before, bytesOf(t, path))
	require.Equal(t, bytesOf(t, other), bytesOf(t, path))
}

// Epochs and steps count from 1 and the learning rate begins at its peak: the plan is that of a run without the flag.
func TestInitFrom_BeginsThePlanAnew(t *testing.T) {
	_, _, path := charModel(t)
	plan := func(flags ...string) (steps []string) {
		log := filepath.Join(t.TempDir(), "run.jsonl")
		flags = append(flags, "--pretrain-epochs=3", "--finetune-epochs=2", "--log-json="+log)
		trained(t, flags...)
		l, err := runlog.ReadFile(log)
		require.NoError(t, err)
		for _, p := range l.Phases {
			for _, e := range p.Epochs {
				steps = append(steps, fmt.Sprintln(e.Phase, e.Epoch, e.Epochs, e.Step, e.LR, e.Accum, len(e.Frozen)))
			}
		}
		return steps
	}
	sizes := []string{"--layers=3", "--heads=3", "--dim=15", "--hidden=22", "--context=40"}
	want := plan(sizes...)
	require.Len(t, want, 5)
	require.Equal(t, want, plan(append(sizes, "--vocab-size=1000", "--init-from="+path)...))
}

// The runs of a comparison start from the model too, and a changed model makes them run again.
func TestAblate_StartsFromASavedModel(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "m.safetensors")
	trained(t, "--save="+path)
	flags := append(smallData(t), "--seeds=1", "--only=no-clip", "--init-from="+path)
	trainings, _, err := ablate(t, dir, allSucceed, flags...)
	require.NoError(t, err)
	require.Equal(t, 2, trainings)
	l, err := runlog.ReadFile(filepath.Join(dir, "no-clip-1.jsonl"))
	require.NoError(t, err)
	require.Equal(t, path, l.Run.Config["init-from"])
	trainings, _, err = ablate(t, dir, allSucceed, flags...)
	require.NoError(t, err)
	require.Zero(t, trainings)

	started(t, path, "--save="+path)
	trainings, _, err = ablate(t, dir, allSucceed, flags...)
	require.NoError(t, err)
	require.Equal(t, 2, trainings, "another model")

	for file, want := range map[string]string{path: "--dim=32: takes 16, as in", "missing": "missing: no such file"} {
		code, _, errText := gogpt(t, "ablate", "--out="+t.TempDir(), "--init-from="+file, "--dim=32")
		require.NotEqual(t, exitOK, code)
		require.Contains(t, errText, want)
	}
}
