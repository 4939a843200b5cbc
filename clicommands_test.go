package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/runlog"
	"gogpt/internal/terminal"
)

// onlyJSON reads out, which must be exactly one JSON value.
func onlyJSON(t *testing.T, out string, value any) {
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(value), out)
	_, err := dec.Token()
	require.ErrorIs(t, err, io.EOF, "one value and nothing else: %s", out)
}

func TestEval_MeasuresASavedModel(t *testing.T) {
	_, _, model := savedModel(t)
	data := textFile(t, "d.json", `["ab", {"user":"a?","assistant":"b"}]`)
	code, out, err := gogpt(t, "eval", "--model="+model, "--data="+data, "--json")
	require.Equal(t, exitOK, code, err)
	var r evalResult
	onlyJSON(t, out, &r)
	require.Equal(t, 3+2, r.Tokens)
	require.NotNil(t, r.ExactMatch)
	code, again, _ := gogpt(t, "eval", "--model="+model, "--data="+data, "--json", "--threads=2")
	require.Equal(t, exitOK, code)
	require.Equal(t, out, again)
	code, out, _ = gogpt(t, "eval", "--model="+model, "--data="+data)
	require.Equal(t, exitOK, code)
	require.Contains(t, out, fmt.Sprintf("loss %.4f", float64(r.AvgLoss)))
	require.Contains(t, out, "of 1\n")
}

func TestEval_ReadsTheChatFilesOfRustGPT(t *testing.T) {
	_, _, model := savedModel(t)
	texts := textFile(t, "d.json", `["User: a? Assistant: b </s>", "用户：c助手：d用户：e助手：f", "a text"]`)
	code, out, err := gogpt(t, "eval", "--model="+model, "--data="+texts)
	require.Equal(t, exitOK, code, err)
	require.Contains(t, out, fmt.Sprintf("tokens %d ", 2+4+len("a text.")))
	require.Contains(t, out, "of 3\n")
	code, _, err = gogpt(t, "eval", "--model="+model, "--data="+textFile(t, "d.json", `["a text", "User: a?"]`))
	require.Equal(t, exitError, code)
	require.Contains(t, err, "d.json: row 2: turn 1: no ")
}

// plainModel saves an untrained model whose vocabulary has only the given special tokens.
func plainModel(t *testing.T, specials ...string) string {
	vocab, err := byteVocab(minVocabSize)
	require.NoError(t, err)
	tok, err := newTokenizer(kindBPE, append(vocab, specials...), nil)
	require.NoError(t, err)
	c := ModelConfig{Layers: 1, Heads: 2, Dim: 8, Hidden: 12, Context: 32, Vocab: tok.size()}
	path := filepath.Join(t.TempDir(), "plain.safetensors")
	require.NoError(t, saveModel(path, newLLM(c, newRNG(3, initStream)), tok))
	return path
}

// A command fails with an error that names the missing tokens only where its data needs them.
func TestCommands_UseAModelWithoutSpecialTokens(t *testing.T) {
	rows, pairs := textFile(t, "rows.json", `["ab"]`), textFile(t, "pairs.json", `[{"user":"a?","assistant":"b"}]`)
	dialogues := textFile(t, "dialogues.json", `["User: a? Assistant: b User: c? Assistant: d"]`)
	stream := textFile(t, "stream.txt", "a running text")
	for _, c := range []struct{ specials, works, fails []string }{
		{nil, []string{stream}, []string{rows, pairs, dialogues}},
		{[]string{endOfText}, []string{stream, rows}, []string{pairs, dialogues}},
		{[]string{userTurn, assistantTurn}, []string{stream}, []string{rows, pairs, dialogues}},
		{[]string{endOfText, userTurn, assistantTurn}, []string{stream, rows, pairs, dialogues}, nil},
	} {
		model := "--model=" + plainModel(t, c.specials...)
		for _, data := range c.works {
			code, _, err := gogpt(t, "eval", model, "--data="+data)
			require.Equal(t, exitOK, code, err)
		}
		for _, data := range c.fails {
			code, out, err := gogpt(t, "eval", model, "--data="+data)
			require.Equal(t, exitError, code)
			require.Empty(t, out)
			require.Contains(t, err, "plain.safetensors: the vocabulary lacks ")
			require.Equal(t, 1, strings.Count(err, "\n"), err)
		}
		code, _, err := gogptReading(t, strings.NewReader("one\ntwo\n"), "chat", model, "--max-tokens=3")
		require.Equal(t, exitOK, code, err)
		if c.fails != nil {
			code, _, err = gogpt(t, "tokenize", model, `--text={"user":"a?","assistant":"b"}`, "--mask")
			require.Equal(t, exitUsage, code)
			require.Contains(t, err, "no tokens for a conversation")
		}
	}
}

