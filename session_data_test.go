package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a run makes of its data, its seed and its sizes, as its log and its saved model show it.

// loggedEpoch is what these tests read of the log's line of an epoch.
type loggedEpoch struct {
	Phase         string   `json:"phase"`
	Step          int      `json:"step"`
	AvgLoss       float64  `json:"avg_loss"`
	ValLoss       *float64 `json:"val_loss"`
	SamplesPerSec float64  `json:"samples_per_sec"`
	TokensPerSec  float64  `json:"tokens_per_sec"`
	Frozen        []string `json:"frozen"`
}

// finishedRun is what a run leaves behind.
type finishedRun struct {
	seed    uint64
	epochs  []loggedEpoch
	heldout *float64 // nil: not logged
	model   *LLM
	words   *tokenizer
}

// finish trains a tiny model, which must end with the given exit code, and reads the log and the saved model.
func finish(t *testing.T, code int, flags ...string) *finishedRun {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "run.jsonl")
	got, _, errText := gogpt(t, tiny(append([]string{"--save=" + path, "--log-json=" + log}, flags...)...)...)
	require.Equal(t, code, got, errText)
	r := &finishedRun{}
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	for line := range bytes.Lines(data) {
		r.read(t, line)
	}
	r.model, r.words, err = loadModel(path)
	require.NoError(t, err)
	return r
}

func (r *finishedRun) read(t *testing.T, line []byte) {
	event := struct {
		Event   string
		Seed    uint64
		Heldout *float64 `json:"heldout_loss"`
	}{}
	require.NoError(t, json.Unmarshal(line, &event), "%s", line)
	switch event.Event {
	case "run":
		r.seed = event.Seed
	case "epoch":
		var e loggedEpoch
		require.NoError(t, json.Unmarshal(line, &e), "%s", line)
		r.epochs = append(r.epochs, e)
	case "end":
		r.heldout = event.Heldout
	}
}

// steps is how many optimizer steps each epoch of a one-phase run took.
func (r *finishedRun) steps() (steps []int) {
	before := 0
	for _, e := range r.epochs {
		steps = append(steps, e.Step-before)
		before = e.Step
	}
	return steps
}

// tokens is how many tokens each epoch predicted, with one sample a step: the time cancels out of the two rates.
func (r *finishedRun) tokens() (tokens []int) {
	for i, steps := range r.steps() {
		e := r.epochs[i]
		tokens = append(tokens, int(math.Round(float64(steps)*e.TokensPerSec/e.SamplesPerSec)))
	}
	return tokens
}

// characters is what the vocabulary holds beyond the bytes and the special tokens, sorted.
func (r *finishedRun) characters() (chars []string) {
	for id := range r.words.size() {
		if piece := r.words.piece(id); len(piece) > 1 && !r.words.isSpecial(id) {
			chars = append(chars, piece)
		}
	}
	slices.Sort(chars)
	return chars
}

// charactersOf is every character of several bytes in the texts, once, sorted.
func charactersOf(texts ...string) (chars []string) {
	for _, c := range strings.Join(texts, "") {
		if c >= 0x80 {
			chars = append(chars, string(c))
		}
	}
	slices.Sort(chars)
	return slices.Compact(chars)
}

func jsonFile(t *testing.T, rows any) string {
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	return textFile(t, "data.json", string(text))
}

// twelve are rows or questions that a vocabulary of characters tells apart.
var twelve = strings.Split("甲 乙 丙 丁 戊 己 庚 辛 壬 癸 子 丑", " ")

func pairsOf(questions []string) (pairs []pair) {
	for _, q := range questions {
		pairs = append(pairs, pair{q, "yes"})
	}
	return pairs
}

// Everything that is drawn comes from --seed. Each row shows one draw alone.
func TestSeed_DrawsSplitWeightsAndOrder(t *testing.T) {
	rows, pairs := "--pretrain-data="+jsonFile(t, twelve), "--chat-data="+jsonFile(t, pairsOf(twelve))
	stream := "--pretrain-data=" + textFile(t, "stream.txt", strings.Repeat("0123456789", 3))
	trainingPart := func(r *finishedRun) any {
		require.Len(t, r.characters(), 6, "half of the data is held out")
		return r.characters()
	}
	held := []string{"--val-fraction=0.5", "--tokenizer=char"}
	for what, c := range map[string]struct {
		data  string
		flags []string // beside no epochs at all
		drawn func(*finishedRun) any
	}{
		"rows held out":   {rows, held, trainingPart},
		"pairs held out":  {pairs, held, trainingPart},
		"initial weights": {rows, nil, func(r *finishedRun) any { return r.model.Params()[0].W }},
		"cuts of a stream": {stream, []string{"--pretrain-epochs=9", "--patience=0", "--context=8", "--tokenizer=char"},
			func(r *finishedRun) any { return r.steps() }},
		"joined pairs": {pairs, []string{"--finetune-epochs=8", "--finetune-patience=0", "--finetune-accum=1"},
			func(r *finishedRun) any { return r.tokens() }},
	} {
		t.Run(what, func(t *testing.T) {
			draw := func(seed uint64) any {
				flags := []string{c.data, "--pretrain-epochs=0", fmt.Sprint("--seed=", seed)}
				r := finish(t, exitOK, append(flags, c.flags...)...)
				require.Equal(t, seed, r.seed, "the log names the seed")
				return c.drawn(r)
			}
			one, two, three := draw(1), draw(2), draw(3)
			require.NotEqual(t, one, two)
			require.NotEqual(t, one, three)
			require.NotEqual(t, two, three)
			require.Equal(t, two, draw(2))
		})
	}
}

