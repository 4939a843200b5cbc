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

// What data, seed and sizes change in a run, as its log and its saved model show.

// loggedEpoch is the fields of an epoch's line in the log that these tests use.
type loggedEpoch struct {
	Phase         string   `json:"phase"`
	Step          int      `json:"step"`
	AvgLoss       float64  `json:"avg_loss"`
	ValLoss       *float64 `json:"val_loss"`
	SamplesPerSec float64  `json:"samples_per_sec"`
	TokensPerSec  float64  `json:"tokens_per_sec"`
	Frozen        []string `json:"frozen"`
}

// finishedRun is the log and the saved model of a run.
type finishedRun struct {
	seed    uint64
	epochs  []loggedEpoch
	heldout *float64 // loss; nil: not logged
	exact   *float64 // share of the held-out questions answered word for word; nil: not logged
	model   *LLM
	words   *tokenizer
}

// finish trains a tiny model, which must end with the given exit code, and loads its log and its saved model.
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
		Exact   *float64 `json:"heldout_exact_match"`
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
		r.heldout, r.exact = event.Heldout, event.Exact
	}
}

// steps returns the number of optimizer steps in each epoch of a run of one phase.
func (r *finishedRun) steps() (steps []int) {
	before := 0
	for _, e := range r.epochs {
		steps = append(steps, e.Step-before)
		before = e.Step
	}
	return steps
}

// tokens returns the number of targets in each epoch of a run with one sample per step: the time cancels out of the two
// rates.
func (r *finishedRun) tokens() (tokens []int) {
	for i, steps := range r.steps() {
		e := r.epochs[i]
		tokens = append(tokens, int(math.Round(float64(steps)*e.TokensPerSec/e.SamplesPerSec)))
	}
	return tokens
}

// characters returns the tokens other than bytes and special tokens, sorted.
func (r *finishedRun) characters() (chars []string) {
	for id := range r.words.size() {
		if piece := r.words.piece(id); len(piece) > 1 && !r.words.isSpecial(id) {
			chars = append(chars, piece)
		}
	}
	slices.Sort(chars)
	return chars
}

// charactersOf returns the distinct characters of several bytes in the texts, sorted.
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

// twelve is rows or questions of one character each, so that a vocabulary of characters shows which were used.
var twelve = strings.Split("甲 乙 丙 丁 戊 己 庚 辛 壬 癸 子 丑", " ")

func pairsOf(questions []string) (pairs []pair) {
	for _, q := range questions {
		pairs = append(pairs, pair{q, "yes"})
	}
	return pairs
}

// All random choices depend on --seed. Each row of the table shows one of them alone.
func TestSeed_ChoosesSplitWeightsAndOrder(t *testing.T) {
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

// Built-in data joins the vocabulary only when a phase trains on it.
func TestVocabulary_IsBuiltFromTheDataOfThePhases(t *testing.T) {
	sentences := strings.Join(ownCorpus(t, pretrainingFile).Rows, "")
	questions := ""
	for _, p := range ownCorpus(t, chatFile).Pairs {
		questions += p.User + p.Assistant
	}
	rows, pairs := "--pretrain-data="+jsonFile(t, []string{"ä", "öü"}), "--chat-data="+jsonFile(t, []pair{{"é", "ñ"}})
	dialogues := "--chat-data=" + jsonFile(t, []string{"用户：甲助手：乙用户：丙助手：丁"})
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
		{[]string{dialogues, "--pretrain-epochs=0"}, "甲乙丙丁"},
		{[]string{"--pretrain-epochs=0"}, sentences + questions},
	} {
		flags := []string{"--tokenizer=char", "--vocab-size=4000", "--max-steps=1", "--context=128"}
		r := finish(t, exitOK, append(flags, c.flags...)...)
		require.Equal(t, charactersOf(c.learnt), r.characters(), "%v", c.flags)
	}
}

