package main

import (
	"encoding/json"
	"fmt"
	"math"
)

// The lines of a log, each a JSON object: a run, then epochs with samples and comparisons of gradients between them, an end.

// jsonFloat is a number that JSON can hold: NaN and infinities become null.
type jsonFloat float64

func (f jsonFloat) MarshalJSON() ([]byte, error) {
	if !finite(float64(f)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

func (f *jsonFloat) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*f = jsonFloat(math.NaN())
		return nil
	}
	return json.Unmarshal(raw, (*float64)(f))
}

// orDash writes the number by a format, or a dash where there is none.
func (f jsonFloat) orDash(format string) string {
	if math.IsNaN(float64(f)) {
		return "-"
	}
	return fmt.Sprintf(format, float64(f))
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
	Program    string            `json:"program,omitempty"` // SHA-256 of the executable, where it can be read
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

	left int // epochs that are still planned
}

// monitored is the loss that early stopping watches.
func (r *epochRecord) monitored() float64 {
	if r.ValLoss != nil {
		return float64(*r.ValLoss)
	}
	return float64(r.AvgLoss)
}

// sampleRecord is the line of one sample: what the model makes of a fixed prompt.
type sampleRecord struct {
	Event  string `json:"event"` // "sample"
	Phase  string `json:"phase"`
	Epoch  int    `json:"epoch"` // after which it was taken
	Prompt string `json:"prompt"`
	Text   string `json:"text"` // the greedy continuation
}

// attnGradientRecord is the line of one comparison of the approximate attention backwards with the exact one.
type attnGradientRecord struct {
	Event string         `json:"event"` // "attn_gradient"
	Phase string         `json:"phase"`
	Step  int            `json:"step"` // of the phase, from 1
	Rows  []gradDistance `json:"rows"` // by mode, then by tensor; wholeGradient first
}

// gradDistance is how far one gradient is from another.
type gradDistance struct {
	Tensor    string    `json:"tensor"`
	Mode      string    `json:"mode"`
	RelErr    jsonFloat `json:"rel_err"`    // exact: against differences; else: distance to the exact gradient
	Cosine    jsonFloat `json:"cosine"`     // with the same vector
	NormRatio jsonFloat `json:"norm_ratio"` // ‖g‖ / ‖that vector‖
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
