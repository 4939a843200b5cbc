package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeanAndSpreadAreThoseOfASample(t *testing.T) {
	m := meanSpreadOf([]float64{1, 2, 3, 4})
	require.InDelta(t, 2.5, float64(m.Mean), 1e-12)
	require.InDelta(t, math.Sqrt(5.0/3), float64(m.Spread), 1e-12)
	require.True(t, math.IsNaN(float64(meanSpreadOf([]float64{1}).Spread)), "one value has no spread")
	require.True(t, math.IsNaN(float64(meanSpreadOf(nil).Mean)))
	require.Equal(t, "2.50 ± 1.29", m.text(2))
	require.Equal(t, "–", meanSpreadOf(nil).text(2))
}

// endedRuns makes a run a loss; a NaN is a run that diverged.
func endedRuns(best ...float64) (runs []*runLog) {
	for _, loss := range best {
		held := jsonFloat(loss)
		l := &runLog{phases: []*phaseLog{{epochs: []*epochRecord{{Epoch: 1, AvgLoss: 5, ValLoss: &held}}}}, end: &endRecord{Reason: endCompleted}, run: runRecord{Vocab: 300}}
		if math.IsNaN(loss) {
			l.end.Reason = endDiverged
		}
		runs = append(runs, l)
	}
	return runs
}

func TestADifferenceCountsWhenItIsLargerThanItsSpread(t *testing.T) {
	stable := endedRuns(4.0, 5.0, 4.5)
	for _, c := range []struct {
		losses  []float64
		verdict string
	}{
		{[]float64{3.7, 4.7, 4.2}, "better by 0.300 nats"}, // seeds differ more than the change does; the pairs agree
		{[]float64{4.3, 5.2, 4.7}, "worse by 0.233 nats"},
		{[]float64{4.5, 4.8, 4.4}, "no difference: smaller than the spread between seeds"},
		{[]float64{4.005, 5.005, 4.505}, "no difference: below 0.01 nats"},
		{[]float64{4.0, 5.0, 4.5}, "no difference: smaller than the spread between seeds"},
	} {
		r := newChangeResult(&ablation{Name: "x"}, nil, endedRuns(c.losses...), stable)
		require.Equal(t, c.verdict, r.Verdict)
		require.Equal(t, strings.HasPrefix(c.verdict, "better"), r.better)
		require.Equal(t, strings.HasPrefix(c.verdict, "worse"), r.worse)
	}
}

func TestAChangeThatDivergesMoreOftenIsWorse(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		stable, losses []float64
		verdict        string
		better, worse  bool
	}{
		{[]float64{4, 5, 4.5}, []float64{nan, nan, nan}, "diverges on 3 of 3 seeds", false, true},
		{[]float64{4, 5, 4.5}, []float64{3.7, nan, 4.2}, "diverges on 1 of 3 seeds", false, true}, // better on the others
		{[]float64{4, 5, 4.5}, []float64{3.7, nan, nan}, "diverges on 2 of 3 seeds", false, true},
		{[]float64{nan, 5, 4.5}, []float64{nan, nan, 4.2}, "diverges on 2 of 3 seeds", false, true},
		{[]float64{4, nan, 4.5}, []float64{3.7, nan, 4.2}, "better by 0.300 nats (1 of 3 seeds diverged)", true, false},
		{[]float64{4, nan, 4.5}, []float64{3.7, 4.7, 4.2}, "better by 0.300 nats", true, false},
		{[]float64{nan, nan, 4.5}, []float64{3.7, 4.7, 4.2}, "no verdict: a spread takes two seeds or more", false, false},
		{[]float64{nan, nan, nan}, []float64{3.7, 4.7, 4.2}, "no verdict: the stable configuration diverges on every seed", false, false},
		{[]float64{nan, nan, nan}, []float64{3.7, nan, nan}, "no verdict: the stable configuration diverges on every seed (2 of 3 seeds diverged)", false, false},
		{[]float64{nan, nan, nan}, []float64{nan, nan, nan}, "no verdict: the stable configuration diverges on every seed (3 of 3 seeds diverged)", false, false},
	} {
		r := newChangeResult(&ablation{Name: "x"}, nil, endedRuns(c.losses...), endedRuns(c.stable...))
		require.Equal(t, c.verdict, r.Verdict)
		require.Equal(t, []bool{c.better, c.worse}, []bool{r.better, r.worse}, c.verdict)
	}
	r := newChangeResult(&ablation{Name: stableName}, nil, endedRuns(4, nan), endedRuns(4, nan))
	require.Equal(t, "what the others are compared with (1 of 2 seeds diverged)", r.Verdict)
}

