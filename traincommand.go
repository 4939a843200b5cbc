package main

import (
	"fmt"
	"io"
	"os"
)

// The train command.

func trainCommand(c *console, args []string) error {
	cfg, flags, values, err := parseTrain(c, args)
	if err != nil {
		return err
	}
	setThreads(cfg.Threads)
	s := &session{cfg: cfg, flags: flags}
	if flags.checkpointDir != "" {
		if err := os.MkdirAll(flags.checkpointDir, 0o755); err != nil {
			return err
		}
	}
	for _, path := range s.outputs() {
		if err := probeWritable(path); err != nil {
			return err
		}
	}
	digests, err := s.prepare()
	if err != nil {
		return err
	}
	var log io.Writer
	if flags.logJSON != "" {
		file, err := os.Create(flags.logJSON)
		if err != nil {
			return err
		}
		defer file.Close()
		log = file
	}
	var tty io.Writer
	if isTerminal(c.err) && os.Getenv("TERM") != "dumb" {
		tty = c.err
	}
	s.monitor = newMonitor(c.out, tty, log, os.Getenv("NO_COLOR") == "")
	fmt.Fprintf(c.out, "GoGPT %s: %d parameters, vocabulary %d (%s), kernel %s, %d threads\n",
		version, s.model.ParamCount(), s.tokenizer.size(), s.tokenizer.kind, kernelName(), threads())
	if err := s.monitor.write(runRecord{Event: "run", Config: values, Seed: cfg.Seed, Data: digests,
		Parameters: s.model.ParamCount(), Vocab: s.tokenizer.size(), Kernel: kernelName(), Version: version}); err != nil {
		return err
	}
	if err := s.train(c); err != nil || flags.noInteractive {
		return err
	}
	return converse(c, s)
}
