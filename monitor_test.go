package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNaNAndInfinityAreNullInJSON(t *testing.T) {
	text, err := json.Marshal([]jsonFloat{jsonFloat(math.NaN()), jsonFloat(math.Inf(1)), jsonFloat(math.Inf(-1)), 0.5, 1e-300})
	require.NoError(t, err)
	require.Equal(t, "[null,null,null,0.5,1e-300]", string(text))
}

// keysOf reads the keys of a JSON object.
func keysOf(t *testing.T, line []byte) (keys []string) {
	var object map[string]any
	require.NoError(t, json.Unmarshal(line, &object))
	for key := range object {
		keys = append(keys, key)
	}
	return keys
}

var epochKeys = []string{"event", "phase", "epoch", "epochs", "step", "avg_loss", "ppl", "avg_grad_norm", "lr", "samples_per_sec",
	"tokens_per_sec", "best_loss", "accum", "frozen", "clipped_share", "update_ratio", "elapsed_sec"}

func TestAnEpochIsALineOfTheLogAndOfTheTable(t *testing.T) {
	var out, log bytes.Buffer
	r := newTrial(t, func(c *Config, p *phase) { c.Pretrain.Epochs = 1 })
	r.monitor = newMonitor(&out, nil, &log, false)
	r.run(t)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.ElementsMatch(t, epochKeys, keysOf(t, log.Bytes()))

	log.Reset()
	r = newTrial(t, func(c *Config, p *phase) { c.Pretrain.Epochs, c.Smoothing, p.held = 1, 0.1, p.train.rows[:1] })
	r.monitor = newMonitor(&out, nil, &log, false)
	r.run(t)
	require.ElementsMatch(t, append([]string{"val_loss", "smoothed_loss"}, epochKeys...), keysOf(t, log.Bytes()))
	require.Contains(t, out.String(), "pretrain: 10 samples, 1 held out for validation, 1 epochs, 10 steps planned")
	require.Contains(t, out.String(), "   1/1     100% ")
}

func TestTheValidationLossIsMonitoredWhereThereIsOne(t *testing.T) {
	r := &epochRecord{AvgLoss: 2}
	require.Equal(t, 2.0, r.monitored())
	val := jsonFloat(3)
	r.ValLoss = &val
	require.Equal(t, 3.0, r.monitored())
}

func TestTheMonitoredLossIsThePlainOneUnderSmoothing(t *testing.T) {
	smoothed := jsonFloat(5)
	require.Equal(t, 2.0, (&epochRecord{AvgLoss: 2, SmoothedLoss: &smoothed}).monitored())
	r := newTrial(t, func(c *Config, _ *phase) { c.Smoothing = 0.3 })
	r.run(t)
	lowest := min(r.records()[0].AvgLoss, r.records()[1].AvgLoss)
	require.Equal(t, lowest, r.records()[1].BestLoss)
	require.NotEqual(t, lowest, *r.records()[1].SmoothedLoss)
}

func TestTheLiveLineIsForTerminalsOnlyAndIsTakenAway(t *testing.T) {
	var out, tty bytes.Buffer
	m := newMonitor(&out, nil, nil, true)
	m.live(1, 2, &epochSum{started: time.Now()})
	m.clearLive()
	require.Empty(t, out.String())

	m = newMonitor(&out, &tty, nil, false)
	m.clearLive()
	require.Empty(t, tty.String(), "nothing to take away yet")
	m.live(1, 2, &epochSum{started: time.Now(), done: 3, steps: 7})
	require.Contains(t, tty.String(), "epoch 1/2  step 3/7")
	require.NotContains(t, tty.String(), "\x1b[2m", "no colour")
	shown := tty.Len()
	m.live(1, 2, &epochSum{started: time.Now(), done: 4, steps: 7})
	require.Equal(t, shown, tty.Len(), "not more often than the interval")
	m.clearLive()
	require.True(t, strings.HasSuffix(tty.String(), "\r\x1b[K"))
	require.Empty(t, out.String())
}

func TestFrozenNamesAreShortInTheTable(t *testing.T) {
	require.Equal(t, "-", summarizeNames(nil))
	frozen := func(layers int, rests func(*Param) bool) string {
		m := newLLM(ModelConfig{Layers: layers, Heads: 1, Dim: 1, Hidden: 1, Context: 1, Vocab: 1}, newRNG(1, initStream))
		for _, p := range m.Params() {
			p.Frozen = rests(p)
		}
		return summarizeNames(frozenNames(m))
	}
	require.Equal(t, "h.0.attn, h.1.attn", frozen(2, isAttention))
	require.Equal(t, "h.0.attn.c_attn, h.1.attn.c_attn", frozen(2, isQKV), "W_O learns")
	require.Equal(t, "h.0.attn … h.4.attn (5)", frozen(5, isAttention))
	require.Equal(t, "wte, wpe", frozen(1, func(p *Param) bool { return paramGroup(p) == "embedding" }))
	require.Equal(t, "h.0.mlp.c_fc, h.0.mlp.c_proj", frozen(1, func(p *Param) bool { return paramGroup(p) == "feedforward" }))
}

