package main

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveLoss is the definition: −Σ_v q_v log p_v of every target that counts, p the softmax of the logits.
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

func TestLossEqualsItsDefinition(t *testing.T) {
	rng := newRNG(1, checkStream)
	for _, smoothing := range []float64{0, 0.1, 0.9} {
		logits := randomFloats(rng, len(lossTargets)*11)
		scale(logits, 4)
		exact := inFloat64(logits)
		ce := CrossEntropy{smoothing: smoothing}
		got := ce.Forward(logits, lossTargets)
		require.Equal(t, 4, got.targets)
		want := naiveLoss(exact, lossTargets, 0)
		require.InDelta(t, want, got.plain, 1e-6*want, "the plain loss knows no smoothing")
		want = naiveLoss(exact, lossTargets, smoothing)
		require.InDelta(t, want, got.smoothed, 1e-6*want)
	}
}

func TestLossGradients(t *testing.T) {
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

// A common shift of the logits changes no probability, so the gradient of a row sums to zero.
func TestLossGradientOfARowSumsToZero(t *testing.T) {
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

func TestIgnoredTargetsCostAndTeachNothing(t *testing.T) {
	logits := []float32{1, 2, float32(math.NaN()), 7, 1, 2}
	ce := CrossEntropy{}
	loss := ce.Forward(logits, []int{ignored, 1})
	require.Equal(t, 1, loss.targets)
	require.True(t, finite(loss.plain), "an ignored row is not looked at")
	require.Equal(t, []float32{0, 0, 0}, ce.Backward(1)[:3])
	none := ce.Forward([]float32{1, 2, 3}, []int{ignored})
	require.True(t, math.IsNaN(none.mean()), "no target is no loss of 0")
}

func TestHugeLogitsDoNotOverflow(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		want   float64
	}{
		{[]float32{1e4, 0, -1e4}, 0}, {[]float32{0, 1e4, 0}, 1e4}, {[]float32{-1e4, -1e4}, math.Ln2}, {[]float32{3e38, -3e38}, 0},
	} {
		ce := CrossEntropy{}
		require.InDelta(t, c.want, ce.Forward(c.logits, []int{0}).plain, 1e-9)
		for _, d := range ce.Backward(1) {
			require.True(t, finite(float64(d)))
		}
	}
}

func TestNaNLogitsAreNotHidden(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		for at := range 9 {
			logits := randomFloats(newRNG(4, checkStream), 9)
			logits[at] = float32(x)
			ce := CrossEntropy{}
			require.False(t, finite(ce.Forward(logits, []int{2}).plain), "%g at %d", x, at)
			for _, d := range ce.Backward(1) {
				require.False(t, d == 0, "%g became a gradient of zero", x)
			}
		}
	}
}

// Two samples of 1 and 9 targets: the mean is over ten targets. A mean of the samples' means would count the one for nine.
func TestTheMeanIsOverTokensNotSamples(t *testing.T) {
	m := roughModel(oddConfig, 5)
	samples := randomSamples(oddConfig, newRNG(5, checkStream), 1, 9)
	one, nine := m.Loss(new(Batch).pack(samples[:1]), 0), m.Loss(new(Batch).pack(samples[1:]), 0)
	both := m.Loss(new(Batch).pack(samples), 0)
	require.InDelta(t, (one.plain+nine.plain)/10, both.mean(), 1e-12)
	require.Greater(t, math.Abs((one.mean()+nine.mean())/2-both.mean()), 0.01)
}

func TestUniformPredictionCostsTheLogarithmOfTheVocabulary(t *testing.T) {
	ce := CrossEntropy{smoothing: 0.3}
	loss := ce.Forward(make([]float32, 50), []int{7})
	require.InDelta(t, math.Log(50), loss.plain, 1e-12)
	require.InDelta(t, math.Log(50), loss.smoothed, 1e-12)
}
