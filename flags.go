package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// The flags of training, each bound to its place in the configuration, whose values are their defaults.

// runFlags is what the train command takes beyond the configuration.
type runFlags struct {
	quick         bool
	noInteractive bool
	save          string
	checkpointDir string
	logJSON       string
	report        string
	tensorboard   string
}

// modelFlags binds the sizes of the model.
func modelFlags(fs *flag.FlagSet, m *ModelConfig) {
	fs.IntVar(&m.Layers, "layers", m.Layers, "transformer blocks")
	fs.IntVar(&m.Heads, "heads", m.Heads, "attention heads a block; divides dim")
	fs.IntVar(&m.Dim, "dim", m.Dim, "channels of the residual stream")
	fs.IntVar(&m.Hidden, "hidden", m.Hidden, "channels inside the feed-forward")
	fs.IntVar(&m.Context, "context", m.Context, "longest sequence in tokens")
	fs.IntVar(&m.Vocab, "vocab-size", m.Vocab, "largest vocabulary, bytes and special tokens included")
}

// commonFlags binds what every command that computes takes.
func commonFlags(fs *flag.FlagSet, c *Config) {
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "seed of everything random")
	fs.IntVar(&c.Threads, "threads", c.Threads, "threads; the result is the same for any number")
}

// dataFlags binds where the text comes from and how it is cut.
func dataFlags(fs *flag.FlagSet, c *Config) {
	fs.StringVar(&c.PretrainData, "pretrain-data", c.PretrainData, "pretraining `FILE` or folder (.json, .jsonl, .txt); default: the built-in sentences")
	fs.StringVar(&c.ChatData, "chat-data", c.ChatData, "instruction-tuning `FILE` or folder of {\"user\",\"assistant\"} pairs; default: the built-in pairs")
	fs.StringVar(&c.Tokenizer, "tokenizer", c.Tokenizer, "`bpe` (byte-level merges) or char (whole characters)")
}

// trainFlags binds every flag of the train command.
func trainFlags(fs *flag.FlagSet, c *Config, r *runFlags) {
	fs.BoolVar(&r.quick, "quick", r.quick, "pretraining only: 30 epochs, patience 10; flags beside it win")
	fs.BoolVar(&r.noInteractive, "no-interactive", r.noInteractive, "never read standard input, never ask")
	fs.StringVar(&r.save, "save", r.save, "write the trained model to `FILE` (safetensors)")
	fs.StringVar(&r.checkpointDir, "checkpoint-dir", r.checkpointDir, "write the model after each phase into `DIR`")
	fs.StringVar(&r.logJSON, "log-json", r.logJSON, "write one JSON line an epoch to `FILE`")
	fs.StringVar(&r.report, "report", r.report, "write a page with the run's curves to `FILE.html` at its end")
	fs.StringVar(&r.tensorboard, "tensorboard", r.tensorboard, "write an event file for TensorBoard into `DIR`")
	configFlags(fs, c)
}

