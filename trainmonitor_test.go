package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
	"gogpt/internal/tfevents"
)

// keysOf lists the keys of a JSON object.
func keysOf(t *testing.T, line []byte) (keys []string) {
	var object map[string]any
	require.NoError(t, json.Unmarshal(line, &object))
	for key := range object {
		keys = append(keys, key)
	}
	return keys
}

var epochKeys = []string{"event", "phase", "epoch", "epochs", "step", "avg_loss", "ppl", "avg_grad_norm",
	"max_grad_norm", "lr", "samples_per_sec", "tokens_per_sec", "best_loss", "accum", "frozen", "clipped_share",
	"update_ratio", "elapsed_sec"}

func TestLog_AnEpochIsOneLineOfTheLogAndOfTheTable(t *testing.T) {
	var out, log bytes.Buffer
	r := newTrial(t, func(c *Config, p *phase) { c.Pretrain.Epochs = 1 })
	r.monitor = newMonitor(&out, nil, &log, false)
	r.run(t)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.ElementsMatch(t, epochKeys, keysOf(t, log.Bytes()))

	log.Reset()
	r = newTrial(t, func(c *Config, p *phase) { c.Pretrain.Epochs, c.Smoothing, p.held = 1, 0.1, dataOf(p).rows[:1] })
	r.monitor = newMonitor(&out, nil, &log, false)
	r.run(t)
	require.ElementsMatch(t, append([]string{"val_loss", "smoothed_loss"}, epochKeys...), keysOf(t, log.Bytes()))
	require.Contains(t, out.String(), "pretrain: 10 samples, 1 held out for validation, 1 epochs, 10 steps planned")
	require.Contains(t, out.String(), "   1/1     100% ")
}

func TestLog_RecordsClippingAndSmoothing(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Clip, c.Smoothing = 1e-3, 0.1 })
	r.run(t)
	record := r.records()[0]
	require.Equal(t, 1.0, float64(record.ClippedShare))
	require.Greater(t, float64(record.AvgGradNorm), 1e-3, "the norm is that before clipping")
	require.NotEqual(t, record.AvgLoss, *record.SmoothedLoss)
	require.Equal(t, math.Exp(float64(record.AvgLoss)), float64(record.PPL), "the perplexity is that of the plain loss")
	r = newTrial(t, func(c *Config, _ *phase) { c.Clip = 0 })
	r.run(t)
	require.Zero(t, r.records()[0].ClippedShare)
	require.Nil(t, r.records()[0].SmoothedLoss)
}

func TestMonitor_ComparesPlainLossesUnderSmoothing(t *testing.T) {
	smoothed := strictjson.Float(5)
	require.Equal(t, 2.0, (&runlog.Epoch{AvgLoss: 2, SmoothedLoss: &smoothed}).Monitored())
	r := newTrial(t, func(c *Config, _ *phase) { c.Smoothing = 0.3 })
	r.run(t)
	lowest := min(r.records()[0].AvgLoss, r.records()[1].AvgLoss)
	require.Equal(t, lowest, r.records()[1].BestLoss)
	require.NotEqual(t, lowest, *r.records()[1].SmoothedLoss)
}

func TestLog_AFailedWriteEndsTheRun(t *testing.T) {
	r := newTrial(t, nil)
	r.monitor = newMonitor(new(bytes.Buffer), nil, brokenLog{}, false)
	_, err := r.train()
	require.ErrorContains(t, err, "log: no space left")
}

