package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
)

// trial is one phase of training of a tiny model.
type trial struct {
	*trainer
	cfg     Config
	phase   *phase
	monitor *monitor
}

// dataOf returns the training data of a trial's phase.
func dataOf(p *phase) *dataset { return p.train.(*dataset) }

// trialRows are ten rows of different lengths, all within the context of a trial.
var trialRows = func() (rows []string) {
	for i := range 10 {
		rows = append(rows, strings.Repeat("abc", i%4+1)+"xyz"[i%3:])
	}
	return rows
}()

// newTrial prepares a phase of two epochs on trialRows without early stopping. change, where given, changes it first.
func newTrial(t testing.TB, change func(*Config, *phase)) *trial {
	r := &trial{cfg: defaultConfig()}
	r.cfg.Model = ModelConfig{Layers: 1, Heads: 2, Dim: 16, Hidden: 16, Context: 32, Vocab: minVocabSize}
	r.cfg.Pretrain = PhaseConfig{Epochs: 2, LR: 1e-3, MinLR: -1, Accum: []int{1}}
	d := newDataset(byteTokenizer(t), &corpus{Rows: trialRows}, 32, false, true)
	d.seed, d.stream = r.cfg.Seed, pretrainOrder
	r.phase = &phase{name: "pretrain", train: d, stream: pretrainOrder, first: true}
	if change != nil {
		change(&r.cfg, r.phase)
	}
	r.phase.config = r.cfg.Pretrain
	m := newLLM(r.cfg.Model, newRNG(r.cfg.Seed, initStream))
	r.monitor = newMonitor(io.Discard, nil, nil, false)
	r.trainer = newTrainer(&r.cfg, m, r.monitor)
	if r.cfg.ClipLogits {
		r.beforePhase = clipLogits
	}
	if every := r.cfg.LogAttnGradient; every > 0 {
		compareAttentionEvery(every, r.trainer, func(record any) error { return r.monitor.write(record) })
	}
	return r
}

// train runs the phase with the trial's monitor.
func (r *trial) train() (reason string, err error) {
	r.trainer.monitor = r.monitor
	return r.trainer.run(context.Background(), r.phase)
}

func (r *trial) run(t testing.TB) string {
	reason, err := r.train()
	require.NoError(t, err)
	return reason
}

func (r *trial) records() []*runlog.Epoch { return r.monitor.history["pretrain"] }

// weights copies all weights of the model.
func (r *trial) weights() (s snapshot) {
	s.save(r.model.Params())
	return s
}

func TestTrain_LowersTheLoss(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Epochs, c.Pretrain.LR = 10, 1e-2 })
	require.Equal(t, runlog.Completed, r.run(t))
	records := r.records()
	require.Len(t, records, 10)
	require.InDelta(t, math.Log(minVocabSize), float64(records[0].AvgLoss), 2)
	require.Less(t, float64(records[9].AvgLoss), 0.6*float64(records[0].AvgLoss))
	require.Equal(t, math.Exp(float64(records[9].AvgLoss)), float64(records[9].PPL))
}

// stepAnEpoch is the calendar of a phase whose epochs have one step each.
func stepAnEpoch(epochs int) calendar {
	return newCalendar(epochs, func(int) int { return 1 }, 1, []int{1}, 0)
}

// stageAt returns the stage to which a step of a plan belongs.
func stageAt(plan []stage, step int) stage {
	at := 0
	for at+1 < len(plan) && plan[at+1].from <= step {
		at++
	}
	return plan[at]
}

// accumAt lists the accumulation of every step of a plan.
func accumAt(plan []stage, steps int) (accum []int) {
	for step := range steps {
		accum = append(accum, stageAt(plan, step).accum)
	}
	return accum
}

func TestPlan_AccumulationRampHasEqualShares(t *testing.T) {
	never := (&Config{}).freezePlan(calendar{}, true)
	for _, c := range []struct {
		epochs int
		want   []int // epochs with an accumulation of 1, 2 and 4
	}{{500, []int{167, 167, 166}}, {7, []int{3, 2, 2}}, {3, []int{1, 1, 1}}, {2, []int{1, 1, 0}}, {1, []int{1, 0, 0}}} {
		plan := newPlan(stepAnEpoch(c.epochs), c.epochs, []int{1, 2, 4}, never)
		count := map[int]int{}
		for _, n := range accumAt(plan, c.epochs) {
			count[n]++
		}
		require.Equal(t, c.want, []int{count[1], count[2], count[4]}, "%d epochs", c.epochs)
		require.True(t, slices.IsSortedFunc(plan, func(a, b stage) int { return a.accum - b.accum }))
	}
	require.Empty(t, newPlan(stepAnEpoch(0), 0, []int{1}, never))
	require.Len(t, newPlan(stepAnEpoch(9), 9, []int{3}, never), 1)
}

