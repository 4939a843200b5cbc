package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// trial is one phase of training of a tiny model.
type trial struct {
	*trainer
	cfg   Config
	phase *phase
}

// trialRows are ten rows of different lengths, all within the context of a trial.
var trialRows = func() (rows []string) {
	for i := range 10 {
		rows = append(rows, strings.Repeat("abc", i%4+1)+"xyz"[i%3:])
	}
	return rows
}()

// newTrial prepares a phase of two epochs on trialRows, without early stopping, unless change says otherwise.
func newTrial(t testing.TB, change func(*Config, *phase)) *trial {
	r := &trial{cfg: defaultConfig()}
	r.cfg.Model = ModelConfig{Layers: 1, Heads: 2, Dim: 16, Hidden: 16, Context: 32, Vocab: minVocabSize}
	r.cfg.Pretrain = PhaseConfig{Epochs: 2, LR: 1e-3, MinLR: -1, Accum: []int{1}}
	d := newDataset(byteTokenizer(t), &corpus{Rows: trialRows}, 32, false, true)
	d.seed, d.stream = r.cfg.Seed, pretrainOrder
	r.phase = &phase{name: "pretrain", train: d, first: true}
	if change != nil {
		change(&r.cfg, r.phase)
	}
	r.phase.config = r.cfg.Pretrain
	m := newLLM(r.cfg.Model, newRNG(r.cfg.Seed, initStream))
	r.trainer = newTrainer(&r.cfg, m, newMonitor(io.Discard, nil, nil, false))
	return r
}

func (r *trial) run(t testing.TB) string {
	reason, err := r.trainer.run(context.Background(), r.phase)
	require.NoError(t, err)
	return reason
}

func (r *trial) records() []*epochRecord { return r.monitor.history["pretrain"] }

// weights copies all weights of the model.
func (r *trial) weights() (s snapshot) {
	s.take(r.model.Params())
	return s
}

func TestTrainingLowersTheLoss(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Epochs, c.Pretrain.LR = 10, 1e-2 })
	require.Equal(t, endCompleted, r.run(t))
	records := r.records()
	require.Len(t, records, 10)
	require.InDelta(t, math.Log(minVocabSize), float64(records[0].AvgLoss), 2)
	require.Less(t, float64(records[9].AvgLoss), 0.6*float64(records[0].AvgLoss))
	require.Equal(t, math.Exp(float64(records[9].AvgLoss)), float64(records[9].PPL))
}

func TestTheEpochsMeanWeighsTokensNotSamples(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.LR, c.Pretrain.Epochs = 1e-30, 1 })
	e := evaluator{model: r.model}
	whole := e.loss(r.phase.train.inOrder())
	ofSamples := 0.0
	for _, s := range r.phase.train.rows {
		one := e.loss([]example{s})
		ofSamples += one.mean() / float64(len(r.phase.train.rows))
	}
	r.run(t)
	require.InDelta(t, whole.mean(), float64(r.records()[0].AvgLoss), 1e-6)
	require.Greater(t, math.Abs(ofSamples-whole.mean()), 1e-4, "the test must tell the two means apart")
}

func TestAccumulatedMicroBatchesEqualOneBatch(t *testing.T) {
	accumulated := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Accum = []int{4} })
	batched := newTrial(t, func(c *Config, _ *phase) { c.Batch = 4 })
	require.Equal(t, endCompleted, accumulated.run(t))
	batched.run(t)
	require.Equal(t, 2*3, accumulated.step, "10 samples are steps of 4, 4 and the tail of 2")
	require.Equal(t, 2*3, batched.step)
	tokens := 0.
	for _, e := range accumulated.phase.train.rows {
		tokens += float64(len(e.tokens) - 1)
	}
	for i := range accumulated.records() {
		a, b := accumulated.records()[i], batched.records()[i]
		require.InDelta(t, float64(b.AvgLoss), float64(a.AvgLoss), 1e-6)
		require.InDelta(t, float64(b.AvgGradNorm), float64(a.AvgGradNorm), 1e-5)
		require.InDelta(t, 10./tokens, float64(a.SamplesPerSec/a.TokensPerSec), 1e-9)
	}
}

