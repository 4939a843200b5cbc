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
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
)

// smallData writes a pretraining file of twelve rows and a chat file of six pairs, and returns the flags that name
// them.
func smallData(t *testing.T) []string {
	var rows []string
	var pairs []pair
	for i := range 12 {
		rows = append(rows, fmt.Sprintf("The %d. sentence is about 数字 %d.", i, i*i))
	}
	for i := range 6 {
		pairs = append(pairs, pair{fmt.Sprintf("What is %d?", i), fmt.Sprintf("It is %d.", i)})
	}
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	chat, err := json.Marshal(pairs)
	require.NoError(t, err)
	return []string{
		"--pretrain-data=" + textFile(t, "rows.json", string(text)),
		"--chat-data=" + textFile(t, "chat.json", string(chat)),
	}
}

// trained runs a command line of training that must succeed and returns what it printed.
func trained(t *testing.T, flags ...string) string {
	code, out, err := gogpt(t, tiny(append(smallData(t), flags...)...)...)
	require.Equal(t, exitOK, code, err)
	require.Empty(t, err)
	return out
}

// logLines runs a training and returns the events of its log, samples left out.
func logLines(t *testing.T, flags ...string) (events []map[string]any) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("an older log\n"), 0o644))
	trained(t, append(flags, "--log-json="+path)...)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range bytes.Lines(data) {
		event := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &event), "%s", line)
		if event["event"] != "sample" {
			events = append(events, event)
		}
	}
	return events
}

func TestTrain_LogsFromRunToEnd(t *testing.T) {
	events := logLines(t, "--pretrain-epochs=3", "--finetune-epochs=2", "--finetune-patience=0", "--val-fraction=0.2",
		"--label-smoothing=0.1", "--freeze-attn")
	require.Len(t, events, 1+3+2+1)
	first, last := events[0], events[6]
	require.Equal(t, "run", first["event"])
	require.Subset(t, keysIn(first), []string{"config", "seed", "data", "parameters", "kernel", "vocab", "version"})
	require.Equal(t, "0.2", first["config"].(map[string]any)["val-fraction"])
	require.Len(t, first["data"].(map[string]any)["pretrain"], 64, "SHA-256")
	for i, e := range events[1:6] {
		require.Equal(t, "epoch", e["event"])
		require.Equal(t, []string{"pretrain", "pretrain", "pretrain", "finetune", "finetune"}[i], e["phase"])
		require.Equal(t, []float64{1, 2, 3, 1, 2}[i], e["epoch"])
		require.Subset(t, keysIn(e), append([]string{"val_loss", "smoothed_loss"}, epochKeys...))
		require.Len(t, e["frozen"], 4)
		require.InDelta(t, math.Exp(e["avg_loss"].(float64)), e["ppl"], 1e-9*e["ppl"].(float64))
	}
	require.Equal(t, 30.0, events[3]["step"], "12 rows less 2, three times")
	require.Equal(t, "end", last["event"])
	require.Equal(t, runlog.Completed, last["reason"])
	require.Contains(t, last["health"], "finetune")
	require.NotContains(t, last, "heldout_loss", "other data than the repository's")
}

func keysIn(object map[string]any) (keys []string) {
	for key := range object {
		keys = append(keys, key)
	}
	return keys
}

func TestTrain_LogsWhyItEnded(t *testing.T) {
	events := logLines(t, "--pretrain-epochs=5", "--max-steps=7")
	require.Equal(t, runlog.MaxSteps, events[len(events)-1]["reason"])
	events = logLines(t, fmt.Sprintf("--pretrain-epochs=%d", maxExtent), "--patience=0", "--max-steps=3")
	require.Equal(t, runlog.MaxSteps, events[len(events)-1]["reason"])
	events = logLines(t, "--pretrain-epochs=50", "--lr=1e-12", "--patience=2")
	require.Equal(t, runlog.EarlyStop, events[len(events)-1]["reason"])
	require.Len(t, events, 1+3+1)
}

func TestTrain_SavesTheSameBytesForAnyNumberOfThreads(t *testing.T) {
	data := smallData(t)
	saved := func(flags ...string) []byte {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		args := tiny(slices.Concat(data, []string{"--save=" + path, "--finetune-epochs=2", "--dropout=0.1"}, flags)...)
		code, _, err := gogpt(t, args...)
		require.Equal(t, exitOK, code, err)
		file, readErr := os.ReadFile(path)
		require.NoError(t, readErr)
		return file
	}
	one := saved("--threads=1")
	require.Equal(t, one, saved("--threads=1"))
	require.Equal(t, one, saved("--threads=2"))
	require.NotEqual(t, one, saved("--threads=1", "--seed=2"))
}

func TestTrain_SavesACheckpointPerPhase(t *testing.T) {
	dir := t.TempDir()
	out := trained(t, "--checkpoint-dir="+dir, "--finetune-epochs=1")
	pre, _, err := loadModel(filepath.Join(dir, pretrainedModel))
	require.NoError(t, err)
	final, _, err := loadModel(filepath.Join(dir, finalModel))
	require.NoError(t, err)
	require.NotEqual(t, pre.embed.wte.W, final.embed.wte.W)
	require.Equal(t, 2, strings.Count(out, "saved: "))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2, "no temporary files")
}