// A stage begins exactly where the ramp or the freezing changes, also where both change at once or a share has no
// epoch.
func TestPlan_StagesBeginWhereSomethingChanges(t *testing.T) {
	cfg := Config{Model: ModelConfig{Layers: 3}, Unfreeze: unfreezeLayered}
	for epochs := 1; epochs < 30; epochs++ {
		plan := newPlan(stepAnEpoch(epochs), epochs, []int{1, 2, 4}, cfg.freezePlan(stepAnEpoch(epochs), true))
		begins := map[int]bool{}
		for share := range 3 {
			begins[shareStart(share, 3, epochs)] = true
		}
		for share := range 4 {
			begins[shareStart(share, 4, epochs)] = true
		}
		var got []int
		for _, s := range plan {
			got = append(got, s.from)
		}
		for from := range epochs {
			require.Equal(t, begins[from], slices.Contains(got, from), "%d epochs, epoch %d", epochs, from+1)
		}
		require.Zero(t, got[0])
	}
}

func TestTrain_AnEpochsLossIsAMeanOverTokens(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.LR, c.Pretrain.Epochs = 1e-30, 1 })
	e := evaluator{model: r.model}
	whole := e.loss(r.phase.train.inOrder())
	ofSamples := 0.0
	for _, s := range dataOf(r.phase).rows {
		one := e.loss([]example{s})
		ofSamples += one.mean() / float64(len(dataOf(r.phase).rows))
	}
	r.run(t)
	require.InDelta(t, whole.mean(), float64(r.records()[0].AvgLoss), 1e-6)
	require.Greater(t, math.Abs(ofSamples-whole.mean()), 1e-4, "the two means must differ")
}

func TestTrain_AnEpochsLastStepIsWeightedByItsOwnTokens(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain.Accum, c.Pretrain.Epochs, c.Clip = []int{8}, 1, 0
		dataOf(p).rows = dataOf(p).rows[:3]
	})
	loss := r.model.Loss(new(Batch).pack(dataOf(r.phase).rows), 0)
	r.model.Backward(1 / float64(loss.targets))
	want := newAdam(r.model.Params(), 0, 0).GradNorm()
	r.run(t)
	require.Equal(t, 1, r.steps)
	require.InDelta(t, want, float64(r.records()[0].AvgGradNorm), 1e-5*want)
}

func TestTrain_AccumulatedMicroBatchesEqualOneBatch(t *testing.T) {
	accumulated := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Accum = []int{4} })
	batched := newTrial(t, func(c *Config, _ *phase) { c.Batch = 4 })
	require.Equal(t, runlog.Completed, accumulated.run(t))
	batched.run(t)
	require.Equal(t, 2*3, accumulated.steps, "10 samples make steps of 4, 4 and 2")
	require.Equal(t, 2*3, batched.steps)
	tokens := 0.
	for _, e := range dataOf(accumulated.phase).rows {
		tokens += float64(len(e.tokens) - 1)
	}
	for i := range accumulated.records() {
		a, b := accumulated.records()[i], batched.records()[i]
		require.InDelta(t, float64(b.AvgLoss), float64(a.AvgLoss), 1e-6)
		require.InDelta(t, float64(b.AvgGradNorm), float64(a.AvgGradNorm), 1e-5)
		require.InDelta(t, 10./tokens, float64(a.SamplesPerSec/a.TokensPerSec), 1e-9)
	}
}

func TestTrain_TakesThePlannedSteps(t *testing.T) {
	for _, accum := range [][]int{{1}, {3}, {1, 2, 4}} {
		for batch := 1; batch <= 3; batch++ {
			r := newTrial(t, func(c *Config, p *phase) {
				c.Pretrain.Accum, c.Pretrain.Epochs, c.Batch = accum, 5, batch
				p.train = seededDataset(t, mixedCorpus(), 8, 3)
			})
			r.run(t)
			require.Equal(t, r.schedule.planned, r.steps, "accum %v, batch %d", accum, batch)
			last := r.records()[4]
			require.InDelta(t, r.schedule.At(r.steps-1), float64(last.LR), 0)
		}
	}
}

