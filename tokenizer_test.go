package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const smallCorpus = "The cat sat on the mat; the other cat's hat — naïve café, 中文 中文 中 👍🏽. " +
	"Don't they think that'll do?\n\tthe end  \n"

// englishText returns a megabyte of English, or skips the test where the file is absent.
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

// Training gives a token to the pair of neighbours that occurs most often in the corpus, here first "e" and "r", and
// repeats this with the new token. Encoding applies the same merges in the same order. A character that was not in the
// corpus becomes its bytes.
func Example_tokenize() {
	corpus := []string{"the lower river is slower", "the newer river is wider"}
	t, err := trainBPE(corpus, minVocabSize+8)
	if err != nil {
		panic(err)
	}
	fmt.Printf("merges: %q\n", t.mergeStrings())
	for _, text := range []string{"the newest tower", "é"} {
		ids := t.encode(text)
		fmt.Printf("%q is %d tokens:", text, len(ids))
		for _, id := range ids {
			fmt.Printf(" %q", t.piece(id))
		}
		fmt.Printf("; decoded: %q\n", t.decode(ids))
	}
	// Output:
	// merges: ["e r" "w er" "h e" "i s" "i v" "l o" "r iv" "t he"]
	// "the newest tower" is 12 tokens: "the" " " "n" "e" "w" "e" "s" "t" " " "t" "o" "wer"; decoded: "the newest tower"
	// "é" is 2 tokens: "\xc3" "\xa9"; decoded: "é"
}

func FuzzTokenizerRoundTrip(f *testing.F) {
	for _, s := range []string{"", smallCorpus, "  a\r\n\n", "\xff\x80é\xc3", "<|user|>x<|endoftext|>", "aaaaaaaaa",
		"\x00\ufeff\u0085", "\U0010ffff"} {
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
				t.Errorf("%s: %q encodes to a special token: %v", tok.kind, s, ids)
			}
		}
	})
}

func TestTokenizer_HasATokenForEveryByte(t *testing.T) {
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

func TestTokenizer_NeverEncodesTextToSpecialTokens(t *testing.T) {
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
			t.Errorf("%s: text encodes to special tokens: %v", tok.kind, ids)
		}
	}
	// A corpus full of their names does not make them ordinary tokens.
	tok, err := trainBPE([]string{strings.Repeat(userTurn, 50)}, 400)
	if err != nil || slices.ContainsFunc(tok.encode(userTurn), tok.isSpecial) {
		t.Errorf("text encodes to a special token (%v)", err)
	}
}

func TestTokenizer_AppendEncodeKeepsEarlierIDs(t *testing.T) {
	for _, tok := range smallTokenizers(t) {
		ids := tok.appendEncode([]int{tok.user}, "the cat")
		if ids[0] != tok.user || !slices.Equal(ids[1:], tok.encode("the cat")) {
			t.Errorf("%s: %v", tok.kind, ids)
		}
	}
}

func TestTokenizer_PanicsOnAnUnknownID(t *testing.T) {
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

func BenchmarkTokenizerEncode(b *testing.B) {
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

// The result of a merge is an ordinary token, even with the name of a special one: text encodes to it.
func TestTokenizer_TheResultOfAMergeIsNotSpecial(t *testing.T) {
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
	if tok.user != -1 || tok.hasChatTokens() {
		t.Errorf("the result of a merge became <|user|>, id %d", tok.user)
	}
	if tok.isSpecial(len(vocab)-1) || tok.endOfText != len(vocab) || tok.assistant != len(vocab)+1 {
		t.Errorf("special tokens %v, %d, %d", tok.isSpecial(len(vocab)-1), tok.endOfText, tok.assistant)
	}
}

func TestPretokens_CutsTextLikeGPT2(t *testing.T) {
	for _, c := range []struct{ text, words string }{ // words joined by |
		{"", ""},
		{" ", " "},
		{"Hello world", "Hello| world"},
		{"it's IT'S", "it|'s| IT|'|S"},
		{"we'll you've they're I'm he'd can't", "we|'ll| you|'ve| they|'re| I|'m| he|'d| can|'t"},
		{" 's ''s 'sa", " '|s| ''|s| '|sa"},
		{"'", "'"},
		{"'l 'r", "'|l| '|r"},
		{"a   b", "a|  | b"},
		{"a  ", "a|  "},
		{"a\n\nb", "a|\n|\n|b"},
		{"a \n b", "a| \n| b"},
		{"\t a\tb", "\t| a|\t|b"},
		{"x\r\n", "x|\r\n"},
		{"a  1", "a| | 1"},
		{"3rd 1,234.5", "3|rd| 1|,|234|.|5"},
		{"٣४Ⅷ²½a", "٣४Ⅷ²½|a"},
		{"e\u0301", "e|\u0301"},
		{"中文。 日", "中文|。| 日"},
		{" 👩\u200d👧!", " 👩\u200d👧!"},
		{"a\u00a0b\u3000\u3000c", "a|\u00a0|b|\u3000|\u3000|c"},
		{"a\u2028 b", "a|\u2028| b"},
		{"a\u0085\u0085b", "a|\u0085|\u0085|b"},        // a space to Python's regex, not to JavaScript
		{"!\ufeff\u180e\u200b", "!\ufeff\u180e\u200b"}, // no spaces; U+FEFF is one to JavaScript
		{"!\x1c\x1d\x1e\x1f\x00", "!\x1c\x1d\x1e\x1f\x00"},
		{" \xff\xfea\xc3", " \xff\xfe|a|\xc3"},
	} {
		got := slices.Collect(pretokens(c.text))
		if strings.Join(got, "|") != c.words {
			t.Errorf("%q: cut into %q, want %q", c.text, got, c.words)
		}
	}
}

func TestPretokens_StopsWithTheLoop(t *testing.T) {
	for word := range pretokens("one two three") {
		if word != "one" {
			t.Fatalf("yielded %q after the loop ended", word)
		}
		break
	}
}

func TestByteLevel_ReadsBackItsSpelling(t *testing.T) {
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
		t.Error("a space was read as a byte")
	}
}