func TestTrain_SavesBeforeItReportsTheEnd(t *testing.T) {
	out := trained(t, "--save="+filepath.Join(t.TempDir(), "m.safetensors"))
	inOrder(t, out, "pretrain: ", "saved: ", "ended: completed")
}

// remover removes a folder when the first line of the table is written.
type remover struct {
	bytes.Buffer
	folder string
}

func (r *remover) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "samples/s") {
		if err := os.RemoveAll(r.folder); err != nil {
			return 0, err
		}
	}
	return r.Buffer.Write(p)
}

func TestTrain_FailsWhenTheModelCannotBeSaved(t *testing.T) {
	out, log := &remover{folder: t.TempDir()}, filepath.Join(t.TempDir(), "run.jsonl")
	var errOut bytes.Buffer
	args := tiny(append(smallData(t), "--save="+filepath.Join(out.folder, "m.safetensors"), "--log-json="+log)...)
	require.Equal(t, exitError, runInFolder(t, args, forbiddenInput{t}, out, &errOut))
	require.Contains(t, errOut.String(), "cannot write into folder")
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(data), `"reason":"failed","error":"`+out.folder)
}

func TestTrain_SavesNothingUnlessAsked(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NotContains(t, trained(t), "saved")
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestTrain_ReportsDivergenceAndSavesTheLastGoodWeights(t *testing.T) {
	dir := t.TempDir()
	path, log := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "run.jsonl")
	code, out, errText := gogpt(t, tiny(append(smallData(t), "--lr=1e38", "--save="+path, "--log-json="+log)...)...)
	require.Equal(t, exitError, code)
	require.Contains(t, errText, "diverged: ")
	require.Equal(t, 1, strings.Count(errText, "\n"), errText)
	require.Contains(t, out, "ended: diverged")
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(data), `"reason":"diverged","error":"diverged: `)
	_, _, err = loadModel(path)
	require.NoError(t, err, "the last good weights are saved, and are finite")
}

func TestTrain_PrintsTheHeldOutLossOfTheBuiltInData(t *testing.T) {
	code, out, err := gogpt(t, tiny("--max-steps=2")...)
	require.Equal(t, exitOK, code, err)
	require.Contains(t, out, "held-out questions: loss ")
	require.NotContains(t, trained(t), "held-out")
}

func TestTrain_BuildsTheVocabularyFromTheTrainingPart(t *testing.T) {
	cfg := defaultConfig()
	cfg.Tokenizer, cfg.ValFraction, cfg.Model.Vocab = kindChar, 0.5, 2048
	cfg.PretrainData = textFile(t, "rows.json", `["甲", "乙", "丙", "丁", "戊", "己", "庚", "辛"]`)
	cfg.ChatData = textFile(t, "chat.json", `[{"user":"子","assistant":"丑"},{"user":"寅","assistant":"卯"}]`)
	s := &session{cfg: &cfg}
	_, err := s.prepare()
	require.NoError(t, err)
	require.Equal(t, minVocabSize+4+2, s.tokenizer.size(), "the characters of 4 rows and of 1 pair, not the held-out ones")
	require.Equal(t, s.tokenizer.size(), s.model.Vocab)
}

func TestTrain_ValidatesOnUnjoinedPairs(t *testing.T) {
	cfg := defaultConfig()
	cfg.ValFraction, cfg.Model.Vocab = 0.5, minVocabSize
	data := smallData(t)
	cfg.PretrainData, cfg.ChatData = data[0][len("--pretrain-data="):], data[1][len("--chat-data="):]
	s := &session{cfg: &cfg}
	_, err := s.prepare()
	require.NoError(t, err)
	require.Len(t, s.phases, 2)
	require.Len(t, s.phases[0].held, 6)
	require.Len(t, s.phases[1].held, 3, "one sample a pair")
	require.True(t, s.phases[0].first)
	require.False(t, s.phases[1].first)
	require.NotEqual(t, dataOf(s.phases[0]).stream, dataOf(s.phases[1]).stream)
}

func TestTrain_CountsAllTokensOfPairsInPretraining(t *testing.T) {
	cfg := defaultConfig()
	cfg.Model.Vocab = minVocabSize
	cfg.PretrainData = textFile(t, "pairs.json", `[{"user":"a?","assistant":"b"},{"user":"c?","assistant":"d"}]`)
	s := &session{cfg: &cfg}
	_, err := s.prepare()
	require.NoError(t, err)
	for _, e := range s.phases[0].train.epoch(0) {
		require.Len(t, e.tokens, 6, "one pair per sample")
		require.Equal(t, 5, e.targets(), "every token but the first")
	}
}

func TestTrain_SavesAfterNoEpochs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	trained(t, "--pretrain-epochs=0", "--save="+path)
	_, _, err := loadModel(path)
	require.NoError(t, err)
}

// signaller sends a signal to this process when the first epoch's line of the table is written.
type signaller struct {
	signal os.Signal
	sent   bool
}

