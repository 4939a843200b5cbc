package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/kernel"
	"gogpt/internal/strictjson"
	"gogpt/internal/study"
	"gogpt/internal/terminal"
)

func TestStudy_EveryCellIsACommandLineOfItsOwn(t *testing.T) {
	require.Equal(t, 240, len(freezingStudy.Runs()))
	require.Equal(t, 72, len(freezingTextStudy.Runs()))
	for _, s := range studies {
		seen := map[string]bool{}
		for _, c := range s.Cells() {
			flags := s.Flags(c)
			require.False(t, seen[strings.Join(flags, " ")], c)
			seen[strings.Join(flags, " ")] = true
			cfg, _, _, err := parseTrain(&terminal.Console{}, append(flags, "--log-json=x"))
			require.NoError(t, err, "%s: %s", s.Name, c)
			require.Equal(t, s.Window, cfg.LogSteps)
			require.Equal(t, s.Outcome == study.ValLoss, cfg.ValFraction > 0, s.Name)
		}
	}
}

func TestStudy_ComparisonsAreOfItsCellsAndOfPairs(t *testing.T) {
	for _, s := range studies {
		cells := map[string]bool{}
		for _, c := range s.Cells() {
			cells[c.String()] = true
		}
		for _, c := range s.Comparisons {
			signs := 0.0
			for _, term := range c.Sum {
				require.True(t, cells[term.Cell.String()], "%s has no cell %s", s.Name, term.Cell)
				signs += term.Weight
			}
			require.Zero(t, signs, "%s: the weights of %q", s.Name, c.Question)
		}
	}
}

// The comparisons that were written down before the first run.
func TestStudy_ComparisonsAreThoseOfTheirPlans(t *testing.T) {
	freezing := func(small, large string) []string {
		cost := func(rate string) string {
			return "L(straight-through, " + rate + ", none) − L(exact, " + rate + ", none)"
		}
		help := func(backward string) string {
			return "L(" + backward + ", " + large + ", throughout) − L(" + backward + ", " + large + ", none)"
		}
		minus := strings.NewReplacer("L(", "− L(", "− L(", "+ L(")
		return []string{cost(large) + " " + minus.Replace(cost(small)), help("straight-through"),
			help("straight-through") + " " + minus.Replace(help("exact"))}
	}
	length := func(backward string) string {
		return fmt.Sprintf("L(long, 1e-3, %s) − L(long, 1e-3, exact) − L(short, 1e-3, %[1]s) + L(short, 1e-3, exact)",
			backward)
	}
	none := "L(straight-through, fresh)"
	for name, want := range map[string][]string{
		"freezing":      freezing("1e-4", "3e-3"),
		"freezing-text": freezing("1e-3", "3e-3"),
		"release": {"L(straight-through, warm-up 252) − " + none, "L(straight-through, warm-up 1260) − " + none,
			"L(straight-through, kept) − " + none},
		"cooldown": {"L(of pretraining) − L(none)", "L(of tuning) − L(none)", "L(of pretraining) − L(none)",
			"L(of tuning) − L(none)"},
		"ladder": {length("stop-gradient"), length("straight-through")},
	} {
		at := slices.IndexFunc(studies, func(s *study.Study) bool { return s.Name == name })
		var formulas []string
		for _, c := range studies[at].Summarize(nil, leastDifference).Comparisons {
			formulas = append(formulas, c.Formula)
		}
		require.Equal(t, want, formulas, name)
	}
	for factor, old := range []string{"3e-4", "two", "4"} {
		sum := tuningStudy.Comparisons[factor].Sum
		require.Len(t, sum, 8)
		for _, term := range sum {
			require.Equal(t, term.Cell[factor] == old, term.Weight == 0.25, "%s, %v", old, term)
		}
	}
}