func TestEval_EqualsTheValidationLossOfTraining(t *testing.T) {
	dir := t.TempDir()
	path, rows := filepath.Join(dir, "m.safetensors"), textFile(t, "rows.json", `["one two", "three", "four five six"]`)
	events := logLines(t, "--pretrain-data="+rows, "--save="+path, "--val-fraction=0.34", "--batch=8")
	code, out, err := gogpt(t, "eval", "--model="+path, "--data="+textFile(t, "held.json", heldOutOf(t, rows)), "--json")
	require.Equal(t, exitOK, code, err)
	var r evalResult
	onlyJSON(t, out, &r)
	require.InDelta(t, events[1]["val_loss"], float64(r.AvgLoss), 1e-12)
}

// heldOutOf returns, in JSON, the rows of a file that --val-fraction=0.34 puts into the held-out part.
func heldOutOf(t *testing.T, rows string) string {
	c, err := loadCorpusPath(rows)
	require.NoError(t, err)
	_, held, err := splitCorpus(c, 0.34, defaultConfig().Seed)
	require.NoError(t, err)
	text, err := json.Marshal(held.Rows)
	require.NoError(t, err)
	return string(text)
}

func TestTokenize_PrintsIDsAndPieces(t *testing.T) {
	_, tok, model := savedModel(t)
	for _, text := range []string{"hi 你", "", " ", "<|user|>", "\xff\xc3 \n\ufffd"} {
		code, out, err := gogpt(t, "tokenize", "--model="+model, "--text="+text, "--json")
		require.Equal(t, exitOK, code, err)
		var r tokenizeResult
		onlyJSON(t, out, &r)
		require.Equal(t, text, tok.decode(r.IDs))
		require.Equal(t, len(r.IDs), len(r.Pieces))
		bytes, spelling := fromByteLevel(strings.Join(r.Pieces, ""))
		require.NoError(t, spelling)
		require.Equal(t, text, bytes, "no byte is lost")
		require.NotContains(t, r.IDs, tok.user, "text is only text")
	}
	code, out, _ := gogptReading(t, strings.NewReader("ab"), "tokenize", "--model="+model)
	require.Equal(t, exitOK, code)
	require.Equal(t, []string{`"a"`, `"b"`}, []string{strings.Fields(out)[1], strings.Fields(out)[3]})
	code, _, errText := gogptReading(t, iotest.ErrReader(io.ErrClosedPipe), "tokenize", "--model="+model)
	require.Equal(t, exitError, code)
	require.Contains(t, errText, "standard input: ")
}

