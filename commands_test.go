package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// onlyJSON reads the one JSON value that out must hold.
func onlyJSON(t *testing.T, out string, value any) {
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(value), out)
	_, err := dec.Token()
	require.ErrorIs(t, err, io.EOF, "one value and nothing else: %s", out)
}

func TestEvalMeasuresASavedModel(t *testing.T) {
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

// What a vocabulary cannot write is an error that names the tokens; what it can is measured, and every text is continued.
func TestAModelWithoutSpecialTokensIsUsedAsFarAsItGoes(t *testing.T) {
	rows, pairs := textFile(t, "rows.json", `["ab"]`), textFile(t, "pairs.json", `[{"user":"a?","assistant":"b"}]`)
	stream := textFile(t, "stream.txt", "a running text")
	for _, c := range []struct{ specials, works, fails []string }{
		{nil, []string{stream}, []string{rows, pairs}},
		{[]string{endOfText}, []string{stream, rows}, []string{pairs}},
		{[]string{userTurn, assistantTurn}, []string{stream}, []string{rows, pairs}},
		{[]string{endOfText, userTurn, assistantTurn}, []string{stream, rows, pairs}, nil},
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

func TestEvalAnswersTheLossThatTrainingReported(t *testing.T) {
	dir := t.TempDir()
	path, rows := filepath.Join(dir, "m.safetensors"), textFile(t, "rows.json", `["one two", "three", "four five six"]`)
	events := logLines(t, "--pretrain-data="+rows, "--save="+path, "--val-fraction=0.34", "--batch=8")
	code, out, err := gogpt(t, "eval", "--model="+path, "--data="+textFile(t, "held.json", heldOutOf(t, rows)), "--json")
	require.Equal(t, exitOK, code, err)
	var r evalResult
	onlyJSON(t, out, &r)
	require.InDelta(t, events[1]["val_loss"], float64(r.AvgLoss), 1e-12)
}

// heldOutOf is the JSON of the rows that --val-fraction=0.34 holds out of a file.
func heldOutOf(t *testing.T, rows string) string {
	c, err := loadCorpusPath(rows)
	require.NoError(t, err)
	_, held, err := splitCorpus(c, 0.34, defaultConfig().Seed)
	require.NoError(t, err)
	text, err := json.Marshal(held.Rows)
	require.NoError(t, err)
	return string(text)
}

func TestTokenizeShowsIdsAndPieces(t *testing.T) {
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

func TestTokenizeShowsWhichTokensOfAPairCount(t *testing.T) {
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
		`{"user":"a","user":"b","assistant":"c"}`:    `key "user" stands twice`,
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
	code, _, err = gogptReading(t, strings.NewReader("\n {\"assistant\":\"b\",\"user\":\"a?\"}\n"), "tokenize", "--model="+model, "--mask")
	require.Equal(t, exitOK, code, err)
}

func TestTokenizeReadsTheFilesOfGPT2(t *testing.T) {
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

func TestVersionNamesTheKernel(t *testing.T) {
	code, out, _ := gogpt(t, "version")
	require.Equal(t, exitOK, code)
	require.Equal(t, fmt.Sprintf("gogpt %s, %s %s/%s, kernel %s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernelName()), out)
}

func TestAFailedCheckExitsWithOne(t *testing.T) {
	c := &console{out: io.Discard}
	require.NoError(t, printGradRows(c, []gradRow{{OK: true}}, false))
	require.ErrorIs(t, printGradRows(c, []gradRow{{OK: true}, {}}, false), errChecksFailed)
	require.ErrorIs(t, printGradRows(c, []gradRow{{}, {OK: true}}, false), errChecksFailed, "a later success excuses nothing")
	require.ErrorIs(t, printGradRows(c, []gradRow{{}}, true), errChecksFailed)
}

func TestCommands_TheThreadsAreThoseOfTheFlag(t *testing.T) {
	_, _, model := savedModel(t)
	defer setThreads(threads())
	for _, args := range [][]string{
		tiny(smallData(t)...), {"chat", "--model=" + model, "--prompt=a", "--max-tokens=1"},
		{"eval", "--model=" + model, "--data=" + textFile(t, "d.json", `["ab"]`)},
	} {
		setThreads(1)
		leavePackageFolder(t)
		var errOut bytes.Buffer
		require.Equal(t, exitOK, run(append(args, "--threads=3"), forbiddenInput{t}, io.Discard, &errOut), errOut.String())
		require.Equal(t, 3, threads(), args[0])
	}
}