// configFlags binds the configuration.
func configFlags(fs *flag.FlagSet, c *Config) {
	commonFlags(fs, c)
	modelFlags(fs, &c.Model)
	dataFlags(fs, c)
	fs.Float64Var(&c.ValFraction, "val-fraction", c.ValFraction, "share of the samples held out for validation")
	fs.BoolVar(&c.TrainOnAll, "train-on-all", c.TrainOnAll, "tuning counts the user's tokens too, not only the answers")
	planFlags(fs, "pretrain-epochs", "", "pretraining", &c.Pretrain)
	fs.Func("min-lr", "learning `rate` at the end of a pretraining cosine cycle (default lr/100)", func(s string) (err error) {
		if c.Pretrain.MinLR, err = strconv.ParseFloat(s, 64); err == nil && !(c.Pretrain.MinLR >= 0) {
			err = fmt.Errorf("takes a finite number of at least 0")
		}
		return err
	})
	planFlags(fs, "finetune-epochs", "finetune-", "tuning", &c.Finetune)
	fs.IntVar(&c.Batch, "batch", c.Batch, "samples a micro-batch")
	fs.Float64Var(&c.Clip, "clip", c.Clip, "limit of the global gradient norm; 0: off")
	fs.BoolVar(&c.ClipLogits, "clip-logits", c.ClipLogits, "for ablate only: --clip bounds the gradient by the logits instead of the parameters'")
	fs.Float64Var(&c.WeightDecay, "weight-decay", c.WeightDecay, "decoupled weight decay of matrices")
	fs.Float64Var(&c.Beta2, "beta2", c.Beta2, "Adam's decay of squared gradients")
	fs.IntVar(&c.Warmup, "warmup-steps", c.Warmup, "steps of linear warm-up at the start of a phase")
	fs.IntVar(&c.MaxSteps, "max-steps", c.MaxSteps, "optimizer steps a phase at the most; 0: no limit")
	fs.Float64Var(&c.Smoothing, "label-smoothing", c.Smoothing, "label smoothing of the training loss")
	fs.Float64Var(&c.Dropout, "dropout", c.Dropout, "share of activations dropped in training")
	fs.Var(&c.Backward, "attn-backward", "backward pass of attention, a `MODE`: exact, straight-through or stop-gradient")
	fs.IntVar(&c.LogAttnGradient, "log-attn-gradient", c.LogAttnGradient, "compare the attention backwards every `N` steps, in the log and the report")
	fs.BoolVar(&c.FreezeAttn, "freeze-attn", c.FreezeAttn, "Q, K, V and O keep their initial weights")
	fs.IntVar(&c.FreezeAttnEpochs, "freeze-attn-epochs", c.FreezeAttnEpochs, "Q, K, V and O rest for this many epochs of the first phase, then learn")
	fs.StringVar(&c.Unfreeze, "unfreeze", c.Unfreeze, "`layered`: Q, K and V learn block by block from the top down, the rest from the start")
}

// planFlags binds the plan of one phase.
func planFlags(fs *flag.FlagSet, epochs, prefix, what string, p *PhaseConfig) {
	fs.IntVar(&p.Epochs, epochs, p.Epochs, what+" epochs; 0 skips the phase")
	fs.Float64Var(&p.LR, prefix+"lr", p.LR, what+": peak learning rate")
	fs.IntVar(&p.Patience, prefix+"patience", p.Patience, what+": epochs without improvement before it stops or moves on; 0: never")
	fs.Var((*intList)(&p.Accum), prefix+"accum", what+": micro-batches a step; a `LIST` 1,2,4 is a ramp")
	fs.IntVar(&p.Restarts, prefix+"restarts", p.Restarts, what+": cosine cycles beyond the first")
}

// intList is a flag of whole numbers between commas.
type intList []int

func (l *intList) String() string {
	var words []string
	for _, n := range *l {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ",")
}

func (l *intList) Set(text string) error {
	var list []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return fmt.Errorf("takes whole numbers of at least 1, e.g. 4 or 1,2,4")
		}
		list = append(list, n)
	}
	*l = list
	return nil
}

// parseTrain reads the command line of training into a configuration.
func parseTrain(c *console, args []string) (*Config, *runFlags, map[string]string, error) {
	cfg, r := defaultConfig(), runFlags{}
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	trainFlags(fs, &cfg, &r)
	if err := parseFlags(c, fs, args); err != nil {
		return nil, nil, nil, err
	}
	if r.quick {
		given := map[string]bool{}
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		cfg.applyQuick(func(name string) bool { return given[name] })
	}
	if err := cfg.validate(); err != nil {
		return nil, nil, nil, err
	}
	if cfg.LogAttnGradient > 0 && r.logJSON == "" && r.report == "" {
		return nil, nil, nil, usagef("--log-attn-gradient=%d: takes --log-json=FILE or --report=FILE.html beside it", cfg.LogAttnGradient)
	}
	return &cfg, &r, flagValues(&cfg, &r), nil
}

// flagValues is what every flag of training would have to say for this configuration.
func flagValues(cfg *Config, r *runFlags) map[string]string {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	trainFlags(fs, cfg, r)
	values := map[string]string{"min-lr": strconv.FormatFloat(cfg.Pretrain.minLR(), 'g', -1, 64)}
	fs.VisitAll(func(f *flag.Flag) {
		if f.Name != "min-lr" {
			values[f.Name] = f.Value.String()
		}
	})
	return values
}