func TestMonitor_TheEndReportsReasonHealthAndHeldOutLoss(t *testing.T) {
	var out, log bytes.Buffer
	m := newMonitor(&out, nil, &log, false)
	m.phases = []string{"pretrain"}
	m.history["pretrain"] = fallingRun()
	held := strictjson.Float(2)
	require.NoError(t, m.end(runlog.End{Reason: runlog.MaxSteps, Heldout: &held}))
	require.Contains(t, out.String(), "health of pretrain: healthy")
	require.Contains(t, out.String(), "held-out questions: loss 2.0000, ppl 7.39\n", "no answers")
	require.Contains(t, out.String(), "ended: max_steps after")
	require.ElementsMatch(t, []string{"event", "reason", "heldout_loss", "health", "elapsed_sec"}, keysOf(t, log.Bytes()))
	require.Contains(t, log.String(), `"health":{"pretrain":{"verdict":"healthy"`)

	share := strictjson.Float(float64(15) / 22) // times 22 it is a little below 15
	m.questions = 22
	out.Reset()
	require.NoError(t, m.end(runlog.End{Reason: runlog.MaxSteps, Heldout: &held, ExactMatch: &share}))
	require.Contains(t, out.String(), "held-out questions: loss 2.0000, ppl 7.39; 15 of 22 answered word for word\n")
	require.Contains(t, log.String(), `"heldout_loss":2,"heldout_exact_match":0.6818181818181818,`)
}

func TestMonitor_EveryPhaseHasItsOwnVerdict(t *testing.T) {
	var out, log bytes.Buffer
	m := newMonitor(&out, nil, &log, false)
	for _, p := range []struct {
		name string
		last strictjson.Float
	}{{"pretrain", 1}, {"finetune", 9}} {
		m.phase(&phase{name: p.name, train: &dataset{}}, 9, nil)
		records := fallingRun()
		records[8].AvgLoss = p.last
		for _, r := range records {
			r.Phase = p.name
			require.NoError(t, m.epoch(r, 0))
		}
	}
	log.Reset()
	require.NoError(t, m.end(runlog.End{Reason: runlog.Completed}))
	require.Contains(t, out.String(), "health of pretrain: healthy")
	require.Contains(t, out.String(), "health of finetune: unhealthy")
	var end runlog.End
	require.NoError(t, json.Unmarshal(log.Bytes(), &end))
	require.Equal(t, "healthy", end.Health["pretrain"].Verdict)
	require.Equal(t, "unhealthy", end.Health["finetune"].Verdict)
}

func TestMonitor_FrozenNamesAreShort(t *testing.T) {
	require.Equal(t, "-", summarizeNames(nil))
	summary := func(layers int, frozen func(*Param) bool) string {
		m := newLLM(ModelConfig{Layers: layers, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: 1}, newRNG(1, initStream))
		for _, p := range m.Params() {
			p.Frozen = frozen(p)
		}
		return summarizeNames(frozenNames(m.Params()))
	}
	require.Equal(t, "h.0.attn, h.1.attn", summary(2, isAttention))
	require.Equal(t, "h.0.attn.c_attn, h.1.attn.c_attn",
		summary(2, func(p *Param) bool { return p.Part == PartQKV }), "W_O learns")
	require.Equal(t, "h.0.attn … h.4.attn (5)", summary(5, isAttention))
	require.Equal(t, "wte, wpe",
		summary(1, func(p *Param) bool { return p.Part.group() == "embedding" }))
	require.Equal(t, "h.0.mlp.c_fc, h.0.mlp.c_proj",
		summary(1, func(p *Param) bool { return p.Part.group() == "feedforward" }))
}

// tableColumn returns a column, counted from 0, of the lines of a table that are about an epoch.
func tableColumn(table string, column int) (values []string) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 8 && strings.Contains(fields[0], "/") && strings.HasSuffix(fields[1], "%") {
			values = append(values, fields[column])
		}
	}
	return values
}

func TestMonitor_PercentCountsUpToMaxSteps(t *testing.T) {
	for _, c := range []struct {
		maxSteps int // ten steps an epoch
		want     []int
	}{{20, []int{50, 100}}, {21, []int{33, 67, 100}}, {24, []int{33, 67, 100}}, {30, []int{33, 67, 100}}} {
		r := newTrial(t, func(cfg *Config, _ *phase) { cfg.Pretrain.Epochs, cfg.MaxSteps = 9, c.maxSteps })
		var table bytes.Buffer
		r.monitor.out = &table
		require.Equal(t, runlog.MaxSteps, r.run(t))
		var done []int
		for _, percent := range regexp.MustCompile(`(\d+)%`).FindAllStringSubmatch(table.String(), -1) {
			n, err := strconv.Atoi(percent[1])
			require.NoError(t, err)
			done = append(done, n)
		}
		require.Equal(t, c.want, done, "%d steps", c.maxSteps)
	}
}