func TestARunWithoutAnEpochIsNotKept(t *testing.T) {
	l := endedRuns(4)[0]
	require.NotNil(t, kept(l))
	l.phases[0].epochs = nil
	require.Nil(t, kept(l))
	require.Equal(t, 1, newChangeResult(&ablation{Name: "x"}, nil, []*runLog{l}, endedRuns(4)).Diverged)
}

func TestARunIsConcludedByAnEndOfItsOwn(t *testing.T) {
	for reason, want := range map[string]bool{endCompleted: true, endEarlyStop: true, endMaxSteps: true, endDiverged: true,
		endInterrupted: false, endFailed: false, "": false} {
		l := endedRuns(4)[0]
		l.end.Reason = reason
		require.Equal(t, want, concluded(l), reason)
		l.phases = nil
		require.Equal(t, reason == endDiverged, concluded(l), "%s before an epoch", reason)
	}
	require.False(t, concluded(&runLog{}))
}

func TestTheAblationsAreOneChangeEach(t *testing.T) {
	var names []string
	for _, a := range ablations {
		names = append(names, a.Name)
		require.NotEmpty(t, a.What)
	}
	require.Equal(t, []string{"stable", "no-clip", "clip-logits", "lr-x10", "lr-x30", "restarts-2", "accum-4", "smooth-lr-half", "smooth", "smooth-lr-x2",
		"freeze", "unfreeze-layered", "straight-through", "stop-gradient", "dropout"}, names)
}

func TestDivergedRunsAreLeftOutOfMeans(t *testing.T) {
	r := newChangeResult(&ablation{Name: "x"}, nil, endedRuns(2, math.NaN(), 4), endedRuns(4, 4, 4))
	require.Equal(t, 1, r.Diverged)
	require.Equal(t, jsonFloat(3), r.BestVal.Mean)
	require.Equal(t, 2, r.Compared)
}

func TestEveryChangeIsACommandLineOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range ablations {
		flags := strings.Join(a.changes(1e-4), " ")
		require.False(t, seen[flags], a.Name)
		seen[flags] = true
		_, _, _, err := parseTrain(&console{}, a.changes(1e-4))
		require.NoError(t, err, a.Name)
	}
	require.Equal(t, []string{"--lr=0.003"}, ablations[4].changes(1e-4))
	require.Equal(t, []string{"--label-smoothing=0.1", "--lr=5e-05"}, ablations[7].changes(1e-4))
}

// ablate runs the command with every training in this process, and counts the trainings.
func ablate(t *testing.T, dir string, fail func(args []string) error, flags ...string) (trainings int, out string, err error) {
	before := threads()
	defer setThreads(before)
	args := append([]string{"--out=" + dir, "--jobs=1"}, append(tinyFlags(t), flags...)...)
	plan, err := parseAblate(&console{}, args)
	require.NoError(t, err)
	plan.execute = func(_ context.Context, args []string) error {
		trainings++
		if err := fail(args); err != nil {
			return err
		}
		return dispatch(&console{in: forbiddenInput{t}, out: io.Discard, err: io.Discard}, args)
	}
	runs, err := plan.runs(&console{})
	require.NoError(t, err)
	var text strings.Builder
	if err = plan.run(t.Context(), &text, runs); err == nil {
		err = plan.conclude(&text, runs)
	}
	return trainings, text.String(), err
}

// tinyFlags is a tiny model on little data, without the flags that ablate has no use for.
func tinyFlags(t *testing.T) []string {
	return append(smallData(t), "--layers=1", "--dim=16", "--heads=2", "--hidden=16", "--context=32", "--vocab-size=300", "--pretrain-epochs=2", "--val-fraction=0.2")
}

