package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gogpt/internal/terminal"
)

// The errors of Go's package flag, which has no types for them.
var (
	unknownFlag = regexp.MustCompile(`(?s)^flag provided but not defined: -(.*)$`)
	badValue    = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^:]+): (.*)$`)
	noValue     = regexp.MustCompile(`(?s)^flag needs an argument: -(.*)$`)
)

// parseFlags parses the arguments of a command that takes only flags.
func parseFlags(c *terminal.Console, fs *flag.FlagSet, args []string) error {
	others, err := parseFlagsAndFiles(c, fs, args)
	if err == nil && len(others) > 0 {
		err = usagef("unexpected argument %q: write flags as --name=value", others[0])
	}
	return err
}

// parseFlagsAndFiles parses flags and names of files in any order, and returns the names.
func parseFlagsAndFiles(c *terminal.Console, fs *flag.FlagSet, args []string) (files []string, err error) {
	for err = parseLeadingFlags(c, fs, args); err == nil && fs.NArg() > 0; err = parseLeadingFlags(c, fs, args) {
		if fs.Arg(0) == "" {
			return nil, usagef(`unexpected argument ""`)
		}
		files, args = append(files, fs.Arg(0)), fs.Args()[1:]
	}
	return files, err
}

// parseLeadingFlags parses flags up to the first other argument. -h prints the flags to c.Out. Errors name the flag,
// its value and what it takes.
func parseLeadingFlags(c *terminal.Console, fs *flag.FlagSet, args []string) error {
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(c.Out, "usage: gogpt %s [flags]\n", fs.Name())
		fs.SetOutput(c.Out)
		fs.PrintDefaults()
		return err
	}
	if err != nil {
		return usagef("%s", explainFlagError(fs, err.Error()))
	}
	return nil
}

// explainFlagError rewords an error of package flag.
func explainFlagError(fs *flag.FlagSet, message string) string {
	if m := unknownFlag.FindStringSubmatch(message); m != nil {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return fmt.Sprintf("unknown flag --%s%s", m[1], didYouMean(m[1], names, "--"))
	}
	if m := noValue.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("--%s: needs a value, --%s=%s", m[1], m[1], takes(fs, m[1]))
	}
	if m := badValue.FindStringSubmatch(message); m != nil {
		if why, ok := strings.CutPrefix(m[3], "takes "); ok {
			return fmt.Sprintf("--%s=%s: takes %s", m[2], m[1], why)
		}
		return fmt.Sprintf("--%s=%s: takes %s", m[2], m[1], takes(fs, m[2]))
	}
	return message
}

// given reports whether the parsed command line contains a flag.
func given(fs *flag.FlagSet, name string) bool {
	found := false
	fs.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// takes describes the values that a flag accepts.
func takes(fs *flag.FlagSet, name string) string {
	f := fs.Lookup(name)
	if f == nil {
		return "VALUE"
	}
	kind, _ := flag.UnquoteUsage(f)
	switch kind {
	case "int":
		return "a whole number"
	case "uint":
		return "a whole number of at least 0"
	case "float":
		return "a number"
	case "":
		return "true or false"
	}
	return kind
}

// The flags of training. Each sets a field of the configuration; the value of the field is its default.

// runFlags holds the flags of the train command that do not belong to the configuration.
type runFlags struct {
	quick         bool
	noInteractive bool
	save          string // file for the model; "": not saved
	checkpointDir string // folder for the model after each phase; "": not saved
	logJSON       string // file; "": no log
	report        string // file; "": no report
	tensorboard   string // folder; "": no event file
}

// modelFlags defines the flags of the model's sizes.
func modelFlags(fs *flag.FlagSet, m *ModelConfig) {
	fs.IntVar(&m.Layers, "layers", m.Layers, "transformer blocks")
	fs.IntVar(&m.Heads, "heads", m.Heads, "attention heads per block, a divisor of --dim")
	fs.IntVar(&m.Dim, "dim", m.Dim, "channels of the residual stream")
	fs.IntVar(&m.Hidden, "hidden", m.Hidden, "channels inside the feed-forward layer")
	fs.IntVar(&m.Context, "context", m.Context, "longest sequence, in tokens")
	fs.IntVar(&m.Vocab, "vocab-size", m.Vocab, "largest vocabulary in tokens, bytes and special tokens included")
}

// commonFlags defines the flags of every command that uses a model.
func commonFlags(fs *flag.FlagSet, c *Config) {
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "seed of all random numbers")
	machineFlags(fs, c)
}

// machineFlags defines the flags of how the program uses the machine.
func machineFlags(fs *flag.FlagSet, c *Config) {
	fs.IntVar(&c.Threads, "threads", c.Threads, "threads; the result is the same for any number")
	fs.Var(kernelFlag{}, "kernel",
		"arithmetic `KERNEL`: auto or one that this machine supports; wins over "+kernelVariable)
}

// dataFlags defines the flags of the data and its tokenizer.
func dataFlags(fs *flag.FlagSet, c *Config) {
	fs.StringVar(&c.PretrainData, "pretrain-data", c.PretrainData,
		"pretraining `FILE` or folder (.json, .jsonl, .txt); default: the built-in sentences")
	fs.StringVar(&c.ChatData, "chat-data", c.ChatData,
		"instruction-tuning `FILE` or folder of conversations, each "+aConversation+"; default: the built-in pairs")
	fs.StringVar(&c.Tokenizer, "tokenizer", c.Tokenizer, "`bpe` (byte-level merges) or char (whole characters)")
}

// trainFlags defines every flag of the train command.
func trainFlags(fs *flag.FlagSet, c *Config, r *runFlags) {
	fs.BoolVar(&r.quick, "quick", r.quick, "pretraining only: 30 epochs, patience 10; other flags win over it")
	fs.BoolVar(&r.noInteractive, "no-interactive", r.noInteractive, "never read standard input, ask nothing")
	fs.StringVar(&r.save, "save", r.save, "save the trained model to `FILE` (safetensors)")
	fs.StringVar(&r.checkpointDir, "checkpoint-dir", r.checkpointDir, "save the model after each phase into `DIR`")
	fs.StringVar(&r.logJSON, "log-json", r.logJSON, "write a log of JSON lines, one per epoch, to `FILE`")
	fs.StringVar(&r.report, "report", r.report, "write a page with the curves of the run to `FILE.html` at its end")
	fs.StringVar(&r.tensorboard, "tensorboard", r.tensorboard, "write an event file for TensorBoard into `DIR`")
	configFlags(fs, c)
}

// configFlags defines the flags of the configuration.
func configFlags(fs *flag.FlagSet, c *Config) {
	commonFlags(fs, c)
	modelFlags(fs, &c.Model)
	fs.StringVar(&c.InitFrom, "init-from", c.InitFrom,
		"start from the weights, the sizes and the tokenizer of a saved model, a safetensors `FILE`")
	dataFlags(fs, c)
	fs.StringVar(&c.ValData, "val-data", c.ValData, "validate pretraining on this `FILE` or folder; not trained on")
	fs.StringVar(&c.ChatValData, "chat-val-data", c.ChatValData,
		"validate tuning on this `FILE` or folder of conversations; not trained on")
	fs.Float64Var(&c.ValFraction, "val-fraction", c.ValFraction, "share of the samples held out for validation")
	fs.BoolVar(&c.TrainOnAll, "train-on-all", c.TrainOnAll,
		"the loss of tuning counts the user's tokens too, not only the answers")
	planFlags(fs, "pretrain-epochs", "", "pretraining", &c.Pretrain)
	minLR := func(s string) (err error) {
		if c.Pretrain.MinLR, err = strconv.ParseFloat(s, 64); err == nil && !(c.Pretrain.MinLR >= 0) {
			err = fmt.Errorf("takes a finite number of at least 0")
		}
		return err
	}
	fs.Func("min-lr", "learning `rate` at the end of a pretraining cosine cycle (default lr/100)", minLR)
	planFlags(fs, "finetune-epochs", "finetune-", "tuning", &c.Finetune)
	fs.IntVar(&c.Batch, "batch", c.Batch, "samples per micro-batch")
	fs.Float64Var(&c.Clip, "clip", c.Clip, "limit of the global gradient norm; 0: off")
	fs.BoolVar(&c.ClipLogits, "clip-logits", c.ClipLogits,
		"for comparisons: --clip limits the gradient with respect to the logits instead of the parameters")
	fs.BoolVar(&c.KeepMoments, "keep-moments", c.KeepMoments,
		"for ablate only: what a plan freezes has gradients and moments, and only its weights rest")
	fs.Float64Var(&c.WeightDecay, "weight-decay", c.WeightDecay, "decoupled weight decay, of matrices only")
	fs.Float64Var(&c.Beta2, "beta2", c.Beta2, "Adam's decay of squared gradients")
	fs.IntVar(&c.Warmup, "warmup-steps", c.Warmup, "steps of linear warm-up at the start of each phase")
	fs.IntVar(&c.MaxSteps, "max-steps", c.MaxSteps, "largest number of optimizer steps per phase; 0: no limit")
	fs.Float64Var(&c.MinDelta, "min-delta", c.MinDelta,
		"nats that the loss must fall, in one epoch or several, to count as an improvement")
	fs.Float64Var(&c.Smoothing, "label-smoothing", c.Smoothing, "label smoothing of the training loss")
	fs.Float64Var(&c.Dropout, "dropout", c.Dropout, "share of activations dropped in training")
	fs.Var(&c.Backward, "attn-backward",
		"backward pass of attention, a `MODE`: exact, straight-through or stop-gradient")
	fs.IntVar(&c.LogSteps, "log-steps", c.LogSteps, "log the mean loss and gradient norm of every `N` steps too; 0: off")
	fs.IntVar(&c.LogAttnGradient, "log-attn-gradient", c.LogAttnGradient,
		"compare the backward passes of attention every `N` steps, in the log and the report")
	fs.Var(optionalBool{&c.FreezeAttn}, "freeze-attn",
		"freeze Q, K, V and O at their initial weights; =false releases what a loaded model has frozen")
	fs.IntVar(&c.FreezeAttnEpochs, "freeze-attn-epochs", c.FreezeAttnEpochs,
		"freeze Q, K, V and O for this many epochs of the first phase")
	fs.IntVar(&c.FreezeAttnSteps, "freeze-attn-steps", c.FreezeAttnSteps,
		"freeze Q, K, V and O for this many optimizer steps of the first phase")
	fs.IntVar(&c.ReleaseWarmup, "release-warmup", c.ReleaseWarmup,
		"steps over which the learning rate of released weights rises linearly; 0: none")
	fs.StringVar(&c.Unfreeze, "unfreeze", c.Unfreeze,
		"`layered`: freeze Q, K and V, and release them block by block from the top down")
}

// planFlags defines the flags of one phase: its epochs by the given name, the others with a prefix.
func planFlags(fs *flag.FlagSet, epochs, prefix, phase string, p *PhaseConfig) {
	fs.IntVar(&p.Epochs, epochs, p.Epochs, phase+" epochs; 0 skips the phase")
	fs.Float64Var(&p.LR, prefix+"lr", p.LR, phase+": peak learning rate")
	fs.IntVar(&p.Patience, prefix+"patience", p.Patience,
		phase+": epochs without improvement before it stops or moves to the next stage; 0: never")
	fs.Var((*intList)(&p.Accum), prefix+"accum", phase+": micro-batches per step; a `LIST` such as 1,2,4 is a ramp")
	fs.IntVar(&p.Restarts, prefix+"restarts", p.Restarts, phase+": cosine cycles after the first")
	fs.IntVar(&p.Cooldown, prefix+"cooldown-epochs", p.Cooldown,
		phase+": epochs in which, once patience is exhausted, the learning rate falls to its minimum; 0: none")
}

// parseTrain parses the command line of training and returns the configuration, the other flags and the value of every
// flag.
func parseTrain(c *terminal.Console, args []string) (*Config, *runFlags, map[string]string, error) {
	cfg, r := defaultConfig(), runFlags{}
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	trainFlags(fs, &cfg, &r)
	if err := parseFlags(c, fs, args); err != nil {
		return nil, nil, nil, err
	}
	if r.quick {
		cfg.applyQuick(func(name string) bool { return given(fs, name) })
	}
	if err := cmp.Or(cfg.applyInitFrom(fs), cfg.validate()); err != nil {
		return nil, nil, nil, err
	}
	for _, f := range []struct {
		name  string
		every int
	}{{"log-steps", cfg.LogSteps}, {"log-attn-gradient", cfg.LogAttnGradient}} {
		if f.every > 0 && r.logJSON == "" && r.report == "" {
			return nil, nil, nil, usagef("--%s=%d: takes --log-json=FILE or --report=FILE.html beside it", f.name, f.every)
		}
	}
	return &cfg, &r, flagValues(&cfg, &r), nil
}

// flagValues returns for every flag of training the value that gives this configuration.
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
