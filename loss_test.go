package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/stats"
)

// naiveLoss is the definition: the sum of −Σ_v q_v log p_v over the targets that are not ignored, p the softmax of the
// logits, q the target distribution.
func naiveLoss(logits []float64, targets []int, smoothing float64) (total float64) {
	for t, row := range rowsOf(logits, len(targets)) {
		if targets[t] == ignored {
			continue
		}
		p := slices.Clone(row)
		softmaxFloat64(p)
		for v := range p {
			q := smoothing / float64(len(p))
			if v == targets[t] {
				q += 1 - smoothing
			}
			total -= q * math.Log(p[v])
		}
	}
	return total
}

var lossTargets = []int{3, 0, ignored, 10, 3}

func TestLoss_OfAUniformPredictionIsLnV(t *testing.T) {
	ce := CrossEntropy{smoothing: 0.3}
	loss := ce.Forward(make([]float32, 50), []int{7})
	require.InDelta(t, math.Log(50), loss.plain, 1e-12)
	require.InDelta(t, math.Log(50), loss.smoothed, 1e-12)
}

func TestLoss_EqualsItsDefinition(t *testing.T) {
	rng := newRNG(1, checkStream)
	for _, smoothing := range []float64{0, 0.1, 0.9} {
		logits := randomFloats(rng, len(lossTargets)*11)
		kernel.Scale(logits, 4)
		exact := inFloat64(logits)
		ce := CrossEntropy{smoothing: smoothing}
		got := ce.Forward(logits, lossTargets)
		require.Equal(t, 4, got.targets)
		want := naiveLoss(exact, lossTargets, 0)
		require.InDelta(t, want, got.plain, 1e-6*want, "the plain loss is without smoothing")
		want = naiveLoss(exact, lossTargets, smoothing)
		require.InDelta(t, want, got.smoothed, 1e-6*want)
	}
}

// Two samples of 1 and 9 targets: the mean is over ten targets. A mean of the samples' means would weight the single
// target of the first sample as much as all nine of the second.
func TestLoss_IsAMeanOverTokensNotSamples(t *testing.T) {
	m := roughModel(oddConfig, 5)
	samples := randomSamples(oddConfig, newRNG(5, checkStream), 1, 9)
	one, nine := m.Loss(new(Batch).pack(samples[:1]), 0), m.Loss(new(Batch).pack(samples[1:]), 0)
	both := m.Loss(new(Batch).pack(samples), 0)
	require.InDelta(t, (one.plain+nine.plain)/10, both.mean(), 1e-12)
	require.Greater(t, math.Abs((one.mean()+nine.mean())/2-both.mean()), 0.01)
}

func TestLoss_IgnoredTargetsCountForNothing(t *testing.T) {
	logits := []float32{1, 2, float32(math.NaN()), 7, 1, 2}
	ce := CrossEntropy{}
	loss := ce.Forward(logits, []int{ignored, 1})
	require.Equal(t, 1, loss.targets)
	require.True(t, stats.Finite(loss.plain), "the logits of an ignored target are not read")
	require.Equal(t, []float32{0, 0, 0}, ce.Backward(1)[:3])
	empty := ce.Forward([]float32{1, 2, 3}, []int{ignored})
	require.True(t, math.IsNaN(empty.mean()), "without targets the mean is not 0")
}

func TestLoss_GradientsEqualDifferences(t *testing.T) {
	rng := newRNG(2, checkStream)
	for _, smoothing := range []float64{0, 0.1} {
		logits := randomFloats(rng, len(lossTargets)*11)
		exact := inFloat64(logits)
		const weight = 1.0 / 4
		ce := CrossEntropy{smoothing: smoothing}
		ce.Forward(logits, lossTargets)
		fd := differencesOf(func() float64 { return weight * naiveLoss(exact, lossTargets, smoothing) }, exact)
		requireGradient(t, "logits", inFloat64(ce.Backward(weight)), fd)
	}
}

// Adding the same number to all logits of a row changes no probability, so the gradient of a row sums to zero.
func TestLoss_GradientOfARowSumsToZero(t *testing.T) {
	logits := randomFloats(newRNG(3, checkStream), len(lossTargets)*11)
	ce := CrossEntropy{smoothing: 0.1}
	ce.Forward(logits, lossTargets)
	for row, dl := range rowsOf(inFloat64(ce.Backward(1)), len(lossTargets)) {
		var total float64
		for _, d := range dl {
			total += d
		}
		require.InDelta(t, 0, total, 1e-6, "row %d", row)
	}
}

func TestLoss_GradientNormIsKnownBeforeTheBackwardPass(t *testing.T) {
	m := roughModel(oddConfig, 1)
	for _, smoothing := range []float64{0, 0.1} {
		b := randomBatch(oddConfig, newRNG(1, checkStream), 7, 3)
		b.Targets[2] = ignored
		m.Loss(b, smoothing)
		want := m.loss.gradNorm()
		var squares float64
		for _, d := range m.loss.Backward(1) {
			squares += float64(d) * float64(d)
		}
		require.InEpsilon(t, want*want, squares, 1e-5)
	}
}

// The gradient with respect to the logits has a norm of at most √(2/T): clipping it at 1 would never have an effect.
func TestLoss_LogitsGradientAloneNeverNeedsClipping(t *testing.T) {
	m := roughModel(oddConfig, 3)
	for _, p := range m.Params() {
		kernel.Scale(p.W, 3)
	}
	b := randomBatch(oddConfig, newRNG(3, checkStream), 13)
	meanGradients(m, b, 0)
	require.Greater(t, gradNormOf(m.Params()), 10.0)
	ce := CrossEntropy{}
	ce.Forward(m.Forward(b), b.Targets)
	dlogits := ce.Backward(1.0 / 13)
	require.LessOrEqual(t, math.Sqrt(kernel.SumSquares(dlogits)), math.Sqrt(2.0/13))
}

func TestLoss_HugeLogitsDoNotOverflow(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		want   float64
	}{
		{[]float32{1e4, 0, -1e4}, 0}, {[]float32{0, 1e4, 0}, 1e4},
		{[]float32{-1e4, -1e4}, math.Ln2}, {[]float32{3e38, -3e38}, 0},
	} {
		ce := CrossEntropy{}
		require.InDelta(t, c.want, ce.Forward(c.logits, []int{0}).plain, 1e-9)
		for _, d := range ce.Backward(1) {
			require.True(t, stats.Finite(float64(d)))
		}
	}
}

func TestLoss_NaNLogitsStayVisible(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		for at := range 9 {
			logits := randomFloats(newRNG(4, checkStream), 9)
			logits[at] = float32(x)
			ce := CrossEntropy{}
			require.False(t, stats.Finite(ce.Forward(logits, []int{2}).plain), "%g at %d", x, at)
			for _, d := range ce.Backward(1) {
				require.False(t, d == 0, "%g became a gradient of zero", x)
			}
		}
	}
}