// tinyStudy is a study of four short runs, which tests declare under the name tiny.
func tinyStudy(t *testing.T) *study.Study {
	s := &study.Study{
		Name: "tiny", Title: "A tiny study", Text: true, Window: 5, Seeds: []uint64{1, 2}, Outcome: study.TrainLoss,
		Base: strings.Fields("--layers=1 --dim=16 --heads=2 --hidden=16 --context=32 --vocab-size=300 " +
			"--pretrain-epochs=2 --finetune-epochs=0 --patience=0"),
		Factors: []study.Factor{{Name: "freezing", Levels: []study.Level{
			{Name: "none"}, {Name: "half", Flags: []string{"--freeze-attn-epochs=1"}}}}},
		Comparisons: []study.Comparison{{Question: "Does it cost?", Prediction: study.Above, Sum: []study.Term{
			{Weight: 1, Cell: study.Cell{"half"}}, {Weight: -1, Cell: study.Cell{"none"}}}}},
	}
	before := studies
	studies = append(slices.Clone(studies), s)
	t.Cleanup(func() { studies = before })
	return s
}

// runStudy runs the tiny study with every training in this process, and shows it. before is called before each training
// and may end it with an error.
func runStudy(t *testing.T, ctx context.Context, dir, data string, before func() error) (
	trainings int, out string, err error,
) {
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	a, err := parseAblate(&terminal.Console{}, []string{"--study=tiny", "--out=" + dir, "--jobs=1", data})
	if err != nil {
		return 0, "", err
	}
	a.study.execute = func(_ context.Context, args []string) error {
		trainings++
		if err := before(); err != nil {
			return err
		}
		return dispatch(&terminal.Console{In: forbiddenInput{t}, Out: io.Discard, Err: io.Discard}, args)
	}
	var text strings.Builder
	logs := t.TempDir()
	err = a.study.loadFinished(&text)
	if err == nil {
		err = a.study.trainAll(ctx, &text, logs)
	}
	left, readErr := os.ReadDir(logs)
	require.NoError(t, readErr)
	require.Empty(t, left, "a log is removed when its run has a line or failed")
	if err == nil {
		err = a.study.show(&text)
	}
	return trainings, text.String(), err
}

func proceed() error { return nil }

func TestStudy_ARunThatHasALineIsNotTrainedAgain(t *testing.T) {
	s := tinyStudy(t)
	dir, data := t.TempDir(), smallData(t)[0]
	path := filepath.Join(dir, "tiny.jsonl")
	trainings, out, err := runStudy(t, t.Context(), dir, data, proceed)
	require.NoError(t, err)
	require.Equal(t, 4, trainings)
	require.Contains(t, out, "tiny: 0 of 4 runs are in "+path)
	require.Regexp(t, `  4 of 4        0s left  seed 2, half: training loss \d`, out)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(whole), "\n")
	require.Len(t, lines, 5, "four and the end")

	trainings, _, err = runStudy(t, t.Context(), dir, data, proceed)
	require.NoError(t, err)
	require.Zero(t, trainings)

	elsewhere := strings.ReplaceAll(lines[0]+lines[3], `"`+kernel.Name()+`"`, `"abacus"`)
	require.NotContains(t, elsewhere, kernel.Name())
	require.NoError(t, os.WriteFile(path, []byte(elsewhere), 0o644))
	trainings, out, err = runStudy(t, t.Context(), dir, data, proceed)
	require.NoError(t, err)
	require.Equal(t, 2, trainings, "a line of another kernel counts")
	require.Contains(t, out, "  3 of 4")
	require.NotContains(t, out, "  2 of 4", "what had finished before is not a finished job")
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, elsewhere+lines[1]+lines[2], string(again), "the same bits, and nothing of the clock")

	file := study.File{Path: path, Study: s, Data: map[string]string{"pretrain": "other"}, Numerics: numerics}
	_, err = file.Load()
	require.ErrorContains(t, err, path+": line 1: seed 1, none: other data")
}

