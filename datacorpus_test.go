package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"gogpt/internal/strictjson"
)

// corpusOf loads a file with the given content.
func corpusOf(file, content string) (*corpus, error) {
	return loadCorpus(fstest.MapFS{file: {Data: []byte(content)}}, file)
}

func TestCorpus_ReadsEveryFormat(t *testing.T) {
	hello := &corpus{Rows: []string{"hello"}}
	for _, c := range []struct {
		file, content string
		want          *corpus
	}{
		{"a.json", `["hello"]`, hello},
		{"a.JSON", "\uFEFF [\n\"hello\"\n] \n", hello},
		{"a.jsonl", "\uFEFF\n  \n \"hello\" \r\n\n", hello},
		{"a.jsonl", `"hello"`, hello},
		{"a.txt", "\uFEFF\nhello\r\n\x00", &corpus{Streams: []string{"\nhello\r\n\x00"}}},
		{"a.json", `["你好", {"assistant": "A", "user": "U"}, "\ud83d\ude00 \\ud83d \"\ufffd\n"]`,
			&corpus{Rows: []string{"你好", "😀 \\ud83d \"\uFFFD\n"}, Pairs: []pair{{"U", "A"}}}},
		{"a.jsonl", "{\"us\\u0065r\": \"U\", \"assistant\": \"A\"}\n\"hello\"",
			&corpus{Rows: []string{"hello"}, Pairs: []pair{{"U", "A"}}}},
	} {
		got, err := corpusOf(c.file, c.content)
		require.NoError(t, err, c.content)
		require.Equal(t, c.want, got)
	}
}

func TestCorpus_ErrorsNameTheFileAndTheRow(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"d/a.json", ``, `d/a.json: line 1: unexpected end of JSON input`},
		{"d/a.json", "[\n\"x\",\n\"y\"\n", `d/a.json: line 3: unexpected end of JSON input`},
		{"d/a.json", "[\n\"x\",\n]", `d/a.json: line 3: invalid character ']' looking for beginning of value`},
		{"d/a.json", "[\"x\ny\"]", `d/a.json: line 1: invalid character '\n' in string literal`},
		{"d/a.json", "[\"x\"]\n\n[\"y\"]", `d/a.json: line 3: invalid character '[' after top-level value`},
		{"d/a.json", `["\x"]`, `d/a.json: line 1: invalid character 'x' in string escape code`},
		{"d/a.json", `{"user": "U", "assistant": "A"}`,
			`d/a.json: not a JSON array of strings and {"user", "assistant"} objects`},
		{"d/a.json", `"x"`, `d/a.json: not a JSON array of strings and {"user", "assistant"} objects`},
		{"d/a.json", `null`, `d/a.json: not a JSON array of strings and {"user", "assistant"} objects`},
		{"d/a.json", `[]`, `d/a.json: contains no text`},
		{"d/a.jsonl", "\n \n", `d/a.jsonl: contains no text`},
		{"d/a.txt", "", `d/a.txt: contains no text`},
		{"d/a.txt", "\uFEFF \n\t\u3000", `d/a.txt: contains no text`},
		{"d/a.json", `["x", 1]`, `d/a.json: row 2: neither a string nor a {"user", "assistant"} object`},
		{"d/a.json", `[null]`, `d/a.json: row 1: neither a string nor a {"user", "assistant"} object`},
		{"d/a.json", `["x", ["y"]]`, `d/a.json: row 2: neither a string nor a {"user", "assistant"} object`},
		{"d/a.json", `["x", " \t\u3000"]`, `d/a.json: row 2: empty text`},
		{"d/a.json", `[{"user": "U"}]`, `d/a.json: row 1: "assistant": missing`},
		{"d/a.json", `[{"User": "U", "assistant": "A"}]`, `d/a.json: row 1: "user": missing`},
		{"d/a.json", `[{"user": "U", "assistant": "A", "z": 1, "id": 2}]`, `d/a.json: row 1: unknown key "id"`},
		{"d/a.json", `[{"user": "U", "assistant": "A", "us\u0065r": "V"}]`, `d/a.json: row 1: duplicate key "user"`},
		{"d/a.json", `[{"user": "U", "assistant": "\n"}]`, `d/a.json: row 1: "assistant": empty text`},
		{"d/a.json", `[{"user": null, "assistant": "A"}]`, `d/a.json: row 1: "user": not a string`},
		{"d/a.json", `[{"user": ["U"], "assistant": "A"}]`, `d/a.json: row 1: "user": not a string`},
		{"d/a.json", `["x", "\ud800"]`, `d/a.json: row 2: half of a \uXXXX surrogate pair`},
		{"d/a.json", "[\n\"x\",\n\"\xff\"]", `d/a.json: line 3: invalid UTF-8 at byte 8`},
		{"d/a.txt", "\uFEFFline\n\xe4\xbd", `d/a.txt: line 2: invalid UTF-8 at byte 8`},
		{"d/a.jsonl", "\n\"x\"\n\n[]", `d/a.jsonl: row 2 (line 4): neither a string nor a {"user", "assistant"} object`},
		{"d/a.jsonl", "\"x\" \"y\"", `d/a.jsonl: row 1 (line 1): invalid character '"' after top-level value`},
		{"d/a.jsonl", "\"x\"\n{\"user\":\n", `d/a.jsonl: row 2 (line 2): unexpected end of JSON input`},
		{"d/a.csv", "x", `d/a.csv: not a .json, .jsonl or .txt file, or a folder of them`},
		{"d/a", "x", `d/a: not a .json, .jsonl or .txt file, or a folder of them`},
	} {
		_, err := corpusOf(c.file, c.content)
		require.EqualError(t, err, c.want, "%q", c.content)
	}
	_, err := loadCorpus(fstest.MapFS{}, "d/a.json")
	require.EqualError(t, err, "d/a.json: file does not exist")
}

