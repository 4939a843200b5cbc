package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/runlog"
	"gogpt/internal/survey"
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

// surveyed runs gogpt data and returns its JSON.
func surveyed(t *testing.T, args ...string) *dataResult {
	code, out, err := gogpt(t, append([]string{"data", "--json"}, args...)...)
	require.Equal(t, exitOK, code, err)
	require.Empty(t, err)
	r := &dataResult{}
	onlyJSON(t, out, r)
	return r
}

func TestData_DescribesTheBuiltInData(t *testing.T) {
	r := surveyed(t)
	require.Equal(t, []any{"bpe", 2048, 128}, []any{r.Tokenizer, r.Vocab, r.Context})
	require.Len(t, r.Train, 2)
	require.Equal(t, 252+200, r.Total.Samples)
	require.Equal(t, heldoutFile, r.HeldOut[0].File)
	require.Equal(t, 40, r.HeldOut[0].Samples)
	require.Zero(t, len(r.Cut)+len(r.Duplicates)+len(r.Overlap))
	require.Greater(t, len(surveyed(t, "--context=20").Cut), 5, "JSON has all of them")
	held := surveyed(t, "--val-fraction=0.1").HeldOut
	require.Equal(t, []string{pretrainingFile, chatFile}, []string{held[0].File, held[1].File})
	require.NotEqual(t, held[0].Tokens, surveyed(t, "--val-fraction=0.1", "--seed=2").HeldOut[0].Tokens)
}

func TestData_FindsWhatIsWrongWithFiles(t *testing.T) {
	rows := textFile(t, "rows.json", `["ab", "`+strings.Repeat("长", 40)+`", "ab"]`)
	pairs := textFile(t, "pairs.jsonl", "{\"user\":\"a?\",\"assistant\":\"b\"}\n")
	held := textFile(t, "held.json", `["ab", "new"]`)
	r := surveyed(t, rows, "--tokenizer=char", "--val-data="+held, "--context=8", pairs)
	require.Equal(t, []any{"char", minVocabSize + 1, 8}, []any{r.Tokenizer, r.Vocab, r.Context})
	require.Equal(t, []int{4, 9}, []int{r.Total.Samples, r.Total.Windows})
	require.Equal(t, survey.Finding{{Place: survey.Place{File: rows, Row: 2}, Length: 41,
		Text: strings.Repeat("长", 20) + "…"}}, r.Cut)
	require.Equal(t, survey.Finding{{Place: survey.Place{File: rows, Row: 3}, Length: 3,
		Equals: &survey.Place{File: rows, Row: 1}, Text: "ab"}}, r.Duplicates)
	require.Equal(t, survey.Finding{{Place: survey.Place{File: held, Row: 1}, Length: 3,
		Equals: &survey.Place{File: rows, Row: 1}, Text: "ab"}}, r.Overlap)
	code, out, err := gogpt(t, "data", rows)
	require.Equal(t, exitOK, code, err)
	require.True(t, strings.HasPrefix(out, "vocabulary "), out)
	require.Contains(t, out, "overlap: nothing is held out\n")
}

func TestData_UsesTheTokenizerAndTheContextOfAModel(t *testing.T) {
	_, words, model := savedModel(t)
	rows := textFile(t, "rows.json", `["abc", "长"]`)
	r := surveyed(t, rows, "--model="+model)
	m, _, err := loadModel(model)
	require.NoError(t, err)
	require.Equal(t, []any{model, words.size(), m.Context}, []any{r.Model, r.Vocab, r.Context})
	require.Equal(t, 4+4, r.Total.Tokens, "a vocabulary of bytes")
	code, out, errText := gogpt(t, "data", rows, "--model="+plainModel(t))
	require.Equal(t, exitError, code)
	require.Empty(t, out)
	require.Contains(t, errText, "plain.safetensors: the vocabulary lacks <|endoftext|>")
}

func TestData_RefusesWhatItCannotRead(t *testing.T) {
	rows := textFile(t, "rows.json", `["ab", 1]`)
	good := textFile(t, "good.json", `["ab", "c"]`)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitError, rows + ": row 2: neither a string nor", []string{rows}},
		{exitError, "missing.json: no such file", []string{good, "missing.json"}},
		{exitError, rows + ": row 2: ", []string{good, "--val-data=" + rows}},
		{exitError, "--val-fraction=0.1 leaves nothing", []string{textFile(t, "one.json", `["ab"]`), "--val-fraction=0.1"}},
		{exitUsage, "--val-data=x: takes no --val-fraction=0.1 beside it", []string{"--val-data=x", "--val-fraction=0.1"}},
		{exitUsage, `unexpected argument ""`, []string{good, ""}},
		{exitUsage, "--context=0: takes a whole number of at least 1", []string{"--context=0"}},
		{exitUsage, "--tokenizer=words: takes bpe or char", []string{"--tokenizer=words"}},
		{exitUsage, "--context=9: takes no --model=m beside it", []string{"--model=m", "--context=9"}},
		{exitUsage, "--vocab-size=300: takes no --model=m beside it", []string{"--model=m", "--vocab-size=300"}},
		{exitUsage, "--tokenizer=bpe: takes no --model=m beside it", []string{"--model=m", "--tokenizer=bpe"}},
		{exitError, "m: no such file", []string{good, "--model=m"}},
	} {
		code, out, err := gogpt(t, append([]string{"data"}, c.args...)...)
		require.Equal(t, c.code, code, err)
		require.Contains(t, err, c.want)
		require.Equal(t, 1, strings.Count(err, "\n"), err)
		require.Empty(t, out)
	}
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
