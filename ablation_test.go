package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/report"
	"gogpt/internal/runlog"
	"gogpt/internal/strictjson"
	"gogpt/internal/terminal"
)

func TestAblate_ListsTheStableConfigurationFirst(t *testing.T) {
	var names []string
	for _, a := range ablations {
		names = append(names, a.Name)
		require.NotEmpty(t, a.What)
	}
	require.Equal(t, []string{"stable", "no-clip", "clip-logits", "lr-x10", "lr-x30", "restarts-2", "accum-4",
		"smooth-lr-half", "smooth", "smooth-lr-x2", "freeze", "unfreeze-layered", "straight-through", "stop-gradient",
		"dropout"}, names)
}

func TestAblate_EveryChangeHasItsOwnFlags(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range ablations {
		flags := strings.Join(a.flagsAt(1e-4), " ")
		require.False(t, seen[flags], a.Name)
		seen[flags] = true
		_, _, _, err := parseTrain(&terminal.Console{}, a.flagsAt(1e-4))
		require.NoError(t, err, a.Name)
	}
	require.Equal(t, []string{"--lr=0.003"}, ablations[4].flagsAt(1e-4))
	require.Equal(t, []string{"--label-smoothing=0.1", "--lr=5e-05"}, ablations[7].flagsAt(1e-4))
}

// ablate runs the command with every training in this process and counts the trainings. A training for which fail
// returns an error fails with it.
func ablate(t *testing.T, dir string, fail func(args []string) error, flags ...string) (
	trainings int, out string, err error,
) {
	before := kernel.Threads()
	defer kernel.SetThreads(before)
	args := append([]string{"--out=" + dir, "--jobs=1"}, append(tinyFlags(t), flags...)...)
	plan, err := parseAblate(&terminal.Console{}, args)
	require.NoError(t, err)
	plan.execute = func(_ context.Context, args []string) error {
		trainings++
		if err := fail(args); err != nil {
			return err
		}
		return dispatch(&terminal.Console{In: forbiddenInput{t}, Out: io.Discard, Err: io.Discard}, args)
	}
	runs, err := plan.newRuns(&terminal.Console{})
	require.NoError(t, err)
	var text strings.Builder
	if err = plan.trainAll(t.Context(), &text, runs); err == nil {
		err = plan.saveResults(&text, runs)
	}
	return trainings, text.String(), err
}

// tinyFlags returns the flags of a tiny model on little data, as ablate takes them.
func tinyFlags(t *testing.T) []string {
	return append(smallData(t), "--layers=1", "--dim=16", "--heads=2", "--hidden=16", "--context=32", "--vocab-size=300",
		"--pretrain-epochs=2", "--val-fraction=0.2")
}

func allSucceed([]string) error { return nil }

func TestAblate_SavesResultsAndSkipsFinishedRuns(t *testing.T) {
	dir := t.TempDir()
	data := smallData(t)
	flags := append([]string{"--seeds=2", "--only=lr-x10,dropout"}, data...)
	trainings, out, err := ablate(t, dir, allSucceed, flags...)
	require.NoError(t, err)
	require.Equal(t, 6, trainings, "the stable configuration and two changes, two seeds each")
	require.Contains(t, out, "better by")

	var summary report.Ablation
	text, err := os.ReadFile(filepath.Join(dir, "ablation.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &summary))
	require.Equal(t, []uint64{1, 2}, summary.Seeds)
	require.Len(t, summary.Changes, 3)
	require.Equal(t, "lr-x10", summary.Changes[1].Name)
	require.Negative(t, float64(summary.Changes[1].Difference.Mean), "ten times the rate learns more in two epochs")

	page, err := os.ReadFile(filepath.Join(dir, "ablation.html"))
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(page), "<figure>"))

	trainings, _, err = ablate(t, dir, allSucceed, flags...)
	require.NoError(t, err)
	require.Zero(t, trainings, "all logs are finished")

	log := filepath.Join(dir, "dropout-2.jsonl")
	lines, err := os.ReadFile(log)
	require.NoError(t, err)
	whole := strings.TrimSuffix(string(lines), "\n")
	digest, err := programDigest()
	require.NoError(t, err)
	replaced := func(old, new string) string { return strings.Replace(string(lines), `"`+old+`"`, `"`+new+`"`, 1) }
	for name, unfinished := range map[string]string{
		"cut short":      whole,
		"no end":         whole[:strings.LastIndex(whole, "\n")+1],
		"interrupted":    replaced(runlog.Completed, runlog.Interrupted),
		"failed":         replaced(runlog.Completed, runlog.Failed),
		"unknown reason": replaced(runlog.Completed, "tired"),
		"no epoch":       regexp.MustCompile(`(?m)^\{"event":"epoch".*\n`).ReplaceAllString(string(lines), ""),
		"another build":  replaced(digest, strings.Repeat("0", 64)),
		"unknown build":  replaced(digest, ""),
		"another kernel": replaced(kernel.Name(), "abacus"),
	} {
		require.NotEqual(t, string(lines), unfinished, name)
		require.NoError(t, os.WriteFile(log, []byte(unfinished), 0o644))
		trainings, _, err = ablate(t, dir, allSucceed, flags...)
		require.NoError(t, err)
		require.Equal(t, 1, trainings, name)
	}

	trainings, _, err = ablate(t, dir, allSucceed, append(flags, "--clip=0.5")...)
	require.NoError(t, err)
	require.Equal(t, 6, trainings, "another configuration")
}