// chatFileOf is a chat file with conversations in every form.
const chatFileOf = `["User: a Assistant: b </s>", {"user": "U", "assistant": "A"},
	"用户：甲助手：乙</s>用户：丙助手：丁", "\nUser: c\nAssistant: d\n"]`

func TestCorpus_AStringIsATextOrAConversation(t *testing.T) {
	read := func(file, content string, add stringAdder) *corpus {
		c, err := readCorpus(fstest.MapFS{file: {Data: []byte(content)}}, file, add)
		require.NoError(t, err)
		return c
	}
	pairs := []pair{{"a", "b"}, {"U", "A"}, {"c", "d"}}
	dialogues := [][]pair{{{"甲", "乙"}, {"丙", "丁"}}}
	require.Equal(t, &corpus{Pairs: pairs, Dialogues: dialogues}, read("a.json", chatFileOf, (*corpus).addDialogue))
	lines := "\"User: a Assistant: b\"\n\n\"用户:甲助手:乙用户:丙助手:丁\""
	want := &corpus{Pairs: pairs[:1], Dialogues: dialogues}
	require.Equal(t, want, read("a.jsonl", lines, (*corpus).addDialogue))

	mixed := read("a.json", `["a text"`+","+chatFileOf[1:], (*corpus).addTextOrDialogue)
	require.Equal(t, &corpus{Rows: []string{"a text"}, Pairs: pairs, Dialogues: dialogues}, mixed)
	require.Equal(t, append([][]pair{pairs[:1], pairs[1:2], pairs[2:]}, dialogues...), mixed.conversations())
	require.Equal(t, 5, mixed.texts())

	texts := []string{"User: a Assistant: b </s>", "用户：甲助手：乙</s>用户：丙助手：丁", "\nUser: c\nAssistant: d\n"}
	require.Equal(t, &corpus{Rows: texts, Pairs: pairs[1:2]}, read("a.json", chatFileOf, (*corpus).addText))
}

func TestCorpus_ErrorsOfDialoguesNameTheFileAndTheRow(t *testing.T) {
	const noUser = `does not begin with a user's turn, "User:" or "用户："`
	for _, c := range []struct{ file, content, want string }{
		{"d/a.json", `["User: a Assistant: b", "c"]`, "d/a.json: row 2: " + noUser},
		{"d/a.json", `[{"user": "U", "assistant": "A"}, "User: a"]`,
			`d/a.json: row 2: turn 1: no "Assistant:" or "助手：" after the question`},
		{"d/a.jsonl", "\"User: a Assistant: b\"\n\n\"用户：甲助手：\"", "d/a.jsonl: row 2 (line 3): turn 1: the answer is empty"},
		{"d/a.json", `[" "]`, "d/a.json: row 1: empty text"},
	} {
		_, err := readCorpus(fstest.MapFS{c.file: {Data: []byte(c.content)}}, c.file, (*corpus).addDialogue)
		require.EqualError(t, err, c.want)
	}
}

func TestStrictJSON_FindsUnpairedSurrogates(t *testing.T) {
	for text, unpaired := range map[string]bool{
		`"\ud83d\ude00"`: false, `"\uD83D\uDE00\uD83D\uDE00"`: false, `"\\ud83d"`: false, `"\\\\u"`: false,
		`"\u00e9\n"`: false,
		`"\ud83d"`:   true, `"\ude00"`: true, `"\ude00\ud83d"`: true, `"\ud83dx\ude00"`: true, `"\ud83d\ud83d\ude00"`: true,
		`"\\\ud83d"`: true, `"\ud83d\\ude00"`: true, `"\ud83d\ude00\uDFFF"`: true,
	} {
		require.Equal(t, unpaired, strictjson.UnpairedSurrogate([]byte(text)), text)
	}
}