func TestTrain_MaxStepsEndsThePhaseAndShortensTheSchedule(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.MaxSteps = 13 })
	require.Equal(t, runlog.MaxSteps, r.run(t))
	require.Equal(t, 13, r.steps)
	require.Equal(t, 13, r.schedule.planned)
	require.Equal(t, 13, r.records()[1].Step)
	require.NotEmpty(t, r.records()[1].UpdateRatio)
}

func TestTrain_AnInterruptedRunFinishesItsStep(t *testing.T) {
	r := newTrial(t, nil)
	before := r.weights()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	reason, err := r.trainer.run(ctx, r.phase)
	require.NoError(t, err)
	require.Equal(t, runlog.Interrupted, reason)
	require.Equal(t, 1, r.steps)
	require.NotEqual(t, before, r.weights(), "the step that was running is kept")
}

func TestTrain_PatienceZeroTrainsEveryEpoch(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Epochs, c.Pretrain.LR = 20, 1e-30 })
	require.Equal(t, runlog.Completed, r.run(t))
	require.Len(t, r.records(), 20)
}

func TestTrain_ExhaustedPatienceMovesToTheNextStage(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) {
		c.Pretrain = PhaseConfig{Epochs: 12, LR: 1e-30, MinLR: -1, Patience: 2, Accum: []int{1, 2, 4}}
	})
	require.Equal(t, runlog.EarlyStop, r.run(t))
	var accum []int
	for _, record := range r.records() {
		accum = append(accum, record.Accum)
	}
	require.Equal(t, []int{1, 1, 1, 2, 2, 2, 4, 4, 4}, accum,
		"the first epoch of a stage always improves; no stage is skipped")
}

func TestTrain_ANewStageCountsItsPatienceAnew(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) {
		c.Pretrain = PhaseConfig{Epochs: 12, LR: 1e-30, MinLR: -1, Patience: 4, Accum: []int{1, 2, 4}}
	})
	require.Equal(t, runlog.Completed, r.run(t))
	var accum []int
	for _, record := range r.records() {
		accum = append(accum, record.Accum)
	}
	require.Equal(t, []int{1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4}, accum,
		"three epochs without improvement in the stage before do not count")
}

// cooldownTrial changes a trial to exhaust its patience after three epochs of ten steps.
func cooldownTrial(c *Config, _ *phase) {
	c.Pretrain = PhaseConfig{Epochs: 12, LR: 1e-30, MinLR: -1, Patience: 2, Accum: []int{1}, Cooldown: 3}
}

func TestTrain_ACooldownFollowsExhaustedPatience(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		reason string
		epochs int // of the cooldown
		steps  int // of the phase
	}{
		{"as asked", func(*Config) {}, runlog.EarlyStop, 3, 60},
		{"no longer than the plan", func(c *Config) { c.Pretrain.Epochs = 5 }, runlog.EarlyStop, 2, 50},
		{"the plan is over", func(c *Config) { c.Pretrain.Epochs = 3 }, runlog.EarlyStop, 0, 30},
		{"no patience", func(c *Config) { c.Pretrain.Patience = 0 }, runlog.Completed, 0, 120},
		{"limited steps", func(c *Config) { c.MaxSteps = 45 }, runlog.MaxSteps, 2, 45},
		{"after the last stage", func(c *Config) { c.FreezeAttnEpochs = 6 }, runlog.EarlyStop, 3, 90},
	} {
		r := newTrial(t, func(cfg *Config, p *phase) {
			cooldownTrial(cfg, p)
			c.change(cfg)
		})
		require.Equal(t, c.reason, r.run(t), c.name)
		records := r.records()
		for i, record := range records {
			require.Equal(t, i >= len(records)-c.epochs, record.Cooldown, "%s: epoch %d", c.name, i+1)
		}
		last := records[len(records)-1]
		require.Equal(t, c.steps, last.Step, c.name)
		if c.epochs > 0 {
			require.InEpsilon(t, 1e-32, float64(last.LR), 1e-9, c.name)
		}
		embedding := r.stepper.opt.state[0]
		require.Equal(t, c.steps, embedding.t, "%s: the moments go on", c.name)
	}
}