func TestTokenize_MarksTheTokensThatTheLossCounts(t *testing.T) {
	_, tok, model := savedModel(t)
	code, out, err := gogpt(t, "tokenize", "--model="+model, `--text={"user":"a?","assistant":"b"}`, "--mask", "--json")
	require.Equal(t, exitOK, code, err)
	var r tokenizeResult
	onlyJSON(t, out, &r)
	require.Equal(t, []bool{false, false, false, false, true, true}, r.Mask)
	require.Equal(t, []string{userTurn, "a", "?", assistantTurn, "b", endOfText}, r.Pieces)
	require.Equal(t, chatExample(tok, []pair{{"a?", "b"}}, false).tokens, r.IDs)
	code, out, _ = gogpt(t, "tokenize", "--model="+model, `--text={"user":"a?","assistant":"b"}`, "--mask")
	require.Equal(t, exitOK, code)
	require.Equal(t, 2, strings.Count(out, "  counts\n"))
	for text, want := range map[string]string{
		"":              "end of JSON input",
		"hi":            "invalid character",
		"[]":            "not an object",
		`{"user":"a?"}`: `"assistant": missing`,
		`{"user":"a?","assistant":"b","system":"c"}`: `unknown key "system"`,
		`{"user":"a?","assistant":"b"} {}`:           "invalid character '{' after top-level value",
		`{"user":"a","user":"b","assistant":"c"}`:    `duplicate key "user"`,
		`{"User":"a","assistant":"c"}`:               `"user": missing`,
		`{"user":" ","assistant":"c"}`:               `"user": empty text`,
		`{"user":"a","assistant":null}`:              `"assistant": not a string`,
		`{"user":"a","assistant":"\ud83d"}`:          "surrogate",
		"{\"user\":\"a\",\"assistant\":\"\xff\"}":    "invalid UTF-8 at byte 25",
	} {
		code, _, err := gogpt(t, "tokenize", "--model="+model, "--text="+text, "--mask")
		require.Equal(t, exitUsage, code, text)
		require.Contains(t, err, "--mask: the text is not a ")
		require.Contains(t, err, want)
	}
	const dialogue = "User: a? Assistant: b </s> User: c? Assistant: d </s>"
	code, out, err = gogpt(t, "tokenize", "--model="+model, "--text="+dialogue, "--mask", "--json")
	require.Equal(t, exitOK, code, err)
	onlyJSON(t, out, &r)
	require.Equal(t, chatExample(tok, []pair{{"a?", "b"}, {"c?", "d"}}, false).tokens, r.IDs)
	code, _, err = gogpt(t, "tokenize", "--model="+model, "--text=User: a?", "--mask")
	require.Equal(t, exitUsage, code)
	require.Contains(t, err, `pair or a string "User: … Assistant: …": turn 1: no "Assistant:"`)
	input := strings.NewReader("\n {\"assistant\":\"b\",\"user\":\"a?\"}\n")
	code, _, err = gogptReading(t, input, "tokenize", "--model="+model, "--mask")
	require.Equal(t, exitOK, code, err)
}

func TestTokenize_ReadsTheFilesOfGPT2(t *testing.T) {
	tok, err := trainBPE([]string{"abab"}, minVocabSize+1)
	require.NoError(t, err)
	encoder, merges := gpt2Files(tok, tok.vocabStrings())
	vocab, bpe := textFile(t, "encoder.json", string(encoder)), textFile(t, "vocab.bpe", string(merges))
	code, out, errText := gogpt(t, "tokenize", "--vocab="+vocab, "--merges="+bpe, "--text=abc 中", "--json")
	require.Equal(t, exitOK, code, errText)
	var r tokenizeResult
	onlyJSON(t, out, &r)
	require.Equal(t, []string{"ab", "c", "Ġ", "ä", "¸", "Ń"}, r.Pieces, "the keys of encoder.json")
	for _, files := range [][2]string{{vocab, "missing"}, {"missing", bpe}, {bpe, vocab}} {
		code, _, err := gogpt(t, "tokenize", "--vocab="+files[0], "--merges="+files[1], "--text=ab")
		require.Equal(t, exitError, code)
		require.True(t, strings.Contains(err, "missing: ") || strings.Contains(err, bpe), err)
	}
}

func TestVersion_NamesTheKernel(t *testing.T) {
	code, out, _ := gogpt(t, "version")
	require.Equal(t, exitOK, code)
	require.Equal(t, fmt.Sprintf("gogpt %s, %s %s/%s, kernel %s\n",
		version, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Name()), out)
}