func TestTheTailOfAnEpochIsWeighedByItsOwnTokens(t *testing.T) {
	r := newTrial(t, func(c *Config, p *phase) {
		c.Pretrain.Accum, c.Pretrain.Epochs, c.Clip = []int{8}, 1, 0
		p.train.rows = p.train.rows[:3]
	})
	loss := r.model.Loss(new(Batch).pack(r.phase.train.rows), 0)
	r.model.Backward(1 / float64(loss.targets))
	want := newAdam(r.model.Params(), 0, 0).GradNorm()
	r.run(t)
	require.Equal(t, 1, r.step)
	require.InDelta(t, want, float64(r.records()[0].AvgGradNorm), 1e-5*want)
}

func TestPlannedStepsAreTheStepsTaken(t *testing.T) {
	for _, accum := range [][]int{{1}, {3}, {1, 2, 4}} {
		for batch := 1; batch <= 3; batch++ {
			r := newTrial(t, func(c *Config, p *phase) {
				c.Pretrain.Accum, c.Pretrain.Epochs, c.Batch = accum, 5, batch
				p.train = seededDataset(t, mixedCorpus(), 8, 3)
			})
			r.run(t)
			require.Equal(t, r.schedule.planned, r.step, "accum %v, batch %d", accum, batch)
			last := r.records()[4]
			require.InDelta(t, r.schedule.At(r.step-1), float64(last.LR), 0)
		}
	}
}

func TestMaxStepsEndsThePhaseAndShortensTheSchedule(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.MaxSteps = 13 })
	require.Equal(t, endMaxSteps, r.run(t))
	require.Equal(t, 13, r.step)
	require.Equal(t, 13, r.schedule.planned)
	require.Equal(t, 13, r.records()[1].Step)
	require.NotEmpty(t, r.records()[1].UpdateRatio)
}

func TestInterruptionEndsAfterTheStepAtWork(t *testing.T) {
	r := newTrial(t, nil)
	before := r.weights()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	reason, err := r.trainer.run(ctx, r.phase)
	require.NoError(t, err)
	require.Equal(t, endInterrupted, reason)
	require.Equal(t, 1, r.step)
	require.NotEqual(t, before, r.weights(), "the work since the last epoch is kept")
}

func TestDivergenceNamesStepAndTensorAndPutsWeightsBack(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.LR = 1e38 })
	before := r.weights()
	_, err := r.trainer.run(context.Background(), r.phase)
	var d *divergence
	require.True(t, errors.As(err, &d))
	require.Equal(t, r.step, d.step)
	require.Greater(t, d.step, 1)
	require.Contains(t, err.Error(), "of pretrain")
	require.Equal(t, "output of h.0.attn", d.fault)
	require.Equal(t, before, r.weights())
}

func TestTheLastStepDivergesLikeAnyOther(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.LR, c.WeightDecay, c.MaxSteps = 1e38, 1e4, 1 })
	before := r.weights()
	_, err := r.trainer.run(context.Background(), r.phase)
	require.ErrorContains(t, err, "a weight is not finite at step 1 of pretrain; first at fault: weights of wte.weight")
	require.Equal(t, before, r.weights())
}

func TestTheEstimateKnowsWhereThePlanEnds(t *testing.T) {
	for maxSteps, want := range map[int][]int{20: {1, 0}, 21: {2, 1, 0}, 24: {2, 1, 0}, 30: {2, 1, 0}} { // ten steps an epoch
		r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Epochs, c.MaxSteps = 9, maxSteps })
		require.Equal(t, endMaxSteps, r.run(t))
		var left []int
		for _, record := range r.records() {
			left = append(left, record.left)
		}
		require.Equal(t, want, left, "%d steps", maxSteps)
	}
}

func TestANaNInTheWeightsIsNamed(t *testing.T) {
	r := newTrial(t, nil)
	r.model.Params()[3].W[0] = float32(math.NaN())
	_, err := r.trainer.run(context.Background(), r.phase)
	require.ErrorContains(t, err, "loss is NaN at step 1 of pretrain; first at fault: weights of "+r.model.Params()[3].Name)
}

// The gain of the last norm is 0, so every logit is 0 and the loss is ln V. The gradient of that gain is the target's
// embedding, 3e38, times x̂ = √15 of a row with a single entry: more than float32 holds.
func TestTrain_AGradientThatOverflowsBehindAFiniteLossDiverges(t *testing.T) {
	const input, target = 'a', 'b'
	r := newTrial(t, func(_ *Config, p *phase) { p.train.rows = []example{{tokens: []int{input, target}}} })
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
	loss := r.model.Loss(new(Batch).pack(r.phase.train.rows), 0)
	require.InDelta(t, math.Log(minVocabSize), loss.mean(), 1e-6)
	before := r.weights()
	_, err := r.trainer.run(context.Background(), r.phase)
	require.ErrorContains(t, err, "gradient norm is +Inf at step 1 of pretrain; first at fault: gradient of ln_f.weight")
	require.Equal(t, before, r.weights())
}

