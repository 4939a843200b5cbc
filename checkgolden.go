package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gogpt/internal/safetensors"
	"gogpt/internal/strictjson"
)

// A golden case is a GPT-2 that PyTorch computed in float64: weights, loss, logits, gradients, and a training run.
// The same case, computed here in float32, must agree within the limits of float32.

// The limits. The errors of PyTorch's own float32 are ten times smaller.
const (
	goldenLossLimit    = 2e-6 // loss at the start, logits
	goldenGradLimit    = 2e-5 // ‖a − b‖/‖b‖ of a gradient
	goldenRunLimit     = 5e-6 // gradient norm, loss of every step
	goldenTrainedLimit = 1e-3 // ‖a − b‖/‖b‖ of trained weights
)

const goldenParam = "param/" // before the name of a weight at the start

// goldenResult holds the errors of this program on a golden case.
type goldenResult struct {
	LossRelErr      strictjson.Float `json:"loss_rel_err"`
	LogitsRelErr    strictjson.Float `json:"logits_rel_err"`
	GradRelErr      strictjson.Float `json:"grad_rel_err"` // of the worst tensor
	WorstTensor     string           `json:"worst_tensor"`
	GradNormRelErr  strictjson.Float `json:"grad_norm_rel_err"`
	TrainLossRelErr strictjson.Float `json:"train_loss_rel_err"` // of the worst step
	TrainedRelErr   strictjson.Float `json:"trained_rel_err"`    // of the worst tensor
	GreedyEqual     bool             `json:"greedy_equal"`
	Worst           goldenFigure     `json:"worst"` // its error is the largest in relation to its limit
	OK              bool             `json:"ok"`
	ElapsedSec      strictjson.Float `json:"elapsed_sec"`
}

// goldenFigure is one error of a goldenResult.
type goldenFigure struct {
	What   string           `json:"what"` // e.g. "gradient of wte.weight"
	RelErr strictjson.Float `json:"rel_err"`
	Limit  strictjson.Float `json:"limit"`
}

// goldenCase is a case as loaded from its file.
type goldenCase struct {
	config    ModelConfig
	tensors   map[string]safetensors.Tensor
	batch     Batch
	prompt    []int // first two tokens of sequence 0
	smoothing float64
	loss      float64
	gradNorm  float64
	losses    []float64
	greedy    []int
	train     struct {
		Steps       int     `json:"steps"`
		LR          float64 `json:"lr"`
		Beta1       float64 `json:"beta1"`
		Beta2       float64 `json:"beta2"`
		Eps         float64 `json:"eps"`
		WeightDecay float64 `json:"weight_decay"`
		Clip        float64 `json:"clip"`
	}
}

