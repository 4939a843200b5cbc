package main

import (
	"cmp"
	"flag"
	"strings"
)

// The chat command.

func chatCommand(c *console, args []string) error {
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	gen, cfg := defaultGeneration(), defaultConfig()
	model := fs.String("model", "", "saved model, a safetensors `FILE`")
	prompt := fs.String("prompt", "", "answer this `TEXT` on standard output and leave")
	asJSON := fs.Bool("json", false, "print one JSON object an answer")
	fs.IntVar(&cfg.Threads, "threads", cfg.Threads, "threads; the result is the same for any number")
	generationFlags(fs, &gen)
	if err := parseFlags(c, fs, args); err != nil {
		return err
	}
	if err := cmp.Or(required("model", *model), gen.validate(), cfg.validate()); err != nil {
		return err
	}
	once := false
	fs.Visit(func(f *flag.Flag) { once = once || f.Name == "prompt" })
	if once && strings.TrimSpace(*prompt) == "" {
		return usagef("--prompt=%s: takes a text that is not blank", *prompt)
	}
	setThreads(cfg.Threads)
	m, t, err := loadModel(*model)
	if err != nil {
		return err
	}
	r := newREPL(newDialog(c), newChat(m, t, gen), *asJSON)
	if once {
		return r.answerOnce(*prompt)
	}
	return r.run()
}
