package main

import "encoding/json"

// The lines of a log, each a JSON object.

// jsonFloat is a number that JSON can hold: NaN and infinities become null.
type jsonFloat float64

func (f jsonFloat) MarshalJSON() ([]byte, error) {
	if !finite(float64(f)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// runRecord is the first line of a log.
type runRecord struct {
	Event      string            `json:"event"`  // "run"
	Config     map[string]string `json:"config"` // every flag and its value
	Seed       uint64            `json:"seed"`
	Data       map[string]string `json:"data"` // SHA-256 of what each phase learns from
	Parameters int               `json:"parameters"`
	Vocab      int               `json:"vocab"`
	Kernel     string            `json:"kernel"`
	Version    string            `json:"version"`
}

// epochRecord is the line of one epoch.
type epochRecord struct {
	Event         string               `json:"event"` // "epoch"
	Phase         string               `json:"phase"`
	Epoch         int                  `json:"epoch"`  // from 1
	Epochs        int                  `json:"epochs"` // planned
	Step          int                  `json:"step"`   // optimizer steps of the phase so far
	AvgLoss       jsonFloat            `json:"avg_loss"`
	PPL           jsonFloat            `json:"ppl"`
	AvgGradNorm   jsonFloat            `json:"avg_grad_norm"` // before clipping
	LR            jsonFloat            `json:"lr"`            // of the last step
	SamplesPerSec jsonFloat            `json:"samples_per_sec"`
	TokensPerSec  jsonFloat            `json:"tokens_per_sec"`
	ValLoss       *jsonFloat           `json:"val_loss,omitempty"`
	SmoothedLoss  *jsonFloat           `json:"smoothed_loss,omitempty"`
	BestLoss      jsonFloat            `json:"best_loss"` // lowest monitored loss so far
	Accum         int                  `json:"accum"`
	Frozen        []string             `json:"frozen"`
	ClippedShare  jsonFloat            `json:"clipped_share"`
	UpdateRatio   map[string]jsonFloat `json:"update_ratio"` // ‖Δw‖/‖w‖ of the epoch's last step, by tensor group
	ElapsedSec    jsonFloat            `json:"elapsed_sec"`
}

// monitored is the loss that early stopping watches.
func (r *epochRecord) monitored() float64 {
	if r.ValLoss != nil {
		return float64(*r.ValLoss)
	}
	return float64(r.AvgLoss)
}

// health is the verdict on a phase.
type health struct {
	Verdict    string `json:"verdict"`    // "healthy", "unhealthy", or "unknown" with too few epochs
	Loss       bool   `json:"loss"`       // falls, without explosion
	Perplexity bool   `json:"perplexity"` // steady at the end
	GradNorm   bool   `json:"grad_norm"`  // not rising
	Speed      bool   `json:"speed"`      // kept
	text       string
}

func (h health) String() string { return h.text }

// endRecord is the last line of a log.
type endRecord struct {
	Event      string            `json:"event"` // "end"
	Reason     string            `json:"reason"`
	Error      string            `json:"error,omitempty"`
	Heldout    *jsonFloat        `json:"heldout_loss,omitempty"`
	Health     map[string]health `json:"health"` // by phase
	ElapsedSec jsonFloat         `json:"elapsed_sec"`
}
