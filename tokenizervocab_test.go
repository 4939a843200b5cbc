package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVocabulary_TakesTheMostFrequentCharacters(t *testing.T) {
	tok, err := trainChar([]string{"éé中ß", "ab\xff中é🙂"}, 256+3+3)
	if err != nil {
		t.Fatal(err)
	}
	// é occurs three times, 中 twice, ß and 🙂 once: ß has the lower code point, 🙂 has no token.
	if got := tok.pieces[256:259]; !slices.Equal(got, []string{"é", "中", "ß"}) {
		t.Errorf("character tokens %q", got)
	}
	if ids := tok.encode("é🙂a"); len(ids) != 1+4+1 || ids[0] != 256 {
		t.Errorf("an unknown character should become its bytes: %v", ids)
	}
}

func TestVocabulary_KeepsItsLimit(t *testing.T) {
	for name, train := range map[string]func([]string, int) (*tokenizer, error){"bpe": trainBPE, "char": trainChar} {
		for _, size := range []int{-1, 0, minVocabSize - 1} {
			if _, err := train([]string{smallCorpus}, size); err == nil {
				t.Errorf("%s: a vocabulary of %d was made", name, size)
			}
		}
		for _, size := range []int{minVocabSize, minVocabSize + 1, minVocabSize + 5} {
			if tok, err := train([]string{smallCorpus}, size); err != nil || tok.size() != size {
				t.Errorf("%s: want %d tokens, got error %v", name, size, err)
			}
		}
		if tok, err := train(nil, 5000); err != nil || tok.size() != minVocabSize {
			t.Errorf("%s: no text should leave bytes and special tokens only (error %v)", name, err)
		}
	}
}

func TestVocabulary_TrainedTwiceHasTheSameBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	texts := []string{smallCorpus, randomString(rng, []string{"a", "b", "the", "ing", " ", "é", "中", "ß"}, 20_000)}
	for name, train := range map[string]func([]string, int) (*tokenizer, error){"bpe": trainBPE, "char": trainChar} {
		var first []byte
		for range 3 {
			tok, err := train(texts, 1000)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(tok)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = b
			}
			if !bytes.Equal(b, first) {
				t.Errorf("%s: two trainings differ", name)
			}
		}
	}
}

