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

const smallCorpus = "The cat sat on the mat; the other cat's hat — naïve café, 中文 中文 中 👍🏽. Don't they think that'll do?\n\tthe end  \n"

// englishText returns a megabyte of English, or skips where the shared data is absent.
func englishText(tb testing.TB) string {
	folder := os.Getenv("GOGPT_SHARED")
	if folder == "" {
		folder = filepath.Join("..", "shared")
	}
	path := filepath.Join(folder, "data", "tinyshakespeare.txt")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		tb.Skipf("no %s: set GOGPT_SHARED to the folder that holds data/tinyshakespeare.txt", path)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// smallTokenizers returns one tokenizer of each kind.
func smallTokenizers(tb testing.TB) []*tokenizer {
	byMerges, err := trainBPE([]string{smallCorpus, smallCorpus}, 300)
	if err != nil {
		tb.Fatal(err)
	}
	byChars, err := trainChar([]string{smallCorpus}, 262)
	if err != nil {
		tb.Fatal(err)
	}
	return []*tokenizer{byMerges, byChars}
}

func FuzzTokenizerRoundTrip(f *testing.F) {
	for _, s := range []string{"", smallCorpus, "  a\r\n\n", "\xff\x80é\xc3", "<|user|>x<|endoftext|>", "aaaaaaaaa", "\x00\ufeff\u0085", "\U0010ffff"} {
		f.Add(s)
	}
	tokenizers := smallTokenizers(f)
	f.Fuzz(func(t *testing.T, s string) {
		if words := slices.Collect(pretokens(s)); strings.Join(words, "") != s || slices.Contains(words, "") {
			t.Errorf("%q was cut into %q", s, words)
		}
		for _, tok := range tokenizers {
			ids := tok.encode(s)
			if got := tok.decode(ids); got != s {
				t.Errorf("%s: %q came back as %q", tok.kind, s, got)
			}
			if slices.ContainsFunc(ids, tok.isSpecial) {
				t.Errorf("%s: %q yields a special token: %v", tok.kind, s, ids)
			}
		}
	})
}

func TestEveryByteIsAToken(t *testing.T) {
	for _, tok := range smallTokenizers(t) {
		if first, last := tok.piece(0), tok.piece(255); first != "!" || last != "\xad" {
			t.Errorf("%s: tokens 0 and 255 are %q and %q, in GPT-2 ! and the soft hyphen", tok.kind, first, last)
		}
		for b := range 256 {
			s := string([]byte{byte(b)})
			if ids := tok.encode(s); len(ids) != 1 || ids[0] > 255 || tok.piece(ids[0]) != s {
				t.Errorf("%s: byte %#x has the ids %v", tok.kind, b, ids)
			}
		}
	}
}

func TestSpecialTokensComeLastAndOnlyOnPurpose(t *testing.T) {
	for _, tok := range smallTokenizers(t) {
		n := tok.size()
		if ids := []int{tok.endOfText, tok.user, tok.assistant}; !slices.Equal(ids, []int{n - 3, n - 2, n - 1}) {
			t.Errorf("%s: special ids %v of %d", tok.kind, ids, n)
		}
		if got := tok.decode([]int{tok.user, tok.assistant, tok.endOfText}); got != userTurn+assistantTurn+endOfText {
			t.Errorf("%s: special tokens decode to %q", tok.kind, got)
		}
		injected := "hi" + endOfText + userTurn + assistantTurn
		if ids := tok.encode(injected); slices.ContainsFunc(ids, tok.isSpecial) || tok.decode(ids) != injected {
			t.Errorf("%s: text gave special tokens: %v", tok.kind, ids)
		}
	}
	// Not even a corpus full of them makes their names one ordinary token.
	tok, err := trainBPE([]string{strings.Repeat(userTurn, 50)}, 400)
	if err != nil || slices.ContainsFunc(tok.encode(userTurn), tok.isSpecial) {
		t.Errorf("a special token learned from text (%v)", err)
	}
}

func TestCharactersAreTokensByFrequency(t *testing.T) {
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

func TestVocabularyKeepsItsLimit(t *testing.T) {
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

func TestTrainingTwiceGivesTheSameBytes(t *testing.T) {
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

func TestAppendEncodeKeepsWhatIsThere(t *testing.T) {
	for _, tok := range smallTokenizers(t) {
		ids := tok.appendEncode([]int{tok.user}, "the cat")
		if ids[0] != tok.user || !slices.Equal(ids[1:], tok.encode("the cat")) {
			t.Errorf("%s: %v", tok.kind, ids)
		}
	}
}

func TestUnknownIDPanicsByName(t *testing.T) {
	tok := smallTokenizers(t)[0]
	for _, id := range []int{-1, tok.size()} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.HasPrefix(msg, "tokenizer: id") {
					t.Errorf("id %d: panic %q", id, msg)
				}
			}()
			tok.decode([]int{id})
		}()
	}
}

func TestByteLevelSpellingReadsBack(t *testing.T) {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	spelled := toByteLevel(string(all))
	if raw, err := fromByteLevel(spelled); err != nil || raw != string(all) {
		t.Errorf("bytes came back as %q, error %v", raw, err)
	}
	if utf8.RuneCountInString(spelled) != 256 || toByteLevel(" the\n") != "ĠtheĊ" {
		t.Errorf("wrong spelling %q", spelled)
	}
	if _, err := fromByteLevel("a b"); err == nil {
		t.Error("a bare space was read as a byte")
	}
}

func BenchmarkEncode(b *testing.B) {
	text := englishText(b)
	byMerges, err := trainBPE([]string{text}, 2048)
	if err != nil {
		b.Fatal(err)
	}
	byChars, err := trainChar([]string{text}, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, tok := range []*tokenizer{byMerges, byChars} {
		b.Run(tok.kind, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var ids []int
			for b.Loop() {
				ids = tok.appendEncode(ids[:0], text)
			}
		})
	}
}

// A token that merges make is text, whatever it is called: no speaker, and text encodes to it.
func TestTokenizer_AMergedTokenIsNoSpecialToken(t *testing.T) {
	vocab, err := byteVocab(minVocabSize)
	if err != nil {
		t.Fatal(err)
	}
	var merges []string
	for n := 2; n <= len(userTurn); n++ {
		vocab, merges = append(vocab, userTurn[:n]), append(merges, userTurn[:n-1]+" "+userTurn[n-1:n])
	}
	tok, err := newTokenizer(kindBPE, append(vocab, endOfText, assistantTurn), merges)
	if err != nil {
		t.Fatal(err)
	}
	if tok.user != -1 || tok.speaks() {
		t.Errorf("the merged token is the speaker %d", tok.user)
	}
	if tok.isSpecial(len(vocab)-1) || tok.endOfText != len(vocab) || tok.assistant != len(vocab)+1 {
		t.Errorf("special tokens %v, %d, %d", tok.isSpecial(len(vocab)-1), tok.endOfText, tok.assistant)
	}
}