// overfit lets a tiny model learn one text by heart while another, held out, gets worse.
func overfit(c *Config, p *phase) {
	c.Pretrain.Epochs, c.Pretrain.LR, c.Pretrain.Patience = 40, 2e-2, 4
	p.held = []example{p.train.rows[9]}
	p.held[0].tokens = slices.Clone(p.held[0].tokens)
	slices.Reverse(p.held[0].tokens)
	p.train.rows = p.train.rows[:2]
}

// Whatever ends a phase well, the model holds the weights of the lowest validation loss, not the last ones.
func TestTrain_PutsTheBestWeightsBackAtEveryNormalEnd(t *testing.T) {
	for _, end := range []struct {
		reason             string
		patience, maxSteps int
	}{{endEarlyStop, 4, 0}, {endCompleted, 0, 0}, {endMaxSteps, 0, 70}} {
		r := newTrial(t, func(c *Config, p *phase) {
			overfit(c, p)
			c.Pretrain.Patience, c.MaxSteps = end.patience, end.maxSteps
		})
		require.Equal(t, end.reason, r.run(t))
		records := r.records()
		best := slices.MinFunc(records, func(a, b *epochRecord) int { return cmp.Compare(*a.ValLoss, *b.ValLoss) })
		last := records[len(records)-1]
		require.Less(t, float64(*best.ValLoss), float64(*last.ValLoss), "the last epoch must not be the best")
		require.Less(t, float64(last.AvgLoss), float64(best.AvgLoss), "training loss would choose the last")
		loss := r.eval.loss(r.phase.held)
		require.Equal(t, float64(*best.ValLoss), loss.mean(), end.reason)
		require.Equal(t, *best.ValLoss, last.BestLoss)
	}
}

func TestExhaustedPatienceMovesToTheNextStageAndStopsInTheLast(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) {
		c.Pretrain = PhaseConfig{Epochs: 12, LR: 1e-30, MinLR: -1, Patience: 2, Accum: []int{1, 2, 4}}
	})
	require.Equal(t, endEarlyStop, r.run(t))
	var accum []int
	for _, record := range r.records() {
		accum = append(accum, record.Accum)
	}
	require.Equal(t, []int{1, 1, 1, 2, 2, 4, 4}, accum, "the first epoch improves on none; no stage is skipped")
}

func TestAStageOfTheCalendarCountsItsPatienceAnew(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) {
		c.Pretrain = PhaseConfig{Epochs: 9, LR: 1e-30, MinLR: -1, Patience: 3, Accum: []int{1, 2, 4}}
	})
	require.Equal(t, endEarlyStop, r.run(t))
	var accum []int
	for _, record := range r.records() {
		accum = append(accum, record.Accum)
	}
	require.Equal(t, []int{1, 1, 1, 2, 2, 2, 4, 4, 4}, accum, "two epochs without improvement in the stage before do not count")
}

func TestPatienceZeroTrainsEveryEpoch(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Pretrain.Epochs, c.Pretrain.LR = 20, 1e-30 })
	require.Equal(t, endCompleted, r.run(t))
	require.Len(t, r.records(), 20)
}

func TestClippingAndSmoothingAreRecorded(t *testing.T) {
	r := newTrial(t, func(c *Config, _ *phase) { c.Clip, c.Smoothing = 1e-3, 0.1 })
	r.run(t)
	record := r.records()[0]
	require.Equal(t, 1.0, float64(record.ClippedShare))
	require.Greater(t, float64(record.AvgGradNorm), 1e-3, "the norm before clipping")
	require.NotEqual(t, record.AvgLoss, *record.SmoothedLoss)
	require.Equal(t, math.Exp(float64(record.AvgLoss)), float64(record.PPL), "of the plain loss")
	r = newTrial(t, func(c *Config, _ *phase) { c.Clip = 0 })
	r.run(t)
	require.Zero(t, r.records()[0].ClippedShare)
	require.Nil(t, r.records()[0].SmoothedLoss)
}

func TestTheSameSeedTrainsTheSameBits(t *testing.T) {
	train := func(seed uint64) snapshot {
		r := newTrial(t, func(c *Config, _ *phase) { c.Seed, c.Dropout = seed, 0.1 })
		r.run(t)
		return r.weights()
	}
	require.Equal(t, train(1), train(1))
	require.NotEqual(t, train(1), train(2))
}
