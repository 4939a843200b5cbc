package runlog

import (
	"slices"
	"strings"

	"gogpt/internal/strictjson"
)

// Records: the lines of a log, each a JSON object. docs/log.md documents every field.

// Run is the first line of a log: what was run.
type Run struct {
	Event      string            `json:"event"`  // "run"
	Config     map[string]string `json:"config"` // every flag and its value
	Seed       uint64            `json:"seed"`
	Data       map[string]string `json:"data"` // SHA-256 of the data by phase, and of the file of --init-from
	Parameters int               `json:"parameters"`
	Vocab      int               `json:"vocab"`
	Kernel     string            `json:"kernel"`
	Version    string            `json:"version"`
	Numerics   int               `json:"numerics,omitempty"` // rises whenever a version computes other bits; 0: not known
	Program    string            `json:"program,omitempty"`  // SHA-256 of the executable, if it can be read
}

// Epoch is the line of one epoch. Losses are in nats per token.
type Epoch struct {
	Event         string                      `json:"event"` // "epoch"
	Phase         string                      `json:"phase"`
	Epoch         int                         `json:"epoch"`         // from 1
	Epochs        int                         `json:"epochs"`        // planned
	Step          int                         `json:"step"`          // optimizer steps of the phase so far
	AvgLoss       strictjson.Float            `json:"avg_loss"`      // training loss without label smoothing
	PPL           strictjson.Float            `json:"ppl"`           // perplexity, exp(AvgLoss)
	AvgGradNorm   strictjson.Float            `json:"avg_grad_norm"` // before clipping
	MaxGradNorm   *strictjson.Float           `json:"max_grad_norm,omitempty"`
	LR            strictjson.Float            `json:"lr"` // learning rate of the last step
	SamplesPerSec strictjson.Float            `json:"samples_per_sec"`
	TokensPerSec  strictjson.Float            `json:"tokens_per_sec"`
	ValLoss       *strictjson.Float           `json:"val_loss,omitempty"`      // nil without a validation split
	SmoothedLoss  *strictjson.Float           `json:"smoothed_loss,omitempty"` // nil without label smoothing
	BestLoss      strictjson.Float            `json:"best_loss"`               // lowest monitored loss so far
	Accum         int                         `json:"accum"`                   // micro-batches per step
	Frozen        []string                    `json:"frozen"`                  // names of the frozen tensors
	Cooldown      bool                        `json:"cooldown,omitempty"`      // after exhausted patience
	ClippedShare  strictjson.Float            `json:"clipped_share"`           // of the steps, from 0 to 1
	UpdateRatio   map[string]strictjson.Float `json:"update_ratio"`            // ‖Δw‖/‖w‖, last step, by tensor group
	ElapsedSec    strictjson.Float            `json:"elapsed_sec"`             // since the start of the run
}

// Monitored returns the loss that early stopping monitors: the validation loss if there is one, else the training loss.
func (r *Epoch) Monitored() float64 {
	if r.ValLoss != nil {
		return float64(*r.ValLoss)
	}
	return float64(r.AvgLoss)
}

// Steps is the line of a number of consecutive optimizer steps, all of one phase.
type Steps struct {
	Event        string           `json:"event"` // "steps"
	Phase        string           `json:"phase"`
	Step         int              `json:"step"`          // the last of them, from 1
	Steps        int              `json:"steps"`         // their number
	AvgLoss      strictjson.Float `json:"avg_loss"`      // training loss without label smoothing
	AvgGradNorm  strictjson.Float `json:"avg_grad_norm"` // before clipping
	MaxGradNorm  strictjson.Float `json:"max_grad_norm"`
	ClippedShare strictjson.Float `json:"clipped_share"` // of the steps, from 0 to 1
	LR           strictjson.Float `json:"lr"`            // learning rate of the last of them

	// ReleasedAfter is the step after which fewer tensors were frozen, the step before the first or one of the steps but
	// the last; 0: none.
	ReleasedAfter int `json:"released_after,omitempty"`
}

// Sample is the line of one sample: the continuation of a fixed prompt.
type Sample struct {
	Event  string `json:"event"` // "sample"
	Phase  string `json:"phase"`
	Epoch  int    `json:"epoch"` // the sample was made after it
	Prompt string `json:"prompt"`
	Text   string `json:"text"` // the greedy continuation
}