func allSucceed([]string) error { return nil }

func TestAnAblationIsWrittenAndNotRunTwice(t *testing.T) {
	dir := t.TempDir()
	data := smallData(t)
	flags := append([]string{"--seeds=2", "--only=lr-x10,dropout"}, data...)
	trainings, out, err := ablate(t, dir, allSucceed, flags...)
	require.NoError(t, err)
	require.Equal(t, 6, trainings, "the stable configuration and two changes, two seeds each")
	require.Contains(t, out, "better by")

	var summary ablationSummary
	text, err := os.ReadFile(filepath.Join(dir, "ablation.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &summary))
	require.Equal(t, []uint64{1, 2}, summary.Seeds)
	require.Len(t, summary.Changes, 3)
	require.Equal(t, "lr-x10", summary.Changes[1].Name)
	require.Negative(t, float64(summary.Changes[1].Difference.Mean), "ten times the rate learns more in two epochs")

	page, err := os.ReadFile(filepath.Join(dir, "ablation.html"))
	require.NoError(t, err)
	require.NotRegexp(t, `<script|https?://|ZgotmplZ`, string(page))
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(string(page), -1) {
		requireXML(t, svg)
	}
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
	for name, unfinished := range map[string]string{"cut short": whole, "no end": whole[:strings.LastIndex(whole, "\n")+1],
		"interrupted": replaced(endCompleted, endInterrupted), "failed": replaced(endCompleted, endFailed), "an unknown end": replaced(endCompleted, "tired"),
		"no epoch":      regexp.MustCompile(`(?m)^\{"event":"epoch".*\n`).ReplaceAllString(string(lines), ""),
		"another build": replaced(digest, strings.Repeat("0", 64)), "a build that tells nothing": replaced(digest, ""), "another kernel": replaced(kernelName(), "abacus")} {
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

func TestAnUnfinishedRunEndsTheAblation(t *testing.T) {
	_, _, err := ablate(t, t.TempDir(), func([]string) error { return errors.New("no space left") }, "--seeds=1", "--only=dropout")
	require.ErrorContains(t, err, "ablate: stable, seed 1 did not finish: no space left")
}

func TestTheAblateCommandRefusesWhatItCannotRun(t *testing.T) {
	dir := "--out=" + t.TempDir()
	for _, args := range [][]string{{}, {dir, "--seeds=0"}, {dir, "--jobs=-1"}, {dir, "--val-fraction=0"}, {dir, "--pretrain-epochs=0"},
		{dir, "--finetune-epochs=3"}, {dir, "--only=lr-x11"}, {dir, "--freeze-attn", "--only=unfreeze-layered"}, {dir, "--save=x"}} {
		plan, err := parseAblate(&console{}, args)
		if err == nil { // never run from here: the program of a test is the test
			_, err = plan.runs(&console{})
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

func TestAnAblationTakesNoTuningAlsoWhenToldSo(t *testing.T) {
	plan, err := parseAblate(&console{}, append([]string{"--out=" + t.TempDir(), "--finetune-epochs=0"}, tinyFlags(t)...))
	require.NoError(t, err)
	runs, err := plan.runs(&console{})
	require.NoError(t, err)
	for _, r := range runs {
		require.Equal(t, "0", r.config["finetune-epochs"])
	}
}

func TestABandEndsWithTheShortestRun(t *testing.T) {
	runs := endedRuns(4, 5)
	more := jsonFloat(3)
	runs[1].phases[0].epochs = append(runs[1].phases[0].epochs, &epochRecord{Epoch: 2, ValLoss: &more})
	s := lossBand(runs, (*epochRecord).monitored)
	require.Equal(t, []point{{1, 4.5}}, s.points)
	require.InDelta(t, 4.5-math.Sqrt(0.5), s.band[0].low, 1e-12)
	require.Len(t, lossBand(endedRuns(math.NaN()), (*epochRecord).monitored).points, 1, "all diverged: shown as far as they went")
}
