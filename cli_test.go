package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/terminal"
)

// forbiddenInput fails the test that reads it.
type forbiddenInput struct{ t *testing.T }

func (f forbiddenInput) Read([]byte) (int, error) {
	f.t.Error("standard input was read")
	return 0, io.EOF
}

// gogpt runs a command line that must not read standard input.
func gogpt(t *testing.T, args ...string) (code int, out, err string) {
	return gogptReading(t, forbiddenInput{t}, args...)
}

func gogptReading(t *testing.T, in io.Reader, args ...string) (code int, out, err string) {
	var outBuf, errBuf bytes.Buffer
	code = runInFolder(t, args, in, &outBuf, &errBuf)
	return code, outBuf.String(), errBuf.String()
}

// runInFolder runs a command line outside the package's folder, then restores the threads and the kernel.
func runInFolder(t *testing.T, args []string, in io.Reader, out, err io.Writer) (code int) {
	leavePackageFolder(t)
	threads, name := kernel.Threads(), kernel.Name()
	defer func() {
		kernel.SetThreads(threads)
		require.NoError(t, kernel.Select(name))
	}()
	return run(args, in, out, err)
}

// tiny returns a command line that trains a tiny model for one epoch. The given flags win over its own.
func tiny(flags ...string) []string {
	return append([]string{"--no-interactive", "--layers=1", "--dim=16", "--heads=2", "--hidden=16", "--context=32",
		"--vocab-size=300", "--pretrain-epochs=1", "--finetune-epochs=0"}, flags...)
}