// AttnGradient is the line of one comparison of approximate gradients of attention with the exact gradient.
type AttnGradient struct {
	Event string         `json:"event"` // "attn_gradient"
	Phase string         `json:"phase"`
	Step  int            `json:"step"` // of the phase, from 1
	Rows  []GradDistance `json:"rows"` // by mode, then by tensor; WholeGradient first
}

// GradDistance is the distance of a gradient g of one tensor from a reference. The reference of an approximate gradient
// is the exact one, the reference of the exact gradient is the vector of central differences.
type GradDistance struct {
	Tensor    string           `json:"tensor"`
	Mode      string           `json:"mode"`       // of the backward pass that computed g
	RelErr    strictjson.Float `json:"rel_err"`    // ‖g − reference‖ / ‖reference‖
	Cosine    strictjson.Float `json:"cosine"`     // of the angle between both
	NormRatio strictjson.Float `json:"norm_ratio"` // ‖g‖ / ‖reference‖
}

// Health is the verdict of Judge on a phase: which of the three criteria it meets. The ratio of speeds is no criterion.
type Health struct {
	Verdict    string            `json:"verdict"`               // Healthy, Unhealthy or Unknown
	Loss       bool              `json:"loss"`                  // falls without an explosion
	Perplexity bool              `json:"perplexity"`            // is steady at the end
	GradNorm   bool              `json:"grad_norm"`             // does not rise much
	SpeedRatio *strictjson.Float `json:"speed_ratio,omitempty"` // median speed, last third to first third; nil: Unknown
	Speed      *bool             `json:"speed,omitempty"`       // a fourth criterion of older programs; only read
	text       string            // the verdict with its reasons; empty after reading a log
}

// The verdicts of Judge.
const (
	Healthy   = "healthy"   // all criteria are met
	Unhealthy = "unhealthy" // a criterion is not met
	Unknown   = "unknown"   // too few epochs
)

// End is the last line of a log: why and after what time the run ended.
type End struct {
	Event      string            `json:"event"`                         // "end"
	Reason     string            `json:"reason"`                        // Completed, EarlyStop, …
	Error      string            `json:"error,omitempty"`               // of a run that failed or diverged
	Heldout    *strictjson.Float `json:"heldout_loss,omitempty"`        // loss on held-out questions
	ExactMatch *strictjson.Float `json:"heldout_exact_match,omitempty"` // share of them answered word for word; 0…1
	Health     map[string]Health `json:"health"`                        // by phase
	ElapsedSec strictjson.Float  `json:"elapsed_sec"`                   // since the start of the run
}

// The reasons of an end.
const (
	Completed   = "completed"   // all planned epochs are done
	EarlyStop   = "early_stop"  // the patience is exhausted
	MaxSteps    = "max_steps"   // the limit of steps is reached
	Interrupted = "interrupted" // by a signal
	Diverged    = "diverged"    // a loss or a norm is not finite
	Failed      = "failed"      // another error, such as a log that cannot be written
)

// Groups shortens tensor names to the names of their layers, in order and each once: "h.0.mlp.c_fc.weight" to
// "h.0.mlp.c_fc". When both layers of an attention are listed, h.0.attn.c_attn and h.0.attn.c_proj, they become
// "h.0.attn".
func Groups(names []string) []string {
	listed := map[string]bool{}
	for _, name := range names {
		listed[withoutLast(name)] = true
	}
	var short []string
	for _, name := range names {
		group := withoutLast(name)
		if attn := withoutLast(group); listed[attn+".c_attn"] && listed[attn+".c_proj"] {
			group = attn
		}
		if !slices.Contains(short, group) {
			short = append(short, group)
		}
	}
	return short
}

// withoutLast returns a dotted name without its last part.
func withoutLast(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

// TensorGroups are the keys of Epoch.UpdateRatio, in the order in which reports show them.
var TensorGroups = []string{"embedding", "layernorm", "attention", "feedforward"}

// WholeGradient is the tensor name of a GradDistance over the gradients of all trained parameters as one vector.
const WholeGradient = "all parameters"