func TestAblation_DifferencesCountFromMinDelta(t *testing.T) {
	for shift, want := range map[strictjson.Float]string{
		0.9 * leastDifference: "no difference: below 0.01 nats", 1.1 * leastDifference: "worse by 0.011 nats"} {
		plan := &ablationPlan{seeds: []uint64{1, 2}, changes: []*ablation{&ablations[0], &ablations[1]}}
		var runs []*ablationRun
		for _, loss := range []strictjson.Float{4, 5, 4 + shift, 5 + shift} {
			phase := &runlog.Phase{Epochs: []*runlog.Epoch{{Epoch: 1, AvgLoss: loss}}}
			log := &runlog.Log{Phases: []*runlog.Phase{phase}, End: &runlog.End{Reason: runlog.Completed}}
			runs = append(runs, &ablationRun{log: log})
		}
		require.Equal(t, want, plan.summarize(runs).Changes[1].Verdict)
	}
}

func TestAblate_StopsAtARunThatDoesNotFinish(t *testing.T) {
	allFail := func([]string) error { return errors.New("no space left") }
	_, _, err := ablate(t, t.TempDir(), allFail, "--seeds=1", "--only=dropout")
	require.ErrorContains(t, err, "ablate: stable, seed 1 did not finish: no space left")
}

func TestAblate_RefusesUnsuitableFlags(t *testing.T) {
	dir := "--out=" + t.TempDir()
	for _, args := range [][]string{
		{}, {dir, "--seeds=0"}, {dir, "--jobs=-1"}, {dir, "--val-fraction=0"}, {dir, "--pretrain-epochs=0"},
		{dir, "--finetune-epochs=3"}, {dir, "--only=lr-x11"}, {dir, "--freeze-attn", "--only=unfreeze-layered"},
		{dir, "--save=x"},
	} {
		plan, err := parseAblate(&terminal.Console{}, args)
		if err == nil { // trains nothing: the executable of a test is the test itself
			_, err = plan.newRuns(&terminal.Console{})
		}
		_, usage := errors.AsType[*usageError](err)
		_, flag := errors.AsType[*flagError](err)
		require.True(t, usage || flag, "%v: %v", args, err)
		require.NotContains(t, err.Error(), "\n")
	}
	code, _, err := gogpt(t, "ablate")
	require.Equal(t, exitUsage, code)
	require.Equal(t, 1, strings.Count(err, "\n"))
}

func TestAblate_AcceptsFinetuneEpochsOfZero(t *testing.T) {
	args := append([]string{"--out=" + t.TempDir(), "--finetune-epochs=0"}, tinyFlags(t)...)
	plan, err := parseAblate(&terminal.Console{}, args)
	require.NoError(t, err)
	runs, err := plan.newRuns(&terminal.Console{})
	require.NoError(t, err)
	for _, r := range runs {
		require.Equal(t, "0", r.config["finetune-epochs"])
	}
}