func TestMonitor_TheEstimateUsesTheLatestEpochs(t *testing.T) {
	m := newMonitor(new(bytes.Buffer), nil, nil, false)
	for epoch := 1; epoch <= 8; epoch++ { // two epochs of 100 s, then 10 s each
		elapsed := 100*min(epoch, 2) + 10*max(0, epoch-2)
		m.history["pretrain"] = append(m.history["pretrain"], &runlog.Epoch{Phase: "pretrain", Epoch: epoch, Epochs: 20,
			ElapsedSec: strictjson.Float(elapsed)})
	}
	require.Equal(t, "2m0s", m.eta(m.history["pretrain"][7], 12))
}

func TestMonitor_TheEstimateUsesTheEpochsOfItsPhaseOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock moves only when everything sleeps
		var out bytes.Buffer
		m := newMonitor(&out, nil, nil, false)
		for _, p := range []struct {
			name string
			pace time.Duration
		}{{"pretrain", 100 * time.Second}, {"finetune", 10 * time.Second}} {
			m.phase(&phase{name: p.name, train: &dataset{}}, 4, nil)
			for epoch := 1; epoch <= 4; epoch++ {
				time.Sleep(p.pace)
				r := &runlog.Epoch{Phase: p.name, Epoch: epoch, Epochs: 4, ElapsedSec: strictjson.Float(m.elapsed())}
				require.NoError(t, m.epoch(r, 4-epoch))
			}
		}
		require.Equal(t, []string{"5m0s", "3m20s", "1m40s", "0s", "30s", "20s", "10s", "0s"}, tableColumn(out.String(), 8))
	})
}

func TestMonitor_TheLiveLineIsForTerminalsOnlyAndIsErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, tty bytes.Buffer
		m := newMonitor(&out, nil, nil, true)
		m.live(1, 2, &epochSum{started: time.Now()})
		m.clearLive()
		require.Empty(t, out.String())

		m = newMonitor(&out, &tty, nil, false)
		m.clearLive()
		require.Empty(t, tty.String(), "there is nothing to erase yet")
		s := &epochSum{started: time.Now(), done: 3, steps: 7}
		time.Sleep(time.Second)
		m.live(1, 2, s)
		require.Contains(t, tty.String(), "epoch 1/2  step 3/7")
		require.NotContains(t, tty.String(), "\x1b[2m", "without colour")
		shown := tty.Len()
		time.Sleep(liveInterval - 1)
		m.live(1, 2, s)
		require.Equal(t, shown, tty.Len(), "not more often than the interval")
		time.Sleep(time.Nanosecond)
		m.live(1, 2, s)
		require.Greater(t, tty.Len(), shown)
		m.clearLive()
		require.True(t, strings.HasSuffix(tty.String(), "\r\x1b[K"))
		newMonitor(&out, &tty, nil, true).live(1, 2, s)
		require.True(t, strings.HasSuffix(tty.String(), "\x1b[0m"), "with colour")
		require.Empty(t, out.String())
	})
}

// fallingRun is the records of nine epochs with a falling loss.
func fallingRun() (records []*runlog.Epoch) {
	for i := range 9 {
		loss := 5 - 0.4*float64(i)
		records = append(records, &runlog.Epoch{AvgLoss: strictjson.Float(loss), PPL: strictjson.Float(math.Exp(loss)),
			AvgGradNorm: 2, TokensPerSec: 1000})
	}
	return records
}

// brokenLog is a log whose writes fail.
type brokenLog struct{}

func (brokenLog) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// The log of a real training, compared with the same values computed from the samples and the weights.

