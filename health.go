package main

import (
	"fmt"
	"slices"
	"strings"
)

// Whether a phase trained in good health, by four criteria on its epochs. Each has a limit with a name; none looks at
// what the model says.

const (
	explosionRise = 0.5  // nats above the lowest loss before it make an epoch's loss an explosion
	steadyFactor  = 1.25 // in the last third, the perplexity of an epoch may be this multiple of the one before
	normFactor    = 2.0  // the median gradient norm of the last third may be this multiple of the first third's
	speedFactor   = 0.5  // the median speed of the last third is at least this share of the first third's
	fewestEpochs  = 3    // that a verdict rests on
)

// judge applies the criteria. A NaN meets none of them.
func judge(records []*epochRecord) health {
	if len(records) < fewestEpochs {
		return health{Verdict: "unknown", text: fmt.Sprintf("unknown, fewer than %d epochs", fewestEpochs)}
	}
	third := (len(records) + 2) / 3
	first, last := records[:third], records[len(records)-third:]
	norm := func(r *epochRecord) float64 { return float64(r.AvgGradNorm) }
	speed := func(r *epochRecord) float64 { return float64(r.TokensPerSec) }
	start, end := float64(records[0].AvgLoss), float64(records[len(records)-1].AvgLoss)
	norms := medianOf(last, norm) / medianOf(first, norm)
	speeds := medianOf(last, speed) / medianOf(first, speed)
	h := health{
		Loss:       end < start && largestRise(records) <= explosionRise,
		Perplexity: steady(last),
		GradNorm:   norms <= normFactor,
		Speed:      speeds >= speedFactor,
	}
	h.Verdict = "unhealthy"
	if h.Loss && h.Perplexity && h.GradNorm && h.Speed {
		h.Verdict = "healthy"
	}
	h.text = strings.Join([]string{h.Verdict,
		fmt.Sprintf("loss %s (%.3f → %.3f)", okOrNot(h.Loss), start, end),
		fmt.Sprintf("perplexity %s (%.2f)", okOrNot(h.Perplexity), float64(records[len(records)-1].PPL)),
		fmt.Sprintf("gradient norm %s (last third %.2f × the first)", okOrNot(h.GradNorm), norms),
		fmt.Sprintf("speed %s (%.2f ×)", okOrNot(h.Speed), speeds)}, "; ")
	return h
}

func okOrNot(ok bool) string {
	if ok {
		return "ok"
	}
	return "NOT ok"
}

// largestRise is how far an epoch's loss rose above the lowest before it, in nats; NaN where a loss is NaN.
func largestRise(records []*epochRecord) float64 {
	lowest, rise := float64(records[0].AvgLoss), 0.0
	for _, r := range records[1:] {
		loss := float64(r.AvgLoss)
		rise = max(rise, loss-lowest)
		lowest = min(lowest, loss)
	}
	return rise
}

func steady(records []*epochRecord) bool {
	for i := 1; i < len(records); i++ {
		if !(records[i].PPL <= steadyFactor*records[i-1].PPL) {
			return false
		}
	}
	return true
}

func medianOf(records []*epochRecord, value func(*epochRecord) float64) float64 {
	var values []float64
	for _, r := range records {
		values = append(values, value(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