// textFile writes a file into a temporary folder and returns its path.
func textFile(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestCommandLine_AnErrorNamesTheFlagAndItsValue(t *testing.T) {
	for line, want := range map[string]string{
		"--learning-rate=1":                     "unknown flag --learning-rate",
		"--patiense=3":                          "unknown flag --patiense, did you mean --patience?",
		"train --quik":                          "did you mean --quick?",
		"trian --quick":                         `unknown command "trian", did you mean train?`,
		"frobnicate":                            `unknown command "frobnicate" (`,
		"--lr=0":                                "--lr=0: takes a finite number above 0",
		"--lr=NaN":                              "--lr=NaN: takes a finite number above 0",
		"--lr=Inf":                              "--lr=+Inf: takes a finite number above 0",
		"--lr=fast":                             "--lr=fast: takes a number",
		"--lr":                                  "--lr: needs a value",
		"--batch=4611686018427387904 --accum=4": "--batch=4611686018427387904: takes a whole number of at most 16777216",
		"--threads=1000000000":                  "--threads=1000000000: takes a whole number of at most 4096",
		"--layers=1000000 --dim=65536":          "--dim=65536: takes less: with --layers=1000000, ",
		"--accum=0":                             "--accum=0: takes whole numbers of at least 1",
		"--accum=1,x":                           "--accum=1,x: takes whole numbers of at least 1",
		"--finetune-accum=":                     "--finetune-accum=: takes whole numbers",
		"--heads=3":                             "--heads=3: takes a divisor of --dim=256",
		"--layers=1.5":                          "--layers=1.5: takes a whole number",
		"--seed=-1":                             "--seed=-1: takes a whole number of at least 0",
		"--quick stray":                         `unexpected argument "stray"`,
		"--quick=maybe":                         "--quick=maybe: takes true or false",
		"--val-fraction=1":                      "--val-fraction=1: takes a number from 0",
		"--val-data=v --val-fraction=0.1":       "--val-data=v: takes no --val-fraction=0.1 beside it",
		"--chat-val-data=v --val-fraction=0.1":  "--chat-val-data=v: takes no --val-fraction=0.1 beside it",
		"--chat-val-data=v --quick":             "--chat-val-data=v: takes --finetune-epochs of at least 1",
		"--val-data=v --pretrain-epochs=0":      "--val-data=v: takes --pretrain-epochs of at least 1",
		"--freeze-attn --unfreeze=layered":      "--unfreeze=layered: takes neither --freeze-attn",
		"--attn-backward=wrong":                 "--attn-backward=wrong: takes exact, straight-through or stop-gradient",
		"--min-delta=little":                    "--min-delta=little: takes a number",
		"--min-lr=-1":                           "--min-lr=-1: takes a finite number of at least 0",
		"--lr=1e-5 --min-lr=1e-4":               "--min-lr=0.0001: takes a number from 0 to --lr=1e-05",
		"--vocab-size=100":                      "--vocab-size=100: takes at least 259",
		"--tokenizer=words":                     "--tokenizer=words: takes bpe or char",
		"eval --model=m":                        "--data=FILE is needed",
		"eval --data=d":                         "--model=FILE is needed",
		"eval":                                  "--model=FILE is needed",
		"tokenize --text=x":                     "takes either --model=FILE or --vocab=FILE with --merges=FILE",
		"tokenize --vocab=x --text=y":           "takes either --model=FILE or",
		"gradcheck --attn-backward=x":           "--attn-backward=x: takes all, exact",
		"bench --case=giant":                    "--case=giant: takes tiny",
		"version --verbose":                     "unknown flag --verbose",
		"--quick --freeze-attn-epochs=40":       "--freeze-attn-epochs=40: takes a number below --pretrain-epochs=30",
	} {
		code, out, err := gogpt(t, strings.Fields(line)...)
		require.Equal(t, exitUsage, code, line)
		require.Contains(t, err, want, line)
		require.Empty(t, out, line)
		require.Equal(t, 1, strings.Count(err, "\n"), "one line: %q", err)
		require.True(t, strings.HasPrefix(err, "gogpt: "), err)
	}
}

func TestCommandLine_ARunThatCannotStartExitsWithOne(t *testing.T) {
	folder := t.TempDir()
	model := textFile(t, "m.safetensors", "not a model")
	one, short := textFile(t, "one.json", `["a"]`), textFile(t, "short.txt", strings.Repeat("a b ", 25))
	for want, args := range map[string][]string{
		"no such file":                 tiny("--pretrain-data=missing.json"),
		"contains no text":             tiny("--pretrain-data=" + textFile(t, "empty.json", "[]")),
		"the folder contains no .json": tiny("--pretrain-data=" + folder),
		"invalid UTF-8 at byte 3":      tiny("--pretrain-data=" + textFile(t, "bad.txt", "abc\xff")),
		"row 2: ":                      tiny("--pretrain-data=" + textFile(t, "rows.json", `["a", 5]`)),
		"row 1: does not begin with":   tiny("--chat-data="+textFile(t, "chat.json", `["a"]`), "--finetune-epochs=1"),
		"pretrain: --val-fraction=0.5": tiny("--val-fraction=0.5", "--pretrain-data="+one),
		"--val-fraction=0.01: pretrain data: no held-out sample": tiny("--val-fraction=0.01", "--pretrain-data="+short),
		"short.json: row 1: ":           tiny("--val-data=" + textFile(t, "short.json", "[5]")),
		"v.txt: pretrain data: no held": tiny("--val-data=" + textFile(t, "v.txt", "a")),
		"v.json: row 1: does not begin": tiny("--chat-val-data="+textFile(t, "v.json", `["a"]`), "--finetune-epochs=1"),
		"m.safetensors: ":               {"eval", "--model=" + model, "--data=" + textFile(t, "d.json", `["a"]`)},
		"is a folder, not a file":       tiny("--save=" + folder),
		"cannot write into folder":      tiny("--save=" + filepath.Join(folder, "missing", "m.safetensors")),
		"run.jsonl: not a directory":    tiny("--log-json=" + filepath.Join(model, "run.jsonl")),
		"not a dir":                     tiny("--checkpoint-dir=" + model),
		"missing.safetensors: no such":  {"gradcheck", "--golden=missing.safetensors"},
	} {
		code, out, err := gogpt(t, args...)
		require.Equal(t, exitError, code, want)
		require.Contains(t, err, want)
		require.Empty(t, out, "the error comes before any training")
		require.Equal(t, 1, strings.Count(err, "\n"), "one line: %q", err)
	}
}

func TestCommandLine_ChecksOutputsBeforeReadingData(t *testing.T) {
	file := textFile(t, "file", "text")
	log := textFile(t, "run.jsonl", "an older log")
	for flag, path := range map[string]string{
		"save": "m", "log-json": "l", "report": "r.html", "checkpoint-dir": "", "tensorboard": "",
	} {
		arg := "--" + flag + "=" + filepath.Join(file, path)
		code, out, err := gogpt(t, tiny("--log-json="+log, arg, "--pretrain-data=missing.json")...)
		require.Equal(t, exitError, code, flag)
		require.Empty(t, out)
		require.Contains(t, err, file, flag)
		require.Contains(t, err, "not a directory", flag)
	}
	if os.Geteuid() != 0 {
		closed := t.TempDir()
		require.NoError(t, os.Chmod(closed, 0o500))
		for _, flag := range []string{"checkpoint-dir", "tensorboard"} {
			_, _, err := gogpt(t, tiny("--"+flag+"="+closed, "--pretrain-data=missing.json")...)
			require.Contains(t, err, "cannot write into folder", flag)
		}
	}
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "an older log", string(text))
}