func TestTrain_ACooldownIsCountedInTheProgress(t *testing.T) {
	var out bytes.Buffer
	r := newTrial(t, cooldownTrial)
	r.monitor.out = &out
	r.run(t)
	require.Equal(t, []string{"8%", "17%", "50%", "67%", "83%", "100%"}, tableColumn(out.String(), 1))
}

func TestTrain_ASecondPhaseBeginsWithoutTheCooldownOfTheFirst(t *testing.T) {
	r := newTrial(t, cooldownTrial)
	r.run(t)
	second := *r.phase
	second.name, second.first = "finetune", false
	_, err := r.trainer.run(context.Background(), &second)
	require.NoError(t, err)
	for i, record := range r.monitor.history["finetune"] {
		require.Equal(t, i >= 3, record.Cooldown, "epoch %d", i+1)
	}
}

// growing is a training set with one sample more in every epoch.
type growing []example

func (g growing) epoch(epoch int) []example { return g[:1+epoch] }
func (g growing) count(epoch int) int       { return 1 + epoch }
func (g growing) inOrder() []example        { return g }

func TestTrain_ACooldownReachesTheMinimumInItsLastStep(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain = PhaseConfig{Epochs: 12, LR: 1e-30, MinLR: -1, Patience: 2, Accum: []int{1, 2}, Cooldown: 2}
		c.MinDelta = 9 // epochs of other samples have another loss
		p.train = growing(dataOf(p).rows)
	})
	var rates []float64
	r.afterStep = func(_ int, result stepResult) error {
		rates = append(rates, result.lr)
		return nil
	}
	require.Equal(t, runlog.EarlyStop, r.run(t))
	require.Len(t, r.records(), 8, "three epochs of each stage and two of the cooldown")
	last := rates[len(rates)-8:] // seven and eight samples make four steps of two each
	for i, rate := range last {
		require.Equal(t, i == 7, rate < 1.01e-32, "step %d: %g", i+1, rate)
		require.InEpsilon(t, last[0]+(1e-32-last[0])*float64(i)/7, rate, 1e-9, "a straight line")
	}
}

// Patience may be exhausted in the planned epoch in which the next stage begins, before its step is reached: an earlier
// epoch of the data, with fewer samples, is trained in its place.
func TestTrain_ANewStageNeverRepeatsAnEpochOfThePlan(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain = PhaseConfig{Epochs: 7, LR: 1e-30, MinLR: -1, Patience: 1, Accum: []int{1, 2}}
		c.MinDelta = 9         // the first epoch of a stage improves, the second does not
		c.FreezeAttnSteps = 15 // the last step of the sixth epoch of the plan
		p.train = growing(dataOf(p).rows)
	})
	require.Equal(t, runlog.Completed, r.run(t))
	var frozen []int
	for _, record := range r.records() {
		frozen = append(frozen, len(record.Frozen))
	}
	require.Equal(t, []int{4, 4, 4, 4, 0}, frozen, "epochs 1, 2, 5, 6 and 7 of the plan")
}

// overfit changes a trial so that the training loss keeps falling while the validation loss rises again.
func overfit(c *Config, p *phase) {
	c.Pretrain.Epochs, c.Pretrain.LR, c.Pretrain.Patience = 40, 2e-2, 4
	p.held = []example{dataOf(p).rows[9]}
	p.held[0].tokens = slices.Clone(p.held[0].tokens)
	slices.Reverse(p.held[0].tokens)
	dataOf(p).rows = dataOf(p).rows[:2]
}

// At every normal end of a phase the model has the weights of the lowest validation loss, not the last ones.
func TestTrain_RestoresTheBestWeightsAtEveryNormalEnd(t *testing.T) {
	for _, end := range []struct {
		reason             string
		patience, maxSteps int
	}{{runlog.EarlyStop, 4, 0}, {runlog.Completed, 0, 0}, {runlog.MaxSteps, 0, 70}} {
		r := newTrial(t, func(c *Config, p *phase) {
			overfit(c, p)
			c.Pretrain.Patience, c.MaxSteps = end.patience, end.maxSteps
		})
		require.Equal(t, end.reason, r.run(t))
		records := r.records()
		best := slices.MinFunc(records, func(a, b *runlog.Epoch) int { return cmp.Compare(*a.ValLoss, *b.ValLoss) })
		last := records[len(records)-1]
		require.Less(t, float64(*best.ValLoss), float64(*last.ValLoss), "the last epoch must not be the best")
		require.Less(t, float64(last.AvgLoss), float64(best.AvgLoss), "the training loss must still fall")
		loss := r.eval.loss(r.phase.held)
		require.Equal(t, float64(*best.ValLoss), loss.mean(), end.reason)
		require.Equal(t, *best.ValLoss, last.BestLoss)
	}
}