// loggedEpochs trains the phase of a trial and returns the epochs of its log.
func loggedEpochs(t *testing.T, r *trial) (epochs []runlog.Epoch) {
	var log bytes.Buffer
	r.monitor = newMonitor(io.Discard, nil, &log, false)
	r.run(t)
	for line := range bytes.Lines(log.Bytes()) {
		var e runlog.Epoch
		require.NoError(t, json.Unmarshal(line, &e))
		epochs = append(epochs, e)
	}
	return epochs
}

// gradientNorm returns √Σ g² over all parameters for the mean loss of one sample.
func gradientNorm(m *LLM, sample example, smoothing float64) float64 {
	squares := 0.0
	for _, g := range meanGradients(m, new(Batch).pack([]example{sample}), smoothing) {
		for _, v := range g {
			squares += float64(v) * float64(v)
		}
	}
	return math.Sqrt(squares)
}

func TestLog_AnEpochCutShortCountsTheStepsItTook(t *testing.T) {
	const smoothing, taken = 0.2, 5
	var clip float64
	still := func(c *Config, _ *phase) { // ten steps an epoch, the second cut in its middle; no step changes a loss
		c.Pretrain.Epochs, c.Pretrain.LR, c.MaxSteps = 3, 1e-30, 10+taken
		c.Smoothing, c.Clip = smoothing, clip
	}
	r := newTrial(t, still)
	samples := r.phase.train.epoch(1)[:taken]
	batch := new(Batch).pack(samples)
	var norms []float64
	sum := 0.0
	for _, s := range samples {
		norms = append(norms, gradientNorm(r.model, s, smoothing))
		sum += norms[len(norms)-1]
	}
	ranked := slices.Sorted(slices.Values(norms))
	clip = (ranked[2] + ranked[3]) / 2 // two of the five norms are larger
	require.Greater(t, ranked[3]-ranked[2], 1e-3*clip, "rounding must not decide which step is clipped")
	require.Greater(t, ranked[0], clip/2, "all norms must be near the limit")
	ref := newReference(r.model.ModelConfig, r.model.Params())

	epochs := loggedEpochs(t, newTrial(t, still))
	require.Len(t, epochs, 2)
	last := epochs[1]
	require.Equal(t, 10+taken, last.Step)
	require.InEpsilon(t, sum/taken, float64(last.AvgGradNorm), 1e-5)
	require.InDelta(t, 2./taken, float64(last.ClippedShare), 1e-12)
	require.InEpsilon(t, ref.loss(batch, smoothing), float64(*last.SmoothedLoss), 1e-5)
	require.InEpsilon(t, ref.loss(batch, 0), float64(last.AvgLoss), 1e-5)
	for i, e := range epochs {
		require.Equal(t, []int{i + 1, 3}, []int{e.Epoch, e.Epochs}, "the plan has three epochs, however many are trained")
	}
}

func TestLog_TheUpdateRatioIsThatOfTheLastStep(t *testing.T) {
	// A constant learning rate, so that the longer run begins with the steps of the shorter one.
	after := func(steps int) (*trial, runlog.Epoch) {
		r := newTrial(t, func(c *Config, _ *phase) { c.MaxSteps, c.Pretrain.MinLR = steps, c.Pretrain.LR })
		return r, loggedEpochs(t, r)[0]
	}
	before, _ := after(2)
	now, epoch := after(3)
	moved, size := map[string]float64{}, map[string]float64{}
	was := before.weights()
	for i, p := range now.model.Params() {
		group := "embedding" // wte, wpe
		for _, c := range [][2]string{{".attn.", "attention"}, {".mlp.", "feedforward"}, {"ln_", "layernorm"}} {
			if strings.Contains(p.Name, c[0]) {
				group = c[1]
			}
		}
		for j, w := range p.W {
			moved[group] += math.Pow(float64(w)-float64(was[i][j]), 2)
			size[group] += float64(w) * float64(w)
		}
	}
	require.Len(t, epoch.UpdateRatio, 4)
	for group, ratio := range epoch.UpdateRatio {
		require.InEpsilon(t, math.Sqrt(moved[group])/math.Sqrt(size[group]), float64(ratio), 1e-6, group)
	}
}