// The built-in half of the data joins the vocabulary only where a phase learns from it.
func TestVocabulary_LearnsFromWhatIsTrainedOn(t *testing.T) {
	sentences := strings.Join(ownCorpus(t, pretrainingFile).Rows, "")
	questions := ""
	for _, p := range ownCorpus(t, chatFile).Pairs {
		questions += p.User + p.Assistant
	}
	rows, pairs := "--pretrain-data="+jsonFile(t, []string{"ä", "öü"}), "--chat-data="+jsonFile(t, []pair{{"é", "ñ"}})
	stream := "--pretrain-data=" + textFile(t, "stream.txt", "ß in a running text of æ and ø")
	for _, c := range []struct {
		flags  []string
		learnt string
	}{
		{[]string{rows}, "äöü"},
		{[]string{stream}, "ßæø"},
		{[]string{rows, pairs}, "äöüéñ"},
		{[]string{stream, pairs}, "ßæøéñ"},
		{[]string{rows, "--finetune-epochs=1"}, "äöü" + questions},
		{[]string{pairs}, "éñ" + sentences},
		{[]string{pairs, "--pretrain-epochs=0"}, "éñ"},
		{[]string{"--pretrain-epochs=0"}, sentences + questions},
	} {
		flags := []string{"--tokenizer=char", "--vocab-size=4000", "--max-steps=1", "--context=128"}
		r := finish(t, exitOK, append(flags, c.flags...)...)
		require.Equal(t, charactersOf(c.learnt), r.characters(), "%v", c.flags)
	}
}

func TestVocabulary_HasTheSizeThatIsAskedFor(t *testing.T) {
	var rows []string
	for n := range twelve { // the first character is in every row, the last one in one row
		rows = append(rows, "over and over again "+strings.Join(twelve[:n+1], " "))
	}
	for _, kind := range []string{kindBPE, kindChar} {
		for _, size := range []int{minVocabSize, minVocabSize + 3, minVocabSize + 12} {
			r := finish(t, exitOK, "--pretrain-data="+jsonFile(t, rows), "--pretrain-epochs=0", "--tokenizer="+kind,
				fmt.Sprint("--vocab-size=", size))
			require.Equal(t, size, r.words.size(), "%s", kind)
			require.Equal(t, size, r.model.Vocab)
			if kind == kindChar {
				require.Equal(t, charactersOf(twelve[:size-minVocabSize]...), r.characters(), "the most frequent ones")
			}
		}
	}
}

// One row of 199 bytes and the two ends of text around it are 200 predictions.
func TestContext_CutsSamplesIntoWindows(t *testing.T) {
	row := "--pretrain-data=" + jsonFile(t, []string{strings.Repeat("a", 199)})
	for context, windows := range map[int]int{7: 29, 32: 7, 33: 7, 50: 4, 100: 2, 199: 2, 200: 1, 300: 1} {
		r := finish(t, exitOK, row, fmt.Sprintf("--vocab-size=%d", minVocabSize), fmt.Sprint("--context=", context))
		require.Equal(t, []int{windows}, r.steps(), "context %d", context)
		require.Equal(t, []int{200}, r.tokens(), "context %d", context)
	}
}

func TestData_WithoutSamplesOrOfTheWrongKindIsRefused(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"pairs.json": `[{"user":"a","assistant":"b"}]`, "text.txt": "a text"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	mixed := jsonFile(t, []any{pair{"a", "b"}, "a row"})
	const onlyPairs = `tuning takes {"user","assistant"} pairs and nothing else`
	for _, c := range []struct{ flag, want string }{
		{"--chat-data=" + mixed, mixed + ": " + onlyPairs},
		{"--chat-data=" + folder, folder + ": " + onlyPairs},
		{"--chat-data=" + jsonFile(t, []string{"a row"}), onlyPairs},
		{"--pretrain-data=" + textFile(t, "letter.txt", "a"), "pretrain: the data holds no sample of two tokens"},
	} {
		code, out, err := gogpt(t, tiny(c.flag)...)
		require.Equal(t, exitError, code, c.flag)
		require.Contains(t, err, c.want)
		require.Empty(t, out, "nothing was trained")
	}
}