func TestVocabulary_HasTheSizeOfTheFlag(t *testing.T) {
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

// A row of 199 bytes between two ends of text has 200 targets.
func TestContext_CutsSamplesIntoWindows(t *testing.T) {
	row := "--pretrain-data=" + jsonFile(t, []string{strings.Repeat("a", 199)})
	for context, windows := range map[int]int{7: 29, 32: 7, 33: 7, 50: 4, 100: 2, 199: 2, 200: 1, 300: 1} {
		r := finish(t, exitOK, row, fmt.Sprintf("--vocab-size=%d", minVocabSize), fmt.Sprint("--context=", context))
		require.Equal(t, []int{windows}, r.steps(), "context %d", context)
		require.Equal(t, []int{200}, r.tokens(), "context %d", context)
	}
}

// A chat file of RustGPT trains the same bits as its pairs. As pretraining data it is plain text.
func TestTrain_ReadsTheChatFilesOfRustGPT(t *testing.T) {
	pairs := "--chat-data=" + jsonFile(t, []pair{{"What is rain?", "Water that falls."}, {"你好！", "你好！"}})
	texts := jsonFile(t, []string{"User: What is rain? Assistant: Water that falls. </s>", "用户：你好！助手：你好！"})
	tuning := []string{"--pretrain-epochs=0", "--finetune-epochs=2", "--tokenizer=char"}
	want := finish(t, exitOK, append(tuning, pairs)...)
	got := finish(t, exitOK, append(tuning, "--chat-data="+texts)...)
	require.Equal(t, want.epochs[1].AvgLoss, got.epochs[1].AvgLoss)
	for i, p := range want.model.Params() {
		require.Equal(t, p.W, got.model.Params()[i].W, p.Name)
	}
	plain := finish(t, exitOK, "--pretrain-data="+texts, "--tokenizer=char", "--vocab-size=400")
	require.Equal(t, charactersOf("用户：你好！助手：你好！"), plain.characters())
	require.Equal(t, charactersOf("你好！"), got.characters())
}

func TestTrain_RefusesUnsuitableData(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"pairs.json": `[{"user":"a","assistant":"b"}]`, "text.txt": "a text"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	mixed := jsonFile(t, []any{pair{"a", "b"}, "a row"})
	for _, c := range []struct{ flag, want string }{
		{"--chat-data=" + mixed, mixed + ": row 2: does not begin with a user's turn"},
		{"--chat-data=" + folder, folder + ": tuning takes conversations and no .txt file"},
		{"--chat-data=" + jsonFile(t, []string{"User: a"}), `row 1: turn 1: no "Assistant:" or "助手：" after the question`},
		{"--pretrain-data=" + textFile(t, "letter.txt", "a"), "pretrain: the data holds no sample of two tokens"},
	} {
		code, out, err := gogpt(t, tiny(c.flag)...)
		require.Equal(t, exitError, code, c.flag)
		require.Contains(t, err, c.want)
		require.Empty(t, out, "nothing was trained")
	}
}

// The samples of tuning, and the tokens that its loss counts.

// still is a learning rate that changes no weight: the loss in the log is that of the saved weights.
const still = "1e-30"

// chatLoss returns the mean −log p of the answers and their ends of text, or of all tokens, with one pair per sample.
func chatLoss(r *finishedRun, all bool, pairs ...pair) float64 {
	ref := newReference(r.model.ModelConfig, r.model.Params())
	var sum float64
	targets := 0
	for _, p := range pairs {
		prompt := slices.Concat([]int{r.words.user}, r.words.encode(p.User), []int{r.words.assistant})
		tokens := slices.Concat(prompt, r.words.encode(p.Assistant), []int{r.words.endOfText})
		for i, row := range ref.logits(tokens[:len(tokens)-1]) {
			if next := i + 1; all || next >= len(prompt) {
				softmaxFloat64(row)
				sum -= math.Log(row[tokens[next]])
				targets++
			}
		}
	}
	return sum / float64(targets)
}

// The seed decides which of the two pairs trains and which validates.
func TestTuning_CountsAnswersOrAllTokens(t *testing.T) {
	a, b := pair{"what is it?", "a stone"}, pair{"你好吗", "好"}
	for _, all := range []bool{false, true} {
		r := finish(t, exitOK, "--chat-data="+jsonFile(t, []pair{a, b}), "--pretrain-epochs=0", "--finetune-epochs=1",
			"--finetune-lr="+still, "--val-fraction=0.5", fmt.Sprintf("--train-on-all=%t", all))
		require.Len(t, r.epochs, 1)
		require.NotNil(t, r.epochs[0].ValLoss)
		got := []float64{r.epochs[0].AvgLoss, *r.epochs[0].ValLoss}
		want := []float64{chatLoss(r, all, a), chatLoss(r, all, b)}
		slices.Sort(got)
		slices.Sort(want)
		require.InDeltaSlice(t, want, got, 1e-5, "all tokens: %t", all)
	}
}

// sized returns a pair whose sample has n tokens: bytes and the three special ones.
func sized(n int) pair { return pair{"?", strings.Repeat("a", n-4)} }

// Half of the samples are joined with one to three other pairs that fit into the context: a sample of n tokens fills
// n − 1 positions.
func TestTuning_JoinsPairsUpToTheContext(t *testing.T) {
	for _, c := range []struct {
		pairs   []pair
		context int
		tokens  []int // predicted in an epoch, of all epochs
	}{
		{[]pair{sized(8), sized(8)}, 14, []int{7 + 7}},
		{[]pair{sized(8), sized(8)}, 15, []int{7 + 15}}, // two pairs fill the context
		{[]pair{sized(8), sized(8)}, 22, []int{7 + 15}},
		{[]pair{sized(8), sized(8)}, 23, []int{7 + 15, 7 + 23}},
		{[]pair{sized(8), sized(8)}, 99, []int{7 + 15, 7 + 23, 7 + 31}}, // never more than four
		{[]pair{sized(8)}, 99, []int{7}},                                // no other pair to join
		// A pair that fills the context is never joined; the shorter one can only be joined with itself. A longer pair is
		// cut, and then the other is alone.
		{[]pair{sized(16), sized(8)}, 15, []int{15 + 7, 15 + 15}},
		{[]pair{sized(17), sized(8)}, 15, []int{15 + 1 + 7}},
	} {
		r := finish(t, exitOK, "--chat-data="+jsonFile(t, c.pairs), "--pretrain-epochs=0", "--finetune-epochs=24",
			"--finetune-patience=0", "--finetune-accum=1", "--finetune-lr="+still,
			fmt.Sprintf("--vocab-size=%d", minVocabSize), fmt.Sprint("--context=", c.context))
		tokens := r.tokens()
		require.Len(t, tokens, 24)
		slices.Sort(tokens)
		require.Equal(t, c.tokens, slices.Compact(tokens), "%v in a context of %d", c.pairs, c.context)
	}
}

// Validation data is measured after each epoch, as eval measures it, and changes neither weights nor vocabulary.
func TestValidation_OnAFileIsNoTraining(t *testing.T) {
	rows, pairs := "--pretrain-data="+jsonFile(t, twelve[:6]), "--chat-data="+jsonFile(t, pairsOf(twelve[:6]))
	files := []string{jsonFile(t, twelve[6:9]), jsonFile(t, pairsOf(twelve[9:]))}
	flags := []string{rows, pairs, "--tokenizer=char", "--finetune-epochs=1"}
	plain := finish(t, exitOK, flags...)
	r := finish(t, exitOK, append(flags, "--val-data="+files[0], "--chat-val-data="+files[1])...)
	require.Equal(t, plain.model, r.model)
	require.Equal(t, charactersOf(twelve[:6]...), r.characters())
	for i, phase := range []string{"pretrain", "finetune"} {
		require.Equal(t, phase, r.epochs[i].Phase)
		require.Equal(t, plain.epochs[i].AvgLoss, r.epochs[i].AvgLoss)
		require.Nil(t, plain.epochs[i].ValLoss)
		require.NotNil(t, r.epochs[i].ValLoss)
	}
	held, err := loadCorpusPath(files[1])
	require.NoError(t, err)
	measured, err := evaluate(r.model, r.words, held)
	require.NoError(t, err)
	require.InDelta(t, *r.epochs[1].ValLoss, float64(measured.AvgLoss), 1e-12)
	r = finish(t, exitOK, append(flags, "--val-data="+files[0])...)
	require.True(t, r.epochs[0].ValLoss != nil && r.epochs[1].ValLoss == nil, "each phase has its own validation data")
}

// Early stopping monitors the validation data: here one that gets worse from the first epoch on.
func TestValidation_OnAFileStopsEarly(t *testing.T) {
	rows := "--pretrain-data=" + jsonFile(t, []string{"aaaaaaaaaaaaaaaaaaaa"})
	flags := []string{rows, "--pretrain-epochs=40", "--lr=0.01", "--patience=3"}
	require.Len(t, finish(t, exitOK, flags...).epochs, 40)
	r := finish(t, exitOK, append(flags, "--val-data="+jsonFile(t, []string{"bcdefghijklmnop"}))...)
	require.Less(t, len(r.epochs), 40)
}

func TestValidation_ItsDigestIsLogged(t *testing.T) {
	held := jsonFile(t, []string{"new"})
	flags := []string{"--val-data=" + held, "--chat-val-data=" + jsonFile(t, pairsOf(twelve)), "--finetune-epochs=1"}
	data := logLines(t, flags...)[0]["data"].(map[string]any)
	c, err := loadCorpusPath(held)
	require.NoError(t, err)
	require.Equal(t, c.digest(), data["val-data"])
	require.ElementsMatch(t, []string{"pretrain", "finetune", "val-data", "chat-val-data"}, keysIn(data))
	require.Len(t, logLines(t)[0]["data"], 2)
}

func TestValidation_SamplesOfTheTrainingDataAreAWarning(t *testing.T) {
	rows, pairs := "--pretrain-data="+jsonFile(t, twelve), "--chat-data="+jsonFile(t, pairsOf(twelve))
	shared, sharedPairs := jsonFile(t, append(twelve[3:5:5], "new")), jsonFile(t, pairsOf([]string{"甲", "new"}))
	code, _, err := gogpt(t, tiny(rows, pairs, "--finetune-epochs=1",
		"--val-data="+shared, "--chat-val-data="+sharedPairs)...)
	require.Equal(t, exitOK, code, err)
	require.Equal(t, "gogpt: warning: --val-data="+shared+": 2 of its 3 samples are in the training data too\n"+
		"gogpt: warning: --chat-val-data="+sharedPairs+": 1 of its 2 samples are in the training data too\n", err)
	code, _, err = gogpt(t, tiny(rows, pairs, "--val-data="+jsonFile(t, []string{"new"}))...)
	require.Equal(t, exitOK, code)
	require.Empty(t, err)
}