func TestLog_TheTableCountsUpToMaxStepsAndTheLogNamesTheSeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	out := trained(t, "--pretrain-epochs=9", "--max-steps=30", "--seed=7", "--log-json="+path) // twelve steps an epoch
	require.Equal(t, []string{"1/9", "2/9", "3/9"}, tableColumn(out, 0))
	require.Equal(t, []string{"33%", "67%", "100%"}, tableColumn(out, 1))
	l, err := runlog.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, uint64(7), l.Run.Seed)
}

func TestTrain_LogsTheMeansOfEveryNSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	trained(t, "--pretrain-epochs=2", "--finetune-epochs=1", "--clip=2", "--log-steps=5", "--log-json="+path)
	l, err := runlog.ReadFile(path)
	require.NoError(t, err)
	pretrain := l.Find("pretrain")
	require.Len(t, pretrain.Epochs, 2)
	require.Len(t, pretrain.Steps, pretrain.Last().Step/5)
	largest := 0.0
	for i, s := range pretrain.Steps {
		require.Equal(t, []int{5 * (i + 1), 5}, []int{s.Step, s.Steps})
		require.Greater(t, s.MaxGradNorm, s.AvgGradNorm)
		largest = max(largest, float64(s.MaxGradNorm))
	}
	require.LessOrEqual(t, largest, float64(max(*pretrain.Epochs[0].MaxGradNorm, *pretrain.Epochs[1].MaxGradNorm)))
	require.Equal(t, 5, l.Find("finetune").Steps[0].Step, "a phase begins its own steps")

	every := filepath.Join(t.TempDir(), "every.jsonl")
	trained(t, "--pretrain-epochs=2", "--clip=2", "--log-steps=1", "--log-json="+every)
	l, err = runlog.ReadFile(every)
	require.NoError(t, err)
	loss, norm, clipped := 0.0, 0.0, 0.0
	for _, s := range l.Find("pretrain").Steps[5:10] {
		require.Equal(t, s.AvgGradNorm, s.MaxGradNorm)
		require.Equal(t, float64(s.AvgGradNorm) > 2, s.ClippedShare == 1)
		norm += float64(s.AvgGradNorm) / 5
		clipped += float64(s.ClippedShare) / 5
		loss += float64(s.AvgLoss)
	}
	require.NotZero(t, loss)
	require.InDelta(t, norm, float64(pretrain.Steps[1].AvgGradNorm), 1e-12)
	require.InDelta(t, clipped, float64(pretrain.Steps[1].ClippedShare), 1e-12)
}

func TestTrain_TheMeansOfTheStepsOfAnEpochAreThoseOfTheEpoch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	trained(t, "--pretrain-epochs=2", "--clip=2", "--log-steps=12", "--log-json="+path)
	l, err := runlog.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, l.Phases[0].Steps, 2)
	for i, s := range l.Phases[0].Steps {
		e := l.Phases[0].Epochs[i]
		require.Equal(t, runlog.Steps{Event: "steps", Phase: "pretrain", Step: e.Step, Steps: 12, AvgLoss: e.AvgLoss,
			AvgGradNorm: e.AvgGradNorm, MaxGradNorm: *e.MaxGradNorm, ClippedShare: e.ClippedShare, LR: e.LR}, s)
	}
}