func TestGradcheck_FailsWhenARowFails(t *testing.T) {
	c := &terminal.Console{Out: io.Discard}
	require.NoError(t, printGradRows(c, []gradRow{{OK: true}}, false))
	require.ErrorIs(t, printGradRows(c, []gradRow{{OK: true}, {}}, false), errChecksFailed)
	require.ErrorIs(t, printGradRows(c, []gradRow{{}, {OK: true}}, false), errChecksFailed)
	require.ErrorIs(t, printGradRows(c, []gradRow{{}}, true), errChecksFailed)
}

func TestCommands_UseTheThreadsOfTheFlag(t *testing.T) {
	_, _, model := savedModel(t)
	defer kernel.SetThreads(kernel.Threads())
	for _, args := range [][]string{
		tiny(smallData(t)...), {"chat", "--model=" + model, "--prompt=a", "--max-tokens=1"},
		{"eval", "--model=" + model, "--data=" + textFile(t, "d.json", `["ab"]`)},
	} {
		kernel.SetThreads(1)
		leavePackageFolder(t)
		var errOut bytes.Buffer
		require.Equal(t, exitOK, run(append(args, "--threads=3"), forbiddenInput{t}, io.Discard, &errOut), errOut.String())
		require.Equal(t, 3, kernel.Threads(), args[0])
	}
}

// checkedSizes returns flags of the smallest model that can be checked. Its context is shorter than the sequences of a
// check.
func checkedSizes(t *testing.T) []string {
	rows := textFile(t, "rows.json", `["abcdbca", "cabd"]`)
	pairs := textFile(t, "pairs.json", `[{"user":"ab","assistant":"cd"}]`)
	return []string{"--pretrain-data=" + rows, "--chat-data=" + pairs, "--tokenizer=char",
		"--layers=1", "--dim=4", "--heads=2", "--hidden=2", "--context=3"}
}

// gradRows runs a gradient check that must hold and returns its rows.
func gradRows(t *testing.T, flags ...string) []gradRow {
	code, out, err := gogpt(t, append([]string{"gradcheck", "--json"}, flags...)...)
	require.Equal(t, exitOK, code, err)
	var r struct {
		Rows []gradRow `json:"rows"`
		OK   bool      `json:"ok"`
	}
	onlyJSON(t, out, &r)
	require.True(t, r.OK)
	var named struct{ Rows []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(out), &named))
	for _, row := range named.Rows {
		require.Subset(t, slices.Collect(maps.Keys(row)), []string{"tensor", "mode", "rel_err", "cosine", "ok"})
	}
	return r.Rows
}

// The check has a row for each tensor and mode: always of the exact backward, and of the modes of --attn-backward.
func TestGradcheck_ChecksTheModesAskedFor(t *testing.T) {
	for mode, want := range map[string][]string{
		"stop-gradient": {"exact", "stop-gradient"},
		"all":           {"exact", "straight-through", "stop-gradient"},
	} {
		rows := gradRows(t, append(checkedSizes(t), "--attn-backward="+mode)...)
		tensors := len(rows) / len(want)
		require.Greater(t, tensors, 16, "parameters and inputs")
		require.Len(t, rows, len(want)*tensors)
		for i, r := range rows {
			require.Equal(t, want[i/tensors], r.Mode, "--attn-backward=%s", mode)
			require.Equal(t, rows[i%tensors].Tensor, r.Tensor)
			require.True(t, r.OK, "%+v", r)
		}
	}
}

func TestGradcheck_PrintsATable(t *testing.T) {
	code, out, err := gogpt(t, append([]string{"gradcheck", "--attn-backward=exact"}, checkedSizes(t)...)...)
	require.Equal(t, exitOK, code, err)
	require.Contains(t, out, "exact            h.0.attn.c_attn.weight[q]")
	require.NotContains(t, out, "straight-through  ", "only the exact backward is checked")
	require.NotContains(t, out, "stop-gradient  ")
}