func TestStudy_RecordsWhatHappensAtARelease(t *testing.T) {
	s := tinyStudy(t)
	dir, data := t.TempDir(), smallData(t)[0]
	a, err := parseAblate(&terminal.Console{}, []string{"--study=tiny", "--out=" + dir, data})
	require.NoError(t, err)
	_, _, err = runStudy(t, t.Context(), dir, data, proceed)
	require.NoError(t, err)
	results, err := a.study.file.Load()
	require.NoError(t, err)
	require.Len(t, results, 4)
	require.Empty(t, results["seed 1, none"].Releases)
	released := results["seed 1, half"]
	require.Equal(t, s.Flags(study.Cell{"half"}), released.Flags)
	require.Equal(t, 24, released.Steps)
	require.Len(t, released.Releases, 1)
	require.Equal(t, 12, released.Releases[0].Step, "twelve steps an epoch")
	for _, loss := range []strictjson.Float{released.Releases[0].LossBefore, released.Releases[0].LossAfter} {
		require.InDelta(t, 5.7, float64(loss), 0.3)
	}
	require.Greater(t, released.NormPeak, released.NormFirst)
}

func TestStudy_ShowsWhatHasFinished(t *testing.T) {
	tinyStudy(t)
	dir := t.TempDir()
	_, out, err := runStudy(t, t.Context(), dir, smallData(t)[0], proceed)
	require.NoError(t, err)
	require.Regexp(t, `half +2 +5\.\d+ ± \d`, out)
	require.Contains(t, out, "95.0 % interval: ")

	path := filepath.Join(dir, "tiny.jsonl")
	lines, err := os.ReadFile(path)
	require.NoError(t, err)
	one, _, _ := strings.Cut(string(lines), "\n")
	other := strings.Replace(one, `"numerics":`, `"numerics":9`, 1)
	require.NoError(t, os.WriteFile(path, []byte(other+"\n"), 0o644))
	code, out, message := gogpt(t, "ablate", "--study=tiny", "--out="+dir, "--report-only")
	require.Equal(t, exitOK, code, message)
	require.Contains(t, out, "predicted above 0: no verdict yet: 1 of 4 runs")
	var summary study.Summary
	text, err := os.ReadFile(filepath.Join(dir, "tiny.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &summary))
	require.Equal(t, 1, summary.Finished, "lines of other numerics can be shown")
	page, err := os.ReadFile(filepath.Join(dir, "tiny.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "1 of 4 runs have finished")

	_, _, err = runStudy(t, t.Context(), dir, smallData(t)[0], proceed)
	require.ErrorContains(t, err, "numerics 9", "but not be gone on with")

	missing := filepath.Join(dir, "missing")
	code, _, message = gogpt(t, "ablate", "--study=tiny", "--out="+missing, "--report-only")
	require.Equal(t, exitError, code)
	require.Equal(t, "gogpt: "+filepath.Join(missing, "tiny.jsonl")+": no such file or directory\n", message)
	require.NoDirExists(t, missing)
}

func TestStudy_ARunThatFailsOrIsInterruptedLeavesNoLine(t *testing.T) {
	tinyStudy(t)
	dir, data := t.TempDir(), smallData(t)[0]
	_, _, err := runStudy(t, t.Context(), dir, data, func() error { return errors.New("no space left") })
	require.EqualError(t, err, "study tiny: seed 1, none did not finish: no space left")
	require.NoFileExists(t, filepath.Join(dir, "tiny.jsonl"))

	ctx, cancel := context.WithCancel(t.Context())
	trainings, _, err := runStudy(t, ctx, dir, data, func() error { cancel(); return ctx.Err() })
	require.NoError(t, err, "the command reports the signal")
	require.Equal(t, 1, trainings)
	require.NoFileExists(t, filepath.Join(dir, "tiny.jsonl"))
}

func TestStudy_AnInterruptedRunAndOtherDataLeaveNoLine(t *testing.T) {
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	tinyStudy(t)
	data := smallData(t)[0]
	for want, old := range map[string][2]string{
		"seed 1, none did not finish: it was interrupted": {`"reason":"completed"`, `"reason":"interrupted"`},
		"seed 1, none: the data changed":                  {`"data":{"finetune":"`, `"data":{"finetune":"0`},
	} {
		dir := t.TempDir()
		a, err := parseAblate(&terminal.Console{}, []string{"--study=tiny", "--out=" + dir, "--jobs=1", data})
		require.NoError(t, err)
		a.study.execute = func(_ context.Context, args []string) error {
			err := dispatch(&terminal.Console{In: forbiddenInput{t}, Out: io.Discard, Err: io.Discard}, args)
			require.NoError(t, err)
			log := strings.TrimPrefix(args[len(args)-1], "--log-json=")
			text, err := os.ReadFile(log)
			require.NoError(t, err)
			require.Contains(t, string(text), old[0])
			return os.WriteFile(log, []byte(strings.Replace(string(text), old[0], old[1], 1)), 0o644)
		}
		require.ErrorContains(t, a.study.trainAll(t.Context(), io.Discard, t.TempDir()), want)
		require.NoFileExists(t, filepath.Join(dir, "tiny.jsonl"))
	}
}

func TestStudy_ARunThatAnotherProcessRecordsGetsOneLine(t *testing.T) {
	tinyStudy(t)
	dir, data := t.TempDir(), smallData(t)[0]
	runs := 0
	_, _, err := runStudy(t, t.Context(), dir, data, func() error {
		if runs++; runs == 1 { // another process trains everything while this one trains its first run
			_, _, err := runStudy(t, t.Context(), dir, data, proceed)
			return err
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, runs)
	lines, err := os.ReadFile(filepath.Join(dir, "tiny.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(lines), "\n"))
}

func TestStudy_ADivergedRunHasALine(t *testing.T) {
	s := tinyStudy(t)
	s.Base = append(s.Base, "--clip=0", "--lr=1e30", "--max-steps=9")
	dir, data := t.TempDir(), smallData(t)[0]
	_, out, err := runStudy(t, t.Context(), dir, data, proceed)
	require.NoError(t, err)
	require.Contains(t, out, "seed 1, none: diverged")
}

func TestStudy_PassesTheKernelAndTheTextToEveryRun(t *testing.T) {
	defer func(name string) { require.NoError(t, kernel.Select(name)) }(kernel.Name())
	tinyStudy(t)
	data := smallData(t)[0]
	a, err := parseAblate(&terminal.Console{}, []string{"--study=tiny", "--out=x", data, "--kernel=portable"})
	require.NoError(t, err)
	args := a.study.args(a.study.runs[3], "log")
	require.Subset(t, args, []string{data, "--kernel=portable", "--threads=1", "--seed=2", "--log-json=log",
		"--freeze-attn-epochs=1"})
}

func TestStudy_RefusesUnsuitableFlags(t *testing.T) {
	tinyStudy(t)
	dir, data := "--out="+t.TempDir(), smallData(t)[0]
	for _, c := range []struct {
		want  string
		flags []string
	}{
		{"--study=x: takes one of freezing, freezing-text, release, tuning, cooldown, ladder, tiny",
			[]string{"--study=x", dir}},
		{"--study=: takes one of", []string{"--study=", dir}},
		{"--out=DIR is needed", []string{"--study=tiny", data}},
		{"--jobs=-1: takes a whole number of at least 1", []string{"--study=tiny", dir, data, "--jobs=-1"}},
		{"--jobs=5000: takes a whole number of at most 4096", []string{"--study=tiny", dir, data, "--jobs=5000"}},
		{"--threads=0: takes a whole number of at least 1", []string{"--study=tiny", dir, data, "--threads=0"}},
		{"--only: takes no --study beside it", []string{"--study=tiny", dir, data, "--only=freeze"}},
		{"--seeds: takes no --study beside it", []string{"--study=tiny", dir, data, "--seeds=3"}},
		{"--lr: takes no --study beside it", []string{"--study=tiny", dir, data, "--lr=1"}},
		{"--study=tiny: takes --pretrain-data=FILE beside it", []string{"--study=tiny", dir}},
		{"--report-only: takes --study=NAME beside it", []string{dir, "--report-only"}},
		{"--out=DIR is needed", []string{"--study=tiny", "--report-only"}},
		{"takes no --study=freezing beside it", []string{"--study=freezing", dir, data}},
	} {
		code, _, message := gogpt(t, append([]string{"ablate"}, c.flags...)...)
		require.Equal(t, exitUsage, code, c.want)
		require.Contains(t, message, c.want)
		require.Equal(t, 1, strings.Count(message, "\n"))
	}
}