// plannedRuns returns the number of runs at a time and every run that a command line of ablate plans for two changes.
func plannedRuns(t *testing.T, flags ...string) (jobs int, runs []*ablationRun) {
	before := kernel.Threads()
	defer kernel.SetThreads(before)
	plan, err := parseAblate(&terminal.Console{}, append([]string{"--out=" + t.TempDir(), "--only=lr-x10"}, flags...))
	require.NoError(t, err)
	runs, err = plan.newRuns(&terminal.Console{})
	require.NoError(t, err)
	return plan.jobs, runs
}

func TestAblate_PassesEachFlagToEveryRun(t *testing.T) {
	data, held := smallData(t), textFile(t, "held.json", `["held out"]`)
	for flags, want := range map[string]map[string]string{
		"":                     {"val-fraction": "0.1", "finetune-epochs": "0", "threads": "1", "pretrain-epochs": "500"},
		"--val-fraction=0.25":  {"val-fraction": "0.25"},
		"--val-data=" + held:   {"val-fraction": "0", "val-data": held},
		"--min-lr=2e-6":        {"min-lr": "2e-06"},
		"--min-lr=0":           {"min-lr": "0"},
		"--quick":              {"pretrain-epochs": "30", "patience": "10", "finetune-epochs": "0"},
		"--threads=3":          {"threads": "1"}, // one thread per run
		"--clip=0.5 --batch=2": {"clip": "0.5", "batch": "2"},
		"--max-steps=9 --tokenizer=char --warmup-steps=4 --weight-decay=0.1 --beta2=0.99": {
			"max-steps": "9", "tokenizer": "char", "warmup-steps": "4", "weight-decay": "0.1", "beta2": "0.99"},
		"--dropout=0.2 --dim=32": {"dropout": "0.2", "dim": "32"},
	} {
		_, runs := plannedRuns(t, append(strings.Fields(flags), data...)...)
		require.Len(t, runs, 2*5)
		for _, r := range runs {
			for name, value := range want {
				require.Equal(t, value, r.config[name], "%s: --%s of %s", flags, name, r.ablation.Name)
			}
		}
	}
}

func TestAblate_MultipliesTheLearningRateOfTheFlag(t *testing.T) {
	_, runs := plannedRuns(t, append(smallData(t), "--seeds=1", "--lr=3e-4")...)
	require.Equal(t, []string{"0.0003", "0.003"}, []string{runs[0].config["lr"], runs[1].config["lr"]})
}

func TestAblate_TheFirstSeedIsThatOfTheFlag(t *testing.T) {
	_, runs := plannedRuns(t, append(smallData(t), "--seeds=3", "--seed=7")...)
	var seeds []string
	for _, r := range runs {
		seeds = append(seeds, r.config["seed"])
	}
	require.Equal(t, []string{"7", "8", "9", "7", "8", "9"}, seeds)
}

func TestAblate_RunsAsManyJobsAsThreadsByDefault(t *testing.T) {
	data := smallData(t)
	for flags, want := range map[string]int{
		"": defaultConfig().Threads, "--threads=3": 3, "--threads=3 --jobs=2": 2, "--jobs=5": 5,
	} {
		jobs, _ := plannedRuns(t, append(strings.Fields(flags), data...)...)
		require.Equal(t, want, jobs, flags)
	}
}

func TestAblate_RunsAgainWhenTheDataChanged(t *testing.T) {
	dir, data := t.TempDir(), smallData(t)
	flags := append([]string{"--seeds=1", "--only=stable", "--pretrain-epochs=1"}, data...)
	for _, c := range []struct {
		name      string
		change    func()
		trainings int
	}{
		{"at first", func() {}, 1},
		{"once more", func() {}, 0},
		{"another row", func() {
			_, path, _ := strings.Cut(data[0], "=")
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			other := strings.Replace(string(text), "The 1. sentence", "The I. sentence", 1)
			require.NotEqual(t, string(text), other)
			require.NoError(t, os.WriteFile(path, []byte(other), 0o644))
		}, 1},
		{"and once more", func() {}, 0},
	} {
		c.change()
		trainings, _, err := ablate(t, dir, allSucceed, flags...)
		require.NoError(t, err)
		require.Equal(t, c.trainings, trainings, c.name)
	}
}