func TestCorpus_ReadsAFolderInTheOrderOfNames(t *testing.T) {
	folder := fstest.MapFS{
		"d/b.txt":      {Data: []byte("stream b")},
		"d/a.json":     {Data: []byte(`["a1", {"user": "U", "assistant": "A"}]`)},
		"d/c.jsonl":    {Data: []byte(`"c1"`)},
		"d/blank.txt":  {Data: []byte(" ")},
		"d/readme.md":  {Data: []byte("\xff")},
		"d/sub/d.txt":  {Data: []byte("below")},
		"d/x.txt/y.md": {},
		"none/x.md":    {},
	}
	want := &corpus{Rows: []string{"a1", "c1"}, Pairs: []pair{{"U", "A"}}, Streams: []string{"stream b"}}
	got, err := loadCorpus(folder, "d")
	require.NoError(t, err)
	require.Equal(t, want, got)
	sub, err := folder.Sub("d")
	require.NoError(t, err)
	got, err = loadCorpus(sub, ".")
	require.NoError(t, err)
	require.Equal(t, want, got)

	_, err = loadCorpus(folder, "none")
	require.EqualError(t, err, "none: the folder contains no .json, .jsonl or .txt file")
	folder["d/d.json"] = &fstest.MapFile{Data: []byte("[1]")}
	_, err = loadCorpus(folder, "d")
	require.ErrorContains(t, err, "d/d.json: row 1: ")
	_, err = loadCorpus(sub, ".")
	require.ErrorContains(t, err, "d.json: row 1: ")
}

func TestCorpus_ErrorsNameThePathAsWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll("data/deep", 0o755))
	require.NoError(t, os.WriteFile("data/a.json", []byte(`["x"]`), 0o644))
	absolute, err := filepath.Abs("data")
	require.NoError(t, err)
	for _, path := range []string{"data", "./data/", "data/deep/..", "data/a.json", absolute} {
		c, err := loadCorpusPath(path)
		require.NoError(t, err)
		require.Equal(t, []string{"x"}, c.Rows)
	}
	require.NoError(t, os.WriteFile("data/a.json", []byte(`[1]`), 0o644))
	for path, prefix := range map[string]string{
		"./data/":      "./data/a.json: row 1: ",
		"data/deep/..": "data/deep/../a.json: row 1: ",
	} {
		_, err = loadCorpusPath(path)
		require.ErrorContains(t, err, prefix)
	}
	_, err = loadCorpusPath("data/b.json")
	require.EqualError(t, err, "data/b.json: no such file or directory")
	_, err = loadCorpusPath("data/a.json/b.json")
	require.EqualError(t, err, "data/a.json/b.json: not a directory")
}

func TestCorpus_ReadsLinesOfAnyLength(t *testing.T) {
	long := strings.Repeat("word ", 1<<18)
	c, err := corpusOf("a.jsonl", `"`+long+`"`)
	require.NoError(t, err)
	require.Equal(t, []string{long}, c.Rows)
}

func TestCorpus_DigestDependsOnTheTextsAlone(t *testing.T) {
	seen := map[string]int{}
	for i, c := range []*corpus{
		{},
		{Rows: []string{"ab"}}, {Rows: []string{"a", "b"}}, {Rows: []string{"b", "a"}}, {Rows: []string{"a1:b"}},
		{Rows: []string{"a", "bc"}}, {Rows: []string{"ab", "c"}},
		{Pairs: []pair{{"a", "b"}}}, {Pairs: []pair{{"b", "a"}}}, {Streams: []string{"ab"}}, {Streams: []string{"a", "b"}},
		{Rows: []string{"a"}, Streams: []string{"b"}},
		{Pairs: []pair{{"a", "b"}, {"c", "d"}}}, {Dialogues: [][]pair{{{"a", "b"}, {"c", "d"}}}},
		{Dialogues: [][]pair{{{"a", "b"}, {"c", "d"}}, {{"e", "f"}, {"g", "h"}, {"i", "j"}}}},
		{Dialogues: [][]pair{{{"a", "b"}, {"c", "d"}, {"e", "f"}}, {{"g", "h"}, {"i", "j"}}}},
	} {
		digest := c.digest()
		require.Len(t, digest, 64)
		require.NotContains(t, seen, digest, "corpora %d and %d", seen[digest], i)
		seen[digest] = i
	}
	json, err := corpusOf("a.json", `["a", "b"]`)
	require.NoError(t, err)
	lines, err := corpusOf("d/b.jsonl", "\"\\u0061\"\n\n\"b\"\n")
	require.NoError(t, err)
	require.Equal(t, json.digest(), lines.digest())
}