func TestTrain_LogsAfterWhichStepTensorsWereReleased(t *testing.T) {
	for every, want := range map[int][]int{
		5:  {0, 0, 10, 0}, // ten steps of each epoch; the release is between two lines
		4:  {0, 0, 10, 0, 0},
		11: {10},
		20: {10},
	} {
		path := filepath.Join(t.TempDir(), "run.jsonl")
		trained(t, "--pretrain-epochs=2", "--finetune-epochs=1", "--freeze-attn-epochs=1", "--val-fraction=0.2",
			"--log-steps="+strconv.Itoa(every), "--log-json="+path)
		l, err := runlog.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, 10, l.Phases[0].Epochs[0].Step)
		var released []int
		for _, s := range l.Phases[0].Steps {
			released = append(released, s.ReleasedAfter)
		}
		require.Equal(t, want, released, "every %d steps", every)
		for _, p := range l.Phases[1:] {
			for _, s := range p.Steps {
				require.Zero(t, s.ReleasedAfter, "tuning releases nothing")
			}
		}
	}
}

func TestTrain_LogsAReleaseAlsoWhereTheMomentsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	trained(t, "--pretrain-epochs=2", "--freeze-attn-steps=7", "--keep-moments", "--log-steps=5", "--log-json="+path)
	l, err := runlog.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, []int{0, 7}, []int{l.Phases[0].Steps[0].ReleasedAfter, l.Phases[0].Steps[1].ReleasedAfter})
}

func TestTrain_ItsLogIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.jsonl")
	trained(t, "--pretrain-epochs=4", "--finetune-epochs=2", "--val-fraction=0.2", "--label-smoothing=0.1",
		"--log-attn-gradient=5", "--log-json="+path)
	l, err := runlog.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "real", l.Name)
	require.Len(t, l.Phases, 2)
	pretrain := l.Find("pretrain")
	require.Len(t, pretrain.Epochs, 4)
	require.Len(t, pretrain.Gradients, 8, "every fifth of 40 steps")
	var sampled []int
	for _, s := range pretrain.Samples {
		sampled = append(sampled, s.Epoch)
		require.Equal(t, pretrain.Samples[0].Prompt, s.Prompt)
	}
	require.Equal(t, []int{1, 2, 4}, sampled)
	question := l.Find("finetune").Samples[0].Prompt
	require.Regexp(t, `^What is .*\?$`, question, "a whole question")
}

// loggedEvent is one event that an eventLog wrote.
type loggedEvent struct {
	wallTime float64
	step     int64
	scalars  map[string]float64
}

// loggedEvents keeps events in memory.
type loggedEvents []loggedEvent

func (l *loggedEvents) Write(wallTime float64, step int64, scalars []tfevents.Scalar) error {
	values := map[string]float64{}
	for _, s := range scalars {
		values[s.Tag] = s.Value
	}
	*l = append(*l, loggedEvent{wallTime, step, values})
	return nil
}

func TestEventLog_WritesAnEventAnEpoch(t *testing.T) {
	var events loggedEvents
	l := &eventLog{events: &events, started: 1000}
	val := strictjson.Float(1.5)
	first := &runlog.Epoch{Phase: "pretrain", Step: 10, AvgLoss: 2, PPL: strictjson.Float(math.Exp(2)), AvgGradNorm: 3,
		LR: 4, SamplesPerSec: 5, TokensPerSec: 6, ElapsedSec: 0.5}
	second := *first
	second.Step, second.ElapsedSec, second.ValLoss = 20, 1, &val
	third := *first
	third.Phase, third.Step, third.ElapsedSec = "finetune", 5, 2
	for _, record := range []any{runlog.Run{}, first, &second, runlog.Sample{}, &third, runlog.End{}} {
		require.NoError(t, l.Observe(record))
	}
	scalars := map[string]float64{"train/loss": 2, "train/ppl": math.Exp(2), "train/grad_norm": 3,
		"train/learning_rate": 4, "train/samples_per_second": 5}
	withVal := maps.Clone(scalars)
	withVal["eval/loss"] = 1.5
	require.Equal(t, loggedEvents{{1000.5, 10, scalars}, {1001, 20, withVal}, {1002, 25, scalars}}, events,
		"steps count on through the phases")
}

func TestTrain_WritesOneEventFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "events")
	trained(t, "--pretrain-epochs=3", "--finetune-epochs=2", "--val-fraction=0.2", "--tensorboard="+dir)
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*.gogpt.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}
