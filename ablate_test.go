package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the ablate command makes of its flags, and which logs it takes for finished.

// plannedRuns reads a command line of ablate with two changes: how many runs go side by side, and every run, with the
// configuration that its log will tell.
func plannedRuns(t *testing.T, flags ...string) (jobs int, runs []*ablationRun) {
	before := threads()
	defer setThreads(before)
	plan, err := parseAblate(&console{}, append([]string{"--out=" + t.TempDir(), "--only=lr-x10"}, flags...))
	require.NoError(t, err)
	runs, err = plan.runs(&console{})
	require.NoError(t, err)
	return plan.jobs, runs
}

func TestAblate_EachFlagReachesEveryRun(t *testing.T) {
	data := smallData(t)
	for flags, want := range map[string]map[string]string{
		"":                       {"val-fraction": "0.1", "finetune-epochs": "0", "threads": "1", "pretrain-epochs": "500"},
		"--val-fraction=0.25":    {"val-fraction": "0.25"},
		"--min-lr=2e-6":          {"min-lr": "2e-06"},
		"--min-lr=0":             {"min-lr": "0"},
		"--quick":                {"pretrain-epochs": "30", "patience": "10", "finetune-epochs": "0"},
		"--threads=3":            {"threads": "1"}, // side by side, each on one
		"--clip=0.5 --batch=2":   {"clip": "0.5", "batch": "2"},
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

func TestAblate_ALearningRateIsAMultipleOfTheGivenOne(t *testing.T) {
	_, runs := plannedRuns(t, append(smallData(t), "--seeds=1", "--lr=3e-4")...)
	require.Equal(t, []string{"0.0003", "0.003"}, []string{runs[0].config["lr"], runs[1].config["lr"]})
}

func TestAblate_SeedsAreCountedFromTheGivenOne(t *testing.T) {
	_, runs := plannedRuns(t, append(smallData(t), "--seeds=3", "--seed=7")...)
	var seeds []string
	for _, r := range runs {
		seeds = append(seeds, r.config["seed"])
	}
	require.Equal(t, []string{"7", "8", "9", "7", "8", "9"}, seeds)
}

func TestAblate_AsManyRunsSideBySideAsThreadsUnlessJobsSaysOtherwise(t *testing.T) {
	data := smallData(t)
	for flags, want := range map[string]int{
		"": defaultConfig().Threads, "--threads=3": 3, "--threads=3 --jobs=2": 2, "--jobs=5": 5,
	} {
		jobs, _ := plannedRuns(t, append(strings.Fields(flags), data...)...)
		require.Equal(t, want, jobs, flags)
	}
}

func TestAblate_OtherDataUnderTheSameNameIsTrainedAnew(t *testing.T) {
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