func FuzzCorpus(f *testing.F) {
	for _, seed := range []string{`["x", {"user": "U", "assistant": "A"}]`,
		"\"x\"\n{\"user\": \"\\ud83d\\ude00\", \"assistant\": \"\\\\\"}", "\uFEFFtext", `["\ud83d"]`, chatFileOf,
		`[[{"user": null}]]`, "\xff", `["\`, `[""]`} {
		for kind := range byte(9) {
			f.Add([]byte(seed), kind)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		file := "a" + []string{".json", ".jsonl", ".txt"}[kind%3]
		add := []stringAdder{(*corpus).addText, (*corpus).addDialogue, (*corpus).addTextOrDialogue}[kind/3%3]
		c, err := readCorpus(fstest.MapFS{file: {Data: data}}, file, add)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "a."), err)
			return
		}
		texts := append(c.Rows, c.Streams...)
		for _, p := range slices.Concat(c.conversations()...) {
			texts = append(texts, p.User, p.Assistant)
		}
		require.NotEmpty(t, texts)
		for _, text := range texts {
			require.True(t, utf8.ValidString(text))
			require.NotEmpty(t, strings.TrimSpace(text))
		}
	})
}

// The repository's own data.

func ownCorpus(t *testing.T, file string) *corpus {
	c, err := loadCorpus(repositoryData, file)
	require.NoError(t, err)
	return c
}

func isChinese(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// requireDistinctHalves checks that no text occurs twice, that none begins or ends with white space, and that half are
// Chinese.
func requireDistinctHalves(t *testing.T, texts []string) {
	seen, chinese := map[string]bool{}, 0
	for _, text := range texts {
		key := strings.ToLower(text)
		require.False(t, seen[key], "twice: %s", text)
		seen[key] = true
		require.Equal(t, strings.TrimSpace(text), text)
		require.NotContains(t, text, "\uFFFD")
		if isChinese(text) {
			chinese++
		}
	}
	require.Equal(t, len(texts), 2*chinese, "half Chinese, half English")
}

func usersOf(pairs []pair) (users []string) {
	for _, p := range pairs {
		users = append(users, p.User)
	}
	return users
}

func TestBuiltInData_SentencesAreDistinctAndHalfChinese(t *testing.T) {
	c := ownCorpus(t, pretrainingFile)
	require.Empty(t, c.Pairs)
	require.InDelta(t, 250, len(c.Rows), 10)
	requireDistinctHalves(t, c.Rows)
	for _, text := range c.Rows {
		end := "."
		if isChinese(text) {
			end = "。"
		}
		require.True(t, strings.HasSuffix(text, end), text)
	}
}

func TestBuiltInData_EveryQuestionHasAnAnswerInItsLanguage(t *testing.T) {
	c := ownCorpus(t, chatFile)
	require.Empty(t, c.Rows)
	require.Len(t, c.Pairs, 200)
	requireDistinctHalves(t, usersOf(c.Pairs))
	for _, p := range c.Pairs {
		require.Equal(t, isChinese(p.User), isChinese(p.Assistant), p.User)
	}
}

func TestBuiltInData_HeldOutQuestionsAreNewAndTheirAnswersTrained(t *testing.T) {
	chat, held := ownCorpus(t, chatFile), ownCorpus(t, heldoutFile)
	require.Len(t, held.Pairs, 40)
	requireDistinctHalves(t, usersOf(held.Pairs))
	questions, answers := map[string]bool{}, map[string]bool{}
	for _, p := range chat.Pairs {
		questions[strings.ToLower(p.User)], answers[p.Assistant] = true, true
	}
	for _, p := range held.Pairs {
		require.False(t, questions[strings.ToLower(p.User)], "trained: %s", p.User)
		require.True(t, answers[p.Assistant], "not an answer of the chat data: %s", p.Assistant)
	}
}

func TestBuiltInData_HasOneRowPerLine(t *testing.T) {
	for _, file := range []string{pretrainingFile, chatFile, heldoutFile} {
		data, err := repositoryData.ReadFile(file)
		require.NoError(t, err)
		c := ownCorpus(t, file)
		require.Equal(t, len(c.Rows)+len(c.Pairs)+2, bytes.Count(data, []byte("\n")), file)
		require.True(t, bytes.HasSuffix(data, []byte("]\n")), file)
	}
}