func TestCommandLine_PrintsAnErrorOnOneLine(t *testing.T) {
	for arg, want := range map[string]string{
		"--a\nb":                      `unknown flag --a\nb`,
		"--a\nb=c\rd":                 `unknown flag --a\nb`,
		"a\nb":                        `unknown command "a\nb"`,
		"--=\n":                       `bad flag syntax: --=\n`,
		"--tokenizer=x\ny":            `--tokenizer=x\ny: takes bpe or char`,
		"--unfreeze=\n":               `--unfreeze=\n: takes layered`,
		"--lr=1\n2":                   `--lr=1\n2: takes a number`,
		"--accum=1,\n":                `--accum=1,\n: takes whole numbers`,
		"--pretrain-data=x\ny.json":   `x\ny.json: no such file`,
		"--save=no\x1b[2J/m":          `no\x1b[2J/m: cannot write`,
		"--attn-backward=exact\u2028": `--attn-backward=exact\u2028: takes exact`,
		"--chat-data=数据.json":         `数据.json: no such file`,
	} {
		code, _, err := gogpt(t, arg)
		require.Contains(t, []int{exitUsage, exitError}, code, arg)
		require.Contains(t, err, want)
		require.Equal(t, len(err)-1, strings.IndexFunc(err, unicode.IsControl), "%q", err)
	}
}

func TestOneLine_JoinsErrors(t *testing.T) {
	inner := errors.Join(errors.New("the log\nis full"), errors.New("so is the disk"))
	line := terminal.OneLine(errors.Join(errors.New("diverged"), inner))
	require.Equal(t, `diverged; the log\nis full; so is the disk`, line)
}

func TestKernelFlag_AnUnknownNameInTheEnvironmentIsAUsageError(t *testing.T) {
	t.Setenv(kernelVariable, "abacus")
	code, _, err := gogpt(t, "version")
	require.Equal(t, exitUsage, code)
	require.Equal(t, 1, strings.Count(err, "GOGPT_KERNEL=abacus: not a kernel"), err)
}

func TestHelp_ListsCommandsAndFlags(t *testing.T) {
	for _, word := range []string{"help", "-h", "--help"} {
		code, out, err := gogpt(t, word)
		require.Equal(t, exitOK, code)
		require.Empty(t, err)
		for _, cmd := range commands() {
			require.Contains(t, out, "  "+cmd.name+" ")
			require.Contains(t, out, cmd.purpose)
		}
	}
	for _, cmd := range commands() {
		code, out, err := gogpt(t, cmd.name, "-h")
		require.Equal(t, exitOK, code, cmd.name)
		require.Empty(t, err)
		require.Contains(t, out, "usage: gogpt "+cmd.name)
	}
}

func TestDidYouMean_SuggestsOnlySimilarNames(t *testing.T) {
	require.Equal(t, 0, editDistance("gpt", "gpt"))
	require.Equal(t, 3, editDistance("kitten", "sitting"))
	require.Equal(t, 3, editDistance("", "abc"))
	require.Equal(t, editDistance("layers", "player"), editDistance("player", "layers"))
	require.Equal(t, ", did you mean --dim?", didYouMean("din", []string{"dim", "lr"}, "--"))
	require.Empty(t, didYouMean("completely", []string{"dim", "lr"}, "--"))
}