// --seed decides the probes, not only the weights.
func TestGradcheck_TheSeedChoosesTheProbes(t *testing.T) {
	flags := append(checkedSizes(t), "--seed=2")
	cfg := defaultConfig()
	fs := flag.NewFlagSet("gradcheck", flag.ContinueOnError)
	commonFlags(fs, &cfg)
	modelFlags(fs, &cfg.Model)
	dataFlags(fs, &cfg)
	require.NoError(t, fs.Parse(flags))
	m, b, err := checkSubject(&cfg)
	require.NoError(t, err)
	inJSON := func(rows []gradRow) string {
		text, err := json.Marshal(rows)
		require.NoError(t, err)
		return string(text)
	}
	printed := inJSON(gradRows(t, append(flags, "--attn-backward=exact")...))
	require.Equal(t, inJSON(checkGradients(m, b, 2, nil)), printed)
	require.NotEqual(t, inJSON(checkGradients(m, b, 1, nil)), printed, "other probes of the same weights")
}

// The report command and --report. internal/report tests the page itself.

func TestReportCommand_MakesThePageThatTheRunMadeItself(t *testing.T) {
	dir := t.TempDir()
	log, own, later := filepath.Join(dir, "run.jsonl"), filepath.Join(dir, "run.html"), filepath.Join(dir, "later.html")
	trained(t, "--pretrain-epochs=2", "--finetune-epochs=1", "--val-fraction=0.2", "--log-json="+log, "--report="+own)
	code, out, errText := gogpt(t, "report", log, "-o", later)
	require.Equal(t, exitOK, code, errText)
	require.Empty(t, out)
	want, err := os.ReadFile(own)
	require.NoError(t, err)
	got, err := os.ReadFile(later)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestReportCommand_LaysSeveralLogsOverEachOther(t *testing.T) {
	dir := t.TempDir()
	args := []string{"report", "-o", filepath.Join(dir, "page.html")}
	for i, rate := range []string{"0.001", "0.002"} {
		log := filepath.Join(dir, []string{"first.jsonl", "second.jsonl"}[i])
		trained(t, "--pretrain-epochs=1", "--lr="+rate, "--log-json="+log)
		args = append(args, log)
	}
	code, out, errText := gogpt(t, args...)
	require.Equal(t, exitOK, code, errText)
	require.Empty(t, out)
	page, err := os.ReadFile(args[2])
	require.NoError(t, err)
	require.Contains(t, string(page), "<title>Training report: first, second</title>")
	require.Contains(t, string(page), "<td>lr</td><td>0.001</td><td>0.002</td>")
}

func TestReportCommand_RefusesWhatItCannotDraw(t *testing.T) {
	code, _, err := gogpt(t, "report", "-o", "x.html")
	require.Equal(t, exitUsage, code)
	require.Equal(t, 1, strings.Count(err, "\n"))
	code, _, err = gogpt(t, "report", "-o", filepath.Join(t.TempDir(), "x.html"), textFile(t, "bad.jsonl", "{}\n"))
	require.Equal(t, exitError, code)
	require.Contains(t, err, "bad.jsonl: line 1:")
	code, _, err = gogpt(t, tiny("--report="+filepath.Join(t.TempDir(), "no", "x.html"))...)
	require.Equal(t, exitError, code, "before training")
	require.Contains(t, err, "x.html")
}

func TestReportLog_APageThatCannotBeWrittenFailsTheRun(t *testing.T) {
	r := newReportLog(filepath.Join(t.TempDir(), "no", "x.html"))
	for _, record := range []any{runlog.Run{}, &runlog.Epoch{Phase: "pretrain", Epoch: 1}} {
		require.NoError(t, r.Observe(record))
	}
	require.ErrorContains(t, r.Observe(runlog.End{}), "report: ")
}