func (s *signaller) Write(p []byte) (int, error) {
	if !s.sent && strings.Contains(string(p), "   1/") {
		s.sent = true
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return 0, err
		}
		return len(p), self.Signal(s.signal)
	}
	return len(p), nil
}

func TestTrain_ASignalEndsTheRunAndSaves(t *testing.T) {
	for signal, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		dir := t.TempDir()
		path, log := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "run.jsonl")
		args := tiny(append(smallData(t), "--pretrain-epochs=1000000", "--patience=0", "--save="+path, "--log-json="+log)...)
		var errOut bytes.Buffer
		require.Equal(t, code, runInFolder(t, args, forbiddenInput{t}, &signaller{signal: signal}, &errOut))
		require.Equal(t, "gogpt: interrupted by "+signal.String()+"\n", errOut.String())
		data, err := os.ReadFile(log)
		require.NoError(t, err)
		require.Contains(t, string(data), `{"event":"end","reason":"interrupted"`)
		_, _, err = loadModel(path)
		require.NoError(t, err)
	}
}

func TestTrain_InterruptedPretrainingIsNotTheFinalModel(t *testing.T) {
	dir := t.TempDir()
	args := tiny(append(smallData(t), "--pretrain-epochs=1000000", "--patience=0", "--finetune-epochs=1",
		"--checkpoint-dir="+dir)...)
	require.Equal(t, 130, runInFolder(t, args, forbiddenInput{t}, &signaller{signal: os.Interrupt}, new(bytes.Buffer)))
	require.FileExists(t, filepath.Join(dir, pretrainedModel))
	require.NoFileExists(t, filepath.Join(dir, finalModel))
}

// A run on the built-in data reports the loss of the held-out answers, however it ends, and after tuning how many
// answers were right.
func TestHeldOut_IsMeasuredOnTheBuiltInDataOnly(t *testing.T) {
	questions, own := ownCorpus(t, heldoutFile).Pairs, smallData(t)
	for _, c := range []struct {
		flags    []string
		code     int
		measured bool
		answered bool
	}{
		{nil, exitOK, true, false},
		{[]string{"--pretrain-epochs=0"}, exitOK, true, false},
		{[]string{"--pretrain-epochs=0", "--finetune-epochs=1"}, exitOK, true, true},
		{[]string{"--finetune-epochs=1"}, exitOK, true, true},
		// A run that diverges measures the last good weights.
		{[]string{"--lr=1e38", "--finetune-epochs=1"}, exitError, true, false},
		{[]string{"--finetune-lr=1e38", "--finetune-epochs=1"}, exitError, true, true},
		{own[:1], exitOK, false, false},
		{own[1:], exitOK, false, false},
		{append(own, "--finetune-epochs=1"), exitOK, false, false},
	} {
		r := finish(t, c.code, append([]string{"--max-steps=3", "--context=256"}, c.flags...)...)
		require.Equal(t, c.measured, r.heldout != nil, "%v", c.flags)
		if c.measured {
			require.InDelta(t, chatLoss(r, false, questions...), *r.heldout, 1e-5, "%v", c.flags)
		}
		require.Equal(t, c.answered, r.exact != nil, "%v", c.flags)
	}
}

// The model says the same after every prompt of 32 tokens, which is the answer to one of two such questions.
func TestHeldOut_CountsTheAnswersAfterTuning(t *testing.T) {
	questions := ownCorpus(t, heldoutFile).Pairs
	at := slices.IndexFunc(questions, func(p pair) bool { return p.User == "做豆腐要用哪种豆子？" })
	require.GreaterOrEqual(t, at, 0)
	m, words := timetableModel(t, 63, 32, saying(questions[at].Assistant)...)
	require.Len(t, promptTokens(words, questions[at].User), 32)
	dir := t.TempDir()
	path, log := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "run.jsonl")
	require.NoError(t, saveModel(path, m, words))
	code, out, err := gogpt(t, "--no-interactive", "--init-from="+path, "--log-json="+log, "--pretrain-epochs=0",
		"--finetune-epochs=1", "--max-steps=1", "--finetune-lr="+still)
	require.Equal(t, exitOK, code, err)
	require.Regexp(t, `(?m)^held-out questions: loss \d+\.\d{4}, ppl [\d.]+; 1 of 40 answered word for word$`, out)
	require.Contains(t, string(bytesOf(t, log)), `"heldout_exact_match":0.025,`)
}

func TestHeldOut_ABrokenModelIsAnError(t *testing.T) {
	m, words := timetableModel(t, 63, 32, saying("yes")...)
	m.embed.wte.W[0] = float32(math.NaN())
	s := &session{cfg: &Config{Model: m.ModelConfig}, model: m, tokenizer: words, heldout: &corpus{Pairs: pairsOf(twelve)}}
	trainer := newTrainer(s.cfg, m, nil)
	trainer.phase = &phase{name: "finetune"}
	require.ErrorContains(t, s.measureHeldout(trainer, new(runlog.End)), "held-out questions: the logit of token 0 is NaN")
}