func TestIsTerminal_IsFalseForFilesAndDevices(t *testing.T) {
	require.False(t, terminal.IsTerminal(new(bytes.Buffer)))
	file, err := os.Open(textFile(t, "f", ""))
	require.NoError(t, err)
	defer file.Close()
	require.False(t, terminal.IsTerminal(file))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	require.False(t, terminal.IsTerminal(null), "a character device, but not a terminal")
}

func TestKernelFlag_WinsOverTheEnvironment(t *testing.T) {
	require.Contains(t, kernel.Names(), "portable")
	best := kernel.Names()[1]
	for _, c := range []struct{ variable, flag, want string }{
		{"", "", best}, {"portable", "", "portable"},
		{best, "--kernel=portable", "portable"}, {"portable", "--kernel=auto", best},
	} {
		t.Setenv(kernelVariable, c.variable)
		args := []string{"version"}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		code, out, errText := gogpt(t, args...)
		require.Equal(t, exitOK, code, errText)
		require.Contains(t, out, "kernel "+c.want+"\n", "%v", c)
	}
	code, _, errText := gogpt(t, "version", "--kernel=abacus")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errText, "--kernel=abacus: takes one of auto, ")
}

func TestLog_NamesTheDigestOfTheProgram(t *testing.T) {
	path, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(data)), logLines(t)[0]["program"])
}

// The tests leave no file in the package's folder, and do not depend on what users leave there, such as the models that
// the program saves in checkpoints/.

const asProgram = "GOGPT_TEST_AS_PROGRAM" // when this variable is set, the test's executable runs as the program

// packageFolder is the folder where go test starts the tests.
var packageFolder, _ = os.Getwd()

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	if len(os.Args) > 1 && os.Args[1] == "train" { // without this, the tests would start themselves without end
		fmt.Fprintln(os.Stderr, "a test ran its own binary as gogpt train without "+asProgram)
		os.Exit(exitUsage)
	}
	if err := kernel.Select(cmp.Or(os.Getenv(kernelVariable), kernel.Auto)); err != nil {
		panic(err)
	}
	before := entriesOf(packageFolder)
	code := m.Run()
	if left := newEntries(packageFolder, before); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: new in %s after the tests: %s\n", packageFolder, strings.Join(left, ", "))
		code = max(code, 1)
	}
	os.Exit(code)
}

func entriesOf(folder string) (names []string) {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// newEntries returns the names in a folder that are not in before, without the profiles that go test was asked to
// write.
func newEntries(folder string, before []string) []string {
	known := slices.Clone(before)
	flag.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "test.") {
			known = append(known, filepath.Base(f.Value.String()))
		}
	})
	return slices.DeleteFunc(entriesOf(folder), func(name string) bool { return slices.Contains(known, name) })
}

// leavePackageFolder changes from the package's folder to an empty one, and stays in any other folder.
func leavePackageFolder(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	if here == packageFolder {
		t.Chdir(t.TempDir())
	}
}

func TestIsolation_FindsNewEntries(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "data"), 0o755))
	before := entriesOf(folder)
	require.Equal(t, []string{"data"}, before)
	require.Empty(t, newEntries(folder, before))
	require.NoError(t, os.Mkdir(filepath.Join(folder, checkpointFolder), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, ".m.tmp"), nil, 0o644))
	require.Equal(t, []string{".m.tmp", checkpointFolder}, newEntries(folder, before))
}

// The program loads and saves models in its current folder.
func TestIsolation_RunsTheProgramInAFolderOfTheTest(t *testing.T) {
	code, out, notes := walked(t, nil)
	require.Equal(t, exitOK, code, notes)
	require.NotContains(t, out, "saved models: ")
	here, err := os.Getwd()
	require.NoError(t, err)
	require.NotEqual(t, packageFolder, here)
	require.FileExists(t, filepath.Join(here, finalPath))
	walked(t, nil, "--finetune-epochs=0")
	again, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, here, again, "a second run in the same test finds what the first one saved")
}