func marshalTokenizer(tb testing.TB, tok *tokenizer) []byte {
	b, err := tok.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestTokenizerJSON_ReadsBack(t *testing.T) {
	for _, tok := range smallTokenizers(t) {
		b := marshalTokenizer(t, tok)
		read := new(tokenizer)
		if err := json.Unmarshal(b, read); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(marshalTokenizer(t, read), b) {
			t.Errorf("%s: written again, the file differs", tok.kind)
		}
		if !slices.Equal(read.encode(smallCorpus), tok.encode(smallCorpus)) || read.assistant != tok.assistant {
			t.Errorf("%s: the tokenizer read encodes differently", tok.kind)
		}
		for _, name := range []string{endOfText, userTurn, assistantTurn} {
			if !bytes.Contains(b, []byte(`"`+name+`"`)) {
				t.Errorf("%s: %s is not readable in the file", tok.kind, name)
			}
		}
	}
}

func TestTokenizerJSON_RefusesABrokenFile(t *testing.T) {
	tokenizers := smallTokenizers(t)
	byMerges, byChars := string(marshalTokenizer(t, tokenizers[0])), string(marshalTokenizer(t, tokenizers[1]))
	for _, c := range []struct{ name, file, from, to, want string }{
		{"empty", `{}`, "", "", `kind ""`},
		{"null", `null`, "", "", `kind ""`},
		{"not JSON", byMerges, `{`, `[`, "invalid character"},
		{"unknown kind", byMerges, `"bpe"`, `"words"`, `kind "words"`},
		{"merges of characters", byMerges, `"bpe"`, `"char"`, `kind "char"`},
		{"unknown field", byMerges, `"kind"`, `"king":1,"kind"`, "unknown field"},
		{"byte missing", byMerges, `"!",`, ``, "byte 0x21 has no token"},
		{"token twice", byMerges, `"\"",`, `"!",`, "is already token 0"},
		{"no byte-level spelling", byMerges, `"!"`, `" !"`, "spells no byte"},
		{"piece without a merge", byMerges, `"<|user|>"`, `"xyz"`, "is not a byte, a bpe piece or a <special> token"},
		{"empty token", byMerges, `"<|user|>"`, `""`, "is empty"},
		{"merge without a piece", byMerges, `"merges":[`, `"merges":["q z",`, "has no token"},
		{"merge twice", byMerges, `"merges":[`, `"merges":["a t",`, "as an earlier merge does"},
		{"part unknown", byMerges, `"merges":[`, `"merges":["qz a",`, "neither a byte nor the result"},
		{"merge of one part", byMerges, `"merges":[`, `"merges":["at",`, "merge 1:"},
		{"merge of three parts", byMerges, `"merges":[`, `"merges":["a t x",`, "spells no byte"},
		{"two characters", byChars, `"<|user|>"`, `"ä¸Ńä¸Ń"`, "is not a byte, a char piece"},
	} {
		if !strings.Contains(c.file, c.from) {
			t.Fatalf("%s: nothing to break", c.name)
		}
		tok := tokenizer{kind: "untouched"}
		err := tok.UnmarshalJSON([]byte(strings.Replace(c.file, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if tok.kind != "untouched" {
			t.Errorf("%s: the tokenizer was changed", c.name)
		}
	}
}

func TestTokenizer_MergesBuildOnEarlierOnes(t *testing.T) {
	vocab, err := byteVocab(minVocabSize)
	if err != nil {
		t.Fatal(err)
	}
	vocab = append(vocab, "aa", "aaa")
	if _, err := newTokenizer(kindBPE, vocab, []string{"a a", "aa a"}); err != nil {
		t.Error(err)
	}
	_, err = newTokenizer(kindBPE, vocab, []string{"aa a", "a a"})
	if err == nil || !strings.Contains(err.Error(), `merge 1: "aa" is neither a byte nor the result of an earlier merge`) {
		t.Errorf("merges in the wrong order: error %v", err)
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	for _, tok := range smallTokenizers(f) {
		f.Add(marshalTokenizer(f, tok))
	}
	f.Add([]byte(`{"kind":"bpe","vocab":["!"],"merges":["! !"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var tok tokenizer
		if tok.UnmarshalJSON(b) != nil {
			return
		}
		if got := tok.decode(tok.encode(smallCorpus)); got != smallCorpus {
			t.Errorf("a tokenizer was read that changes text: %q", got)
		}
	})
}

// gpt2Files spells a tokenizer as GPT-2's two files, ids in the order given.
func gpt2Files(tok *tokenizer, order []string) (encoder, merges []byte) {
	var b strings.Builder
	for id, token := range order {
		key, _ := json.Marshal(token)
		b.WriteString(map[bool]string{true: "{", false: ","}[id == 0])
		b.Write(key)
		b.WriteString(":")
		n, _ := json.Marshal(id)
		b.Write(n)
	}
	b.WriteString("}")
	return []byte(b.String()), []byte("#version: 0.2\n" + strings.Join(tok.mergeStrings(), "\n") + "\n")
}

func TestGPT2Vocab_MayNumberTokensInAnyOrder(t *testing.T) {
	tok := smallTokenizers(t)[0]
	order := tok.vocabStrings()
	slices.Reverse(order) // special tokens first
	encoder, merges := gpt2Files(tok, order)
	for _, merges := range [][]byte{merges, bytes.ReplaceAll(merges, []byte("\n"), []byte("\r\n"))} {
		read, err := readGPT2Vocab(encoder, merges)
		if err != nil {
			t.Fatal(err)
		}
		want := tok.encode(smallCorpus)
		for i := range want {
			want[i] = tok.size() - 1 - want[i]
		}
		if got := read.encode(smallCorpus); !slices.Equal(got, want) || read.endOfText != 2 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestGPT2Vocab_RefusesBrokenFiles(t *testing.T) {
	tok := smallTokenizers(t)[0]
	encoder, merges := gpt2Files(tok, tok.vocabStrings())
	for _, c := range []struct{ name, from, to, want string }{
		{"array", "{", "[", "invalid character"},
		{"id missing", `"!":0,`, ``, "out of range"},
		{"id twice", `"!":0,`, `"!":1,`, "another token has it"},
		{"negative id", `"!":0,`, `"!":-1,`, "out of range"},
		{"id no number", `"!":0,`, `"!":"0",`, "cannot unmarshal"},
		{"token twice", `"#":2`, `"!":2`, "is already token 0"},
	} {
		_, err := readGPT2Vocab([]byte(strings.Replace(string(encoder), c.from, c.to, 1)), merges)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := readGPT2Vocab(encoder, append(merges, "\nq z\n"...)); err == nil {
		t.Error("a blank line among the merges was accepted")
	}
	if _, err := readGPT2Vocab([]byte("null"), nil); err == nil {
		t.Error("null was accepted as a vocabulary")
	}
}

func FuzzGPT2Vocab(f *testing.F) {
	tok := smallTokenizers(f)[0]
	encoder, merges := gpt2Files(tok, tok.vocabStrings())
	f.Add(encoder, merges)
	f.Add([]byte(`{"!":0}`), []byte("\n! !"))
	f.Fuzz(func(t *testing.T, encoder, merges []byte) {
		tok, err := readGPT2Vocab(encoder, merges)
		if err != nil {
			return
		}
		if got := tok.decode(tok.encode(smallCorpus)); got != smallCorpus {
			t.Errorf("a tokenizer was read that changes text: %q", got)
		}
	})
}

// gpt2Tokenizer reads GPT-2's real files from the folder GOGPT_GPT2_VOCAB.
func gpt2Tokenizer(t *testing.T) *tokenizer {
	folder := os.Getenv("GOGPT_GPT2_VOCAB")
	if folder == "" {
		t.Skip("GOGPT_GPT2_VOCAB names no folder with encoder.json and vocab.bpe; " +
			"scripts/tokenizer_parity/run.sh fetches one")
	}
	encoder, err := os.ReadFile(filepath.Join(folder, "encoder.json"))
	if err != nil {
		t.Fatal(err)
	}
	merges, err := os.ReadFile(filepath.Join(folder, "vocab.bpe"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := readGPT2Vocab(encoder, merges)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestGPT2Vocab_GivesItsKnownIDs(t *testing.T) {
	tok := gpt2Tokenizer(t)
	if tok.size() != 50257 || tok.endOfText != 50256 || tok.user != -1 || tok.assistant != -1 {
		t.Errorf("%d tokens, special %d %d %d", tok.size(), tok.endOfText, tok.user, tok.assistant)
	}
	if got := tok.encode("Hello world"); !slices.Equal(got, []int{15496, 995}) {
		t.Errorf("Hello world is %v", got)
	}
	for id := range tok.endOfText {
		// A piece that ends within a character is not one word.
		got := tok.encode(tok.piece(id))
		if utf8.ValidString(tok.piece(id)) && !slices.Equal(got, []int{id}) {
			t.Errorf("token %d encodes to %v", id, got)
		}
	}
}

func TestGPT2Vocab_GivesTheIDsOfOtherTokenizers(t *testing.T) {
	tok := gpt2Tokenizer(t)
	path := os.Getenv("GOGPT_GPT2_IDS")
	if path == "" {
		t.Skip("GOGPT_GPT2_IDS names no file of texts and ids; scripts/tokenizer_parity/run.sh makes one")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text string
		IDs  []int
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 2000 {
		t.Fatalf("only %d texts", len(cases))
	}
	for _, c := range cases {
		if got := tok.encode(c.Text); !slices.Equal(got, c.IDs) {
			t.Errorf("%q: ids %v, want %v", c.Text, got, c.IDs)
		}
		if got := tok.decode(c.IDs); got != c.Text {
			t.Errorf("%v: decodes to %q, want %q", c.IDs, got, c.Text)
		}
	}
}
