package runlog

import (
	"fmt"
	"strings"

	"gogpt/internal/stats"
	"gogpt/internal/strictjson"
)

// Health: whether a phase trained well, by three criteria on its epochs. Speed is compared but not judged: it depends
// on what else the machine does.

const (
	explosionRise = 0.5  // nats: a loss that rises more above the lowest loss before it is an explosion
	steadyFactor  = 1.25 // limit of the ratio of an epoch's perplexity to the one before, in the last third
	normFactor    = 2.0  // limit of the ratio of median gradient norms, last third to first third
	fewestEpochs  = 3    // that allow a verdict
)

// Judge returns the verdict on the epochs of a phase. A criterion over a NaN is not met.
//
//	loss           the last is below the first, and none rises more than explosionRise above the lowest before it
//	perplexity     in the last third, none exceeds steadyFactor times the one before
//	gradient norm  the median of the last third is at most normFactor times that of the first third
func Judge(records []*Epoch) Health {
	if len(records) < fewestEpochs {
		return Health{Verdict: Unknown, text: fmt.Sprintf("unknown, fewer than %d epochs", fewestEpochs)}
	}
	third := (len(records) + 2) / 3
	first, last := records[:third], records[len(records)-third:]
	norm := func(r *Epoch) float64 { return float64(r.AvgGradNorm) }
	speed := func(r *Epoch) float64 { return float64(r.TokensPerSec) }
	start, end := float64(records[0].AvgLoss), float64(records[len(records)-1].AvgLoss)
	norms := MedianOf(last, norm) / MedianOf(first, norm)
	speeds := strictjson.Float(MedianOf(last, speed) / MedianOf(first, speed))
	h := Health{
		Loss:       end < start && largestRise(records) <= explosionRise,
		Perplexity: steady(records[len(records)-third-1:]),
		GradNorm:   norms <= normFactor,
		SpeedRatio: &speeds,
	}
	h.Verdict = Unhealthy
	if h.Loss && h.Perplexity && h.GradNorm {
		h.Verdict = Healthy
	}
	h.text = strings.Join([]string{h.Verdict,
		fmt.Sprintf("loss %s (%.3f → %.3f)", okOrNot(h.Loss), start, end),
		fmt.Sprintf("perplexity %s (%.2f)", okOrNot(h.Perplexity), float64(records[len(records)-1].PPL)),
		fmt.Sprintf("gradient norm %s (last third %.2f × the first)", okOrNot(h.GradNorm), norms),
		fmt.Sprintf("speed %.2f ×", speeds)}, "; ")
	return h
}

// String returns the verdict with its reasons, in one line. It is empty for a Health that was read from a log.
func (h Health) String() string { return h.text }

// okOrNot returns how String writes whether a criterion is met.
func okOrNot(ok bool) string {
	if ok {
		return "ok"
	}
	return "NOT ok"
}

// largestRise returns the largest rise of a loss above the lowest before it, in nats, or NaN when a loss is NaN.
func largestRise(records []*Epoch) float64 {
	lowest, rise := float64(records[0].AvgLoss), 0.0
	for _, r := range records[1:] {
		loss := float64(r.AvgLoss)
		rise = max(rise, loss-lowest)
		lowest = min(lowest, loss)
	}
	return rise
}

// steady reports whether no perplexity after the first exceeds steadyFactor times the one before.
func steady(records []*Epoch) bool {
	for i := 1; i < len(records); i++ {
		if !(records[i].PPL <= steadyFactor*records[i-1].PPL) {
			return false
		}
	}
	return true
}

// MedianOf returns the median of one value of each record.
func MedianOf(records []*Epoch, value func(*Epoch) float64) float64 {
	var values []float64
	for _, r := range records {
		values = append(values, value(r))
	}
	return stats.Median(values)
}
