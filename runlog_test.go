package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testRun is the records of a run of three epochs with everything that a log can hold.
func testRun() []any {
	val := func(v float64) *jsonFloat { f := jsonFloat(v); return &f }
	epoch := func(n int, loss, held float64) *epochRecord {
		return &epochRecord{Event: "epoch", Phase: "pretrain", Epoch: n, Epochs: 4, Step: 10 * n, AvgLoss: jsonFloat(loss), PPL: jsonFloat(math.Exp(loss)),
			AvgGradNorm: 2, LR: 1e-4, SamplesPerSec: 10, TokensPerSec: 100, ValLoss: val(held), BestLoss: jsonFloat(held), Accum: 1,
			Frozen: []string{"h.0.attn.c_attn.weight"}, ClippedShare: 0.5, UpdateRatio: map[string]jsonFloat{"attention": 0, "embedding": 1e-3}}
	}
	return []any{
		runRecord{Event: "run", Config: map[string]string{"clip": "1", "lr": "0.0001"}, Seed: 1, Data: map[string]string{"pretrain": "ab"}, Parameters: 1234567, Vocab: 300, Kernel: "generic", Version: version},
		epoch(1, 5, 5.2),
		sampleRecord{"sample", "pretrain", 1, "Once <b>", "upon a time"},
		attnGradientRecord{"attn_gradient", "pretrain", 15, []gradDistance{{wholeGradient, "stop-gradient", 0.1, 0.99, 1}}},
		epoch(2, 4, 4.5), epoch(3, 3, 4.8),
		endRecord{Event: "end", Reason: endEarlyStop, Health: map[string]health{}, ElapsedSec: 1.5},
	}
}

// logOf writes records as the log does.
func logOf(t testing.TB, records []any) string {
	var log bytes.Buffer
	for _, r := range records {
		require.NoError(t, jsonLog{&log}.observe(r))
	}
	return log.String()
}

func TestALogIsReadBackAsItWasWritten(t *testing.T) {
	gathered := &runLog{}
	for _, r := range testRun() {
		require.NoError(t, gathered.observe(r))
	}
	l, err := parseRunLog([]byte(logOf(t, testRun())))
	require.NoError(t, err)
	require.Equal(t, gathered, l)
	require.Equal(t, 2, l.phases[0].best().Epoch)
	require.Equal(t, 3, l.phases[0].last().Epoch)
	require.Equal(t, endEarlyStop, l.end.Reason)
}

func TestRunLog_TheFirstOfEqualLossesIsTheBest(t *testing.T) {
	l := &runLog{}
	for _, record := range testRun() {
		if r, ok := record.(*epochRecord); ok && r.Epoch > 1 {
			*r.ValLoss = 4.5
		}
		require.NoError(t, l.observe(record))
	}
	require.Equal(t, 2, l.phases[0].best().Epoch, "epochs 2 and 3 are equal; training keeps the weights of the first")
}

func TestANullOfTheLogIsNaN(t *testing.T) {
	var r epochRecord
	require.NoError(t, json.Unmarshal([]byte(`{"avg_loss":null,"ppl":2}`), &r))
	require.True(t, math.IsNaN(float64(r.AvgLoss)))
	require.Equal(t, jsonFloat(2), r.PPL)
}

func TestTheLogOfARealRunIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.jsonl")
	trained(t, "--pretrain-epochs=4", "--finetune-epochs=2", "--val-fraction=0.2", "--label-smoothing=0.1", "--log-attn-gradient=5", "--log-json="+path)
	l, err := readRunLog(path)
	require.NoError(t, err)
	require.Equal(t, "real", l.name)
	require.Len(t, l.phases, 2)
	pretrain := l.find("pretrain")
	require.Len(t, pretrain.epochs, 4)
	require.Len(t, pretrain.gradients, 8, "every fifth of 40 steps")
	var sampled []int
	for _, s := range pretrain.samples {
		sampled = append(sampled, s.Epoch)
		require.Equal(t, pretrain.samples[0].Prompt, s.Prompt)
	}
	require.Equal(t, []int{1, 2, 4}, sampled)
	question := l.find("finetune").samples[0].Prompt
	require.True(t, strings.HasPrefix(question, "What is ") && strings.HasSuffix(question, "?"), "a whole question: %q", question)
}

func TestAWrongLogIsAnErrorThatNamesFileAndLine(t *testing.T) {
	good := strings.SplitAfter(logOf(t, testRun()), "\n")
	with := func(line int, text string) string {
		lines := append([]string(nil), good...)
		lines[line-1] = text
		return strings.Join(lines, "")
	}
	for want, log := range map[string]string{
		"empty":                     "",
		"line 1: not JSON":          "epoch,loss\n",
		`line 1: a log begins`:      strings.Join(good[1:], ""),
		"line 1: not an object":     "[1]\n",
		`line 3: unknown event "x"`: with(3, `{"event":"x"}`+"\n"),
		"line 3: event: missing":    with(3, "{}\n"),
		"line 3: text: missing":     with(3, `{"event":"sample","phase":"pretrain","epoch":1,"prompt":"a"}`+"\n"),
		`unknown field "extra"`:     with(3, `{"event":"sample","phase":"pretrain","epoch":1,"prompt":"a","text":"b","extra":1}`+"\n"),
		"line 5: epoch 3 of pretrain where epoch 2 belongs": with(5, good[5]),
		"line 7: a log begins":                              with(7, good[0]),
		"line 8: a line behind":                             strings.Join(good, "") + good[1],
		"line 7: cut short":                                 strings.TrimSuffix(strings.Join(good, ""), "\n"),
		"line 2: json: cannot":                              with(2, strings.Replace(good[1], `"epoch":1`, `"epoch":"1"`, 1)),
	} {
		path := textFile(t, "wrong.jsonl", log)
		_, err := readRunLog(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := readRunLog(filepath.Join(t.TempDir(), "none.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// FuzzRunLog: any bytes are a run or an error; what is read makes a page.
func FuzzRunLog(f *testing.F) {
	f.Add([]byte(logOf(f, testRun())))
	f.Add([]byte(logOf(f, testRun()[:1])))
	f.Add([]byte("{\"event\":\"run\"}\n"))
	f.Add([]byte(`{"event":"run","config":null,"seed":1,"data":{"pretrain":"ab"},"parameters":1,"vocab":300,"kernel":"k","version":"v"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseRunLog(data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NoError(t, pageTemplate.ExecuteTemplate(&bytes.Buffer{}, "report", newReportPage([]*runLog{l})))
	})
}