func TestTrain_TheSameSeedGivesTheSameBits(t *testing.T) {
	train := func(seed uint64) snapshot {
		r := newTrial(t, func(c *Config, _ *phase) { c.Seed, c.Dropout = seed, 0.1 })
		r.run(t)
		return r.weights()
	}
	require.Equal(t, train(1), train(1))
	require.NotEqual(t, train(1), train(2))
}

func TestTrain_NamesATensorWithANaN(t *testing.T) {
	r := newTrial(t, nil)
	p := r.model.Params()[3]
	p.W[0] = float32(math.NaN())
	_, err := r.train()
	require.ErrorContains(t, err, "loss is NaN at step 1 of pretrain; first at fault: weights of "+p.Name)
}

func TestTrain_DivergenceNamesStepAndTensorAndRestoresTheWeights(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.LR = 1e38 })
	before := r.weights()
	_, err := r.train()
	var d *divergence
	require.True(t, errors.As(err, &d))
	require.Equal(t, r.steps, d.step)
	require.Greater(t, d.step, 1)
	require.Contains(t, err.Error(), "of pretrain")
	require.Equal(t, "output of h.0.attn", d.fault)
	require.Equal(t, before, r.weights())
}

func TestTrain_TheLastStepDivergesLikeAnyOther(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.LR, c.WeightDecay, c.MaxSteps = 1e38, 1e4, 1 })
	before := r.weights()
	_, err := r.train()
	require.ErrorContains(t, err, "a weight is not finite at step 1 of pretrain; first at fault: weights of wte.weight")
	require.Equal(t, before, r.weights())
}

// The gain of the final norm is 0, so every logit is 0 and the loss is ln V. The gradient with respect to that gain has
// the factors 3e38, from the target's embedding, and x̂ = √15, from an input with one entry that is not 0: it overflows
// float32.
func TestTrain_AGradientThatOverflowsBehindAFiniteLossDiverges(t *testing.T) {
	const input, target = 'a', 'b'
	r := newTrial(t, func(_ *Config, p *phase) { dataOf(p).rows = []example{{tokens: []int{input, target}}} })
	for _, p := range r.model.Params() {
		switch p.Name {
		case "wpe.weight", "ln_f.weight":
			clear(p.W)
		case "wte.weight":
			row := func(token int) []float32 { return p.W[token*r.cfg.Model.Dim:][:r.cfg.Model.Dim] }
			clear(row(input))
			clear(row(target))
			row(input)[0], row(target)[0] = 1, 3e38
		}
	}
	loss := r.model.Loss(new(Batch).pack(dataOf(r.phase).rows), 0)
	require.InDelta(t, math.Log(minVocabSize), loss.mean(), 1e-6)
	before := r.weights()
	_, err := r.train()
	require.ErrorContains(t, err, "gradient norm is +Inf at step 1 of pretrain; first at fault: gradient of ln_f.weight")
	require.Equal(t, before, r.weights())
}

// Once a step of these sizes has allocated its memory, later steps reuse it.
func TestTrain_ASteadyStepAllocatesNothing(t *testing.T) {
	cfg := defaultConfig()
	cfg.Dropout, cfg.Smoothing, cfg.WeightDecay = 0.1, 0.1, 0.1
	m := roughModel(threadedConfig, 9)
	s := newStepper(&cfg, m, "steady", 0)
	samples := randomSamples(threadedConfig, newRNG(9, checkStream), 33, 5, 18)
	for _, threads := range []int{1, 2} {
		withThreads(threads, func() {
			require.Zero(t, testing.AllocsPerRun(20, func() {
				_, err := s.take(1, samples, 1e-3)
				require.NoError(t, err)
			}), "%d threads", threads)
		})
	}
}