// loadGolden reads a case from a safetensors file.
func loadGolden(path string) (*goldenCase, error) {
	file, err := safetensors.Load(path)
	if err != nil {
		return nil, err
	}
	g := &goldenCase{tensors: map[string]safetensors.Tensor{}}
	for _, t := range file.Tensors {
		g.tensors[t.Name] = t
	}
	if err = g.parse(file.Metadata); err == nil {
		err = checkShapes(g.config, file.Tensors, goldenParam)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// parse reads the metadata of a case. An error names the key at fault.
func (g *goldenCase) parse(meta map[string]string) error {
	var err error
	if g.config, err = parseModelConfig(meta["config"]); err != nil {
		return err
	}
	var sequences [][]int
	for _, field := range []struct {
		key string
		to  any
	}{{"sequences", &sequences}, {"label_smoothing", &g.smoothing}, {"loss", &g.loss}, {"grad_norm", &g.gradNorm},
		{"losses", &g.losses}, {"greedy", &g.greedy}, {"train", &g.train}} {
		if err := json.Unmarshal([]byte(meta[field.key]), field.to); err != nil {
			return fmt.Errorf("metadata %q: %w", field.key, err)
		}
	}
	if g.train.Beta1 != adamBeta1 || g.train.Eps != adamEps {
		return fmt.Errorf("metadata \"train\": beta1 %g and eps %g, expected %g and %g",
			g.train.Beta1, g.train.Eps, adamBeta1, adamEps)
	}
	if len(g.losses) != g.train.Steps {
		return fmt.Errorf("metadata \"losses\": %d values, expected %d, one per step", len(g.losses), g.train.Steps)
	}
	return g.pack(sequences)
}

// pack checks the sequences and makes the batch of them.
func (g *goldenCase) pack(sequences [][]int) error {
	for i, ids := range sequences {
		if len(ids) < 2 || len(ids) > g.config.Context+1 {
			return fmt.Errorf("metadata \"sequences\": sequence %d has %d tokens, expected 2 to %d",
				i, len(ids), g.config.Context+1)
		}
		g.batch.add(example{tokens: ids})
	}
	if len(sequences) == 0 {
		return errors.New(`metadata "sequences": empty, expected at least one sequence`)
	}
	for _, id := range slices.Concat(append(sequences, g.greedy)...) {
		if id < 0 || id >= g.config.Vocab {
			return fmt.Errorf("token id %d: expected 0 to %d, below vocab_size", id, g.config.Vocab-1)
		}
	}
	g.prompt = sequences[0][:2]
	return nil
}

// expected returns a tensor of the case. It must have size values.
func (g *goldenCase) expected(name string, size int) ([]float32, error) {
	t, ok := g.tensors[name]
	if !ok {
		return nil, fmt.Errorf("no tensor %q", name)
	}
	values, err := t.Floats()
	if err == nil && len(values) != size {
		err = fmt.Errorf("tensor %q has %d values, expected %d", name, len(values), size)
	}
	return values, err
}

// check computes the case with this program and compares the results.
func (g *goldenCase) check() (*goldenResult, error) {
	m := newLLM(g.config, newRNG(0, 0))
	for _, p := range m.Params() {
		w, err := g.expected(goldenParam+p.Name, len(p.W))
		if err != nil {
			return nil, err
		}
		copy(p.W, w)
	}
	continued, err := greedy(m, g.prompt, len(g.greedy)-len(g.prompt), ignored)
	r := &goldenResult{GreedyEqual: err == nil && slices.Equal(slices.Concat(g.prompt, continued), g.greedy)}
	if err := g.checkStart(m, r); err != nil {
		return nil, err
	}
	if err := g.checkRun(m, r); err != nil {
		return nil, err
	}
	r.Worst = slices.MaxFunc(r.figures(), func(a, b goldenFigure) int {
		return cmp.Compare(limitShare(a.RelErr, a.Limit), limitShare(b.RelErr, b.Limit))
	})
	r.OK = r.GreedyEqual && r.Worst.RelErr <= r.Worst.Limit
	return r, nil
}

// checkStart compares loss, logits and gradients at the initial weights.
func (g *goldenCase) checkStart(m *LLM, r *goldenResult) error {
	want, err := g.expected("logits/0", g.batch.Lengths[0]*g.config.Vocab)
	if err != nil {
		return err
	}
	logits := m.Forward(&g.batch)
	relErr, _, _ := compareVectors(inFloat64(logits[:len(want)]), inFloat64(want))
	r.LogitsRelErr = strictjson.Float(relErr)
	loss := m.Loss(&g.batch, g.smoothing)
	r.LossRelErr = relativeError(loss.smoothed/float64(loss.targets), g.loss)
	clearGrads(m.Params())
	m.Backward(1 / float64(loss.targets))
	for _, p := range m.Params() {
		want, err := g.expected("grad/"+p.Name, len(p.Grad))
		if err != nil {
			return err
		}
		got, expected, keys := withoutKeyBias(p.Name, p.Grad, want)
		relErr, _, _ := compareVectors(got, expected)
		for _, k := range keys {
			if !(math.Abs(k) < zeroLimit) {
				relErr = math.Inf(1)
			}
		}
		if math.IsNaN(relErr) {
			relErr = math.Inf(1)
		}
		if r.WorstTensor == "" || strictjson.Float(relErr) > r.GradRelErr {
			r.GradRelErr, r.WorstTensor = strictjson.Float(relErr), p.Name
		}
	}
	r.GradNormRelErr = relativeError(newAdam(m.Params(), 0, 0).GradNorm(), g.gradNorm)
	return nil
}

// checkRun repeats the training run and compares the loss of every step and the weights at the end.
func (g *goldenCase) checkRun(m *LLM, r *goldenResult) error {
	opt := newAdam(m.Params(), g.train.Beta2, g.train.WeightDecay)
	clearGrads(m.Params())
	for _, want := range g.losses {
		loss := m.Loss(&g.batch, g.smoothing)
		r.TrainLossRelErr = max(r.TrainLossRelErr, relativeError(loss.smoothed/float64(loss.targets), want))
		m.Backward(1 / float64(loss.targets))
		opt.Step(g.train.LR, clipFactor(opt.GradNorm(), g.train.Clip))
	}
	for _, p := range m.Params() {
		want, err := g.expected("trained/"+p.Name, len(p.W))
		if err != nil {
			return err
		}
		got, expected, keys := withoutKeyBias(p.Name, p.W, want)
		relErr, _, _ := compareVectors(got, expected)
		r.TrainedRelErr = max(r.TrainedRelErr, strictjson.Float(relErr)) // NaN stays NaN
		start := g.tensors[goldenParam+p.Name].Data
		for i, k := range keys { // rounding noise, which Adam moves by at most lr a step
			if !(math.Abs(k-float64(start[len(keys)+i])) <= float64(g.train.Steps)*g.train.LR) {
				r.TrainedRelErr = strictjson.Float(math.Inf(1))
			}
		}
	}
	return nil
}

// withoutKeyBias returns got and want in float64. Of the bias of c_attn it returns them without the key part, whose
// gradient is zero by theory, and the key part of got as keys.
func withoutKeyBias(name string, got, want []float32) (g, w, keys []float64) {
	g, w = inFloat64(got), inFloat64(want)
	if !strings.HasSuffix(name, ".c_attn.bias") {
		return g, w, nil
	}
	third := len(g) / qkvParts
	keys = slices.Clone(g[third : 2*third])
	return slices.Delete(g, third, 2*third), slices.Delete(w, third, 2*third), keys
}

// relativeError returns |got − want| / |want|.
func relativeError(got, want float64) strictjson.Float {
	return strictjson.Float(math.Abs(got-want) / math.Abs(want))
}

// figures lists the errors with their limits.
func (r *goldenResult) figures() []goldenFigure {
	return []goldenFigure{{"loss", r.LossRelErr, goldenLossLimit}, {"logits", r.LogitsRelErr, goldenLossLimit},
		{"gradient of " + r.WorstTensor, r.GradRelErr, goldenGradLimit}, {"gradient norm", r.GradNormRelErr, goldenRunLimit},
		{"training losses", r.TrainLossRelErr, goldenRunLimit}, {"trained weights", r.TrainedRelErr, goldenTrainedLimit}}
}

// String writes one line per figure.
func (r *goldenResult) String() string {
	var b strings.Builder
	for _, f := range r.figures() {
		fmt.Fprintf(&b, "%-40s relative error %.1e (limit %.0e)\n", f.What, f.RelErr, f.Limit)
	}
	return b.String() + "greedy continuation equal: " + strconv.FormatBool(r.GreedyEqual) + "\n"
}
