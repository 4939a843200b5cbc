package runlog

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/strictjson"
)

// fullRun returns the records of a run of three epochs with every kind of record.
func fullRun() []any {
	epoch := func(n int, loss, val strictjson.Float) *Epoch {
		return &Epoch{Event: "epoch", Phase: "pretrain", Epoch: n, Epochs: 4, Step: 10 * n, AvgLoss: loss, PPL: 50,
			AvgGradNorm: 2, LR: 1e-4, SamplesPerSec: 10, TokensPerSec: 100, ValLoss: &val, BestLoss: val, Accum: 1,
			Frozen: []string{"h.0.attn.c_attn.weight"}, ClippedShare: 0.5,
			UpdateRatio: map[string]strictjson.Float{"attention": 0, "embedding": 1e-3}}
	}
	return []any{
		Run{Event: "run", Config: map[string]string{"clip": "1"}, Seed: 1, Data: map[string]string{"pretrain": "ab"},
			Parameters: 1234567, Vocab: 300, Kernel: "portable", Version: "0.1"},
		epoch(1, 5, 5.2),
		Sample{Event: "sample", Phase: "pretrain", Epoch: 1, Prompt: "Once <b>", Text: "upon a time"},
		AttnGradient{Event: "attn_gradient", Phase: "pretrain", Step: 15, Rows: []GradDistance{
			{Tensor: WholeGradient, Mode: "stop-gradient", RelErr: 0.1, Cosine: 0.99, NormRatio: 1}}},
		epoch(2, 4, 4.5), epoch(3, 3, 4.8),
		End{Event: "end", Reason: EarlyStop, Health: map[string]Health{"pretrain": {Verdict: Healthy, Loss: true}},
			ElapsedSec: 1.5},
	}
}

// linesOf returns records as the lines of a log.
func linesOf(t testing.TB, records []any) string {
	var log bytes.Buffer
	for _, r := range records {
		line, err := json.Marshal(r)
		require.NoError(t, err)
		log.Write(append(line, '\n'))
	}
	return log.String()
}

func TestLog_IsReadAsItWasWritten(t *testing.T) {
	collected := &Log{}
	for _, r := range fullRun() {
		require.NoError(t, collected.Observe(r))
	}
	path := filepath.Join(t.TempDir(), "a.b.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(linesOf(t, fullRun())), 0o644))
	l, err := ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a.b", l.Name)
	l.Name = ""
	require.Equal(t, collected, l)
	require.Equal(t, 2, l.Phases[0].Best().Epoch)
	require.Equal(t, 3, l.Phases[0].Last().Epoch)
	require.Equal(t, EarlyStop, l.End.Reason)
	require.Nil(t, l.Find("finetune"))
}

// Older programs judged the speed too.
func TestReadFile_ReadsALogThatJudgesTheSpeed(t *testing.T) {
	log := linesOf(t, fullRun()[:6]) + `{"event":"end","reason":"completed","health":{"pretrain":{"verdict":"unhealthy",` +
		`"loss":true,"perplexity":true,"grad_norm":true,"speed":false}},"elapsed_sec":1.5}` + "\n"
	l, err := Parse([]byte(log))
	require.NoError(t, err)
	h := l.End.Health["pretrain"]
	require.True(t, h.Verdict == Unhealthy && h.GradNorm && !*h.Speed)
	require.Nil(t, h.SpeedRatio)
}

func TestLog_TheFirstOfEqualLossesIsTheBest(t *testing.T) {
	l := &Log{}
	for _, record := range fullRun() {
		if r, ok := record.(*Epoch); ok && r.Epoch > 1 {
			*r.ValLoss = 4.5
		}
		require.NoError(t, l.Observe(record))
	}
	require.Equal(t, 2, l.Phases[0].Best().Epoch, "epochs 2 and 3 are equal; training keeps the weights of the first")
}

func TestLog_APhaseWithoutAnEpochHasNeitherBestNorLast(t *testing.T) {
	require.Nil(t, new(Phase).Best())
	require.Nil(t, new(Phase).Last())
}

func TestReadFile_ErrorsNameFileAndLine(t *testing.T) {
	good := strings.SplitAfter(linesOf(t, fullRun()), "\n")
	with := func(line int, text string) string {
		lines := append([]string(nil), good...)
		lines[line-1] = text
		return strings.Join(lines, "")
	}
	sample := `{"event":"sample","phase":"pretrain","epoch":1,"prompt":"a"`
	for want, log := range map[string]string{
		"the log is empty":                              "",
		"line 1: not valid JSON":                        "epoch,loss\n",
		`line 1: a log has one "run" line, its first`:   strings.Join(good[1:], ""),
		"line 1: not an object":                         "[1]\n",
		`line 3: unknown event "x"`:                     with(3, `{"event":"x"}`+"\n"),
		"line 3: event: missing":                        with(3, "{}\n"),
		"line 3: event: not a string":                   with(3, `{"event":null}`+"\n"),
		`line 3: duplicate key "event"`:                 with(3, `{"event":"sample","event":"sample"}`+"\n"),
		"line 3: text: missing":                         with(3, sample+"}\n"),
		`unknown field "extra"`:                         with(3, sample+`,"text":"b","extra":1}`+"\n"),
		"line 5: epoch 3 of pretrain, expected epoch 2": with(5, good[5]),
		`line 7: a log has one "run" line, its first`:   with(7, good[0]),
		`line 8: a line after the "end" line`:           strings.Join(good, "") + good[1],
		"line 7: incomplete, no newline at its end":     strings.TrimSuffix(strings.Join(good, ""), "\n"),
		"line 2: json: cannot":                          with(2, strings.Replace(good[1], `"epoch":1`, `"epoch":"1"`, 1)),
	} {
		path := filepath.Join(t.TempDir(), "wrong.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(log), 0o644))
		_, err := ReadFile(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := ReadFile(filepath.Join(t.TempDir(), "none.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Any bytes are a log or an error of one line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(linesOf(f, fullRun())))
	f.Add([]byte(linesOf(f, fullRun()[:1])))
	f.Add([]byte("{\"event\":\"run\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for _, p := range l.Phases {
			Judge(p.Epochs)
			for i, e := range p.Epochs {
				require.Equal(t, i+1, e.Epoch)
				Groups(e.Frozen)
			}
		}
	})
}
