package main

import "os"

// The train command.

func trainCommand(c *console, args []string) error {
	cfg, flags, values, err := parseTrain(c, args)
	if err != nil {
		return err
	}
	setThreads(cfg.Threads)
	s := &session{cfg: cfg, flags: flags, values: values}
	for _, dir := range []string{flags.checkpointDir, flags.tensorboard} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, path := range s.outputs() {
		if err := probeWritable(path); err != nil {
			return err
		}
	}
	if flags.noInteractive {
		return s.run(c)
	}
	p := &pipeline{newDialog(c), s}
	return p.walk()
}