func TestALogThatCannotBeWrittenEndsTheRun(t *testing.T) {
	r := newTrial(t, nil)
	r.monitor = newMonitor(new(bytes.Buffer), nil, &fullDisk{}, false)
	_, err := r.trainer.run(t.Context(), r.phase)
	require.ErrorContains(t, err, "log: no space left")
}

func TestTheEndTellsReasonHealthAndHeldOutLoss(t *testing.T) {
	var out, log bytes.Buffer
	m := newMonitor(&out, nil, &log, false)
	m.phases = []string{"pretrain"}
	m.history["pretrain"] = steadyRun()
	held := jsonFloat(2)
	require.NoError(t, m.end(endRecord{Reason: endMaxSteps, Heldout: &held}))
	require.Contains(t, out.String(), "health of pretrain: healthy")
	require.Contains(t, out.String(), "held-out questions: loss 2.0000, ppl 7.39")
	require.Contains(t, out.String(), "ended: max_steps after")
	require.ElementsMatch(t, []string{"event", "reason", "heldout_loss", "health", "elapsed_sec"}, keysOf(t, log.Bytes()))
	require.Contains(t, log.String(), `"health":{"pretrain":{"verdict":"healthy"`)
}

func TestTheEstimateFollowsThePaceOfTheLatestEpochs(t *testing.T) {
	m := newMonitor(new(bytes.Buffer), nil, nil, false)
	for epoch := 1; epoch <= 8; epoch++ { // two epochs of 100 s, then 10 s each
		elapsed := 100*min(epoch, 2) + 10*max(0, epoch-2)
		m.history["pretrain"] = append(m.history["pretrain"], &epochRecord{Phase: "pretrain", Epoch: epoch, Epochs: 20, left: 20 - epoch, ElapsedSec: jsonFloat(elapsed)})
	}
	require.Equal(t, "2m0s", m.eta(m.history["pretrain"][7]))
}

// tableColumn reads a column, counted from 0, of every line of a table that tells an epoch.
func tableColumn(table string, column int) (values []string) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 8 && strings.Contains(fields[0], "/") && strings.HasSuffix(fields[1], "%") {
			values = append(values, fields[column])
		}
	}
	return values
}

func TestMonitor_AnEstimateRestsOnTheEpochsOfItsPhaseAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // on a clock of its own, which stands but for Sleep
		var out bytes.Buffer
		m := newMonitor(&out, nil, nil, false)
		for _, p := range []struct {
			name string
			pace time.Duration
		}{{"pretrain", 100 * time.Second}, {"finetune", 10 * time.Second}} {
			m.phase(&phase{name: p.name, train: &dataset{}}, 4, nil)
			for epoch := 1; epoch <= 4; epoch++ {
				time.Sleep(p.pace)
				require.NoError(t, m.epoch(&epochRecord{Phase: p.name, Epoch: epoch, Epochs: 4, left: 4 - epoch}))
			}
		}
		require.Equal(t, []string{"5m0s", "3m20s", "1m40s", "0s", "30s", "20s", "10s", "0s"}, tableColumn(out.String(), 8))
	})
}

func TestMonitor_EveryPhaseHasAVerdictOfItsOwn(t *testing.T) {
	var out, log bytes.Buffer
	m := newMonitor(&out, nil, &log, false)
	for _, p := range []struct {
		name string
		last jsonFloat
	}{{"pretrain", 1}, {"finetune", 9}} {
		m.phase(&phase{name: p.name, train: &dataset{}}, 9, nil)
		records := steadyRun()
		records[8].AvgLoss = p.last
		for _, r := range records {
			r.Phase = p.name
			require.NoError(t, m.epoch(r))
		}
	}
	log.Reset()
	require.NoError(t, m.end(endRecord{Reason: endCompleted}))
	require.Contains(t, out.String(), "health of pretrain: healthy")
	require.Contains(t, out.String(), "health of finetune: unhealthy")
	var end endRecord
	require.NoError(t, json.Unmarshal(log.Bytes(), &end))
	require.Equal(t, "healthy", end.Health["pretrain"].Verdict)
	require.Equal(t, "unhealthy", end.Health["finetune"].Verdict)
}
