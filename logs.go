package main

import "os"

// openLogs lets the files that the flags name observe a monitor: the log, TensorBoard's events, the report. release closes
// them, also after an error.
func openLogs(flags *runFlags, m *monitor) (release func(), err error) {
	var files []*os.File
	release = func() {
		for _, f := range files {
			f.Close()
		}
	}
	if flags.logJSON != "" {
		f, err := os.Create(flags.logJSON)
		if err != nil {
			return release, err
		}
		files, m.observers = append(files, f), append(m.observers, jsonLog{f})
	}
	if flags.tensorboard != "" {
		events, f, err := createEventLog(flags.tensorboard, m.started)
		if err != nil {
			return release, err
		}
		files, m.observers = append(files, f), append(m.observers, events)
	}
	if flags.report != "" {
		m.observers = append(m.observers, newReportLog(flags.report))
	}
	return release, nil
}
