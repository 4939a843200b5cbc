package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/runlog"
)

// fileOf returns a file of the small study with the results of these runs.
func fileOf(t testing.TB, runs ...*Run) *File {
	f := &File{Path: filepath.Join(t.TempDir(), "small.jsonl"), Study: small, Data: map[string]string{"pretrain": "ab"},
		Numerics: 7}
	for _, r := range runs {
		l := logOf(t, runlog.Completed, window(10, 10, 5, 1, 2, 0), window(20, 10, 3, 4, 9, 10), epoch(20, 3, nil))
		require.NoError(t, f.Append(r.Measure(l)))
	}
	return f
}

func TestFile_ResultsAreReadAsTheyWereWritten(t *testing.T) {
	runs := small.Runs()
	f := fileOf(t, runs[5], runs[0])
	results, err := f.Load()
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.Equal(t, uint64(4), results["seed 4, low, all"].Seed)
	require.Len(t, results["seed 3, low, none"].Releases, 1)

	f.Path = filepath.Join(t.TempDir(), "none.jsonl")
	results, err = f.Load()
	require.NoError(t, err)
	require.Empty(t, results)
}

func TestFile_ALineOfAnotherKernelAndVersionCounts(t *testing.T) {
	f := fileOf(t, small.Runs()[0])
	edit(t, f, `"kernel":"portable"`, `"kernel":"abacus"`)
	edit(t, f, `"version":"0.1"`, `"version":"0.2"`)
	results, err := f.Load()
	require.NoError(t, err)
	require.Len(t, results, 1)
}

func TestFile_WithoutDataTheFirstLineSaysWhatTheOthersMustHave(t *testing.T) {
	f := fileOf(t, small.Runs()[0], small.Runs()[1])
	f.Data, f.Numerics = nil, 0
	results, err := f.Load()
	require.NoError(t, err)
	require.Len(t, results, 2)
	edit(t, f, `"numerics":7`, `"numerics":6`)
	_, err = f.Load()
	require.ErrorContains(t, err, "line 2: seed 3, low, all: numerics 7, expected 6")
}

// edit replaces a text in the file.
func edit(t *testing.T, f *File, old, new string) {
	lines, err := os.ReadFile(f.Path)
	require.NoError(t, err)
	require.Contains(t, string(lines), old)
	require.NoError(t, os.WriteFile(f.Path, []byte(strings.Replace(string(lines), old, new, 1)), 0o644))
}

func TestFile_ErrorsNameFileLineAndDifference(t *testing.T) {
	runs := small.Runs()
	for want, change := range map[string][2]string{
		`line 1: is of the study "large", not of "small"`:           {`"study":"small"`, `"study":"large"`},
		`line 1: the study has no run with cell map[freezing:some`:  {`"freezing":"none"`, `"freezing":"some"`},
		`line 1: the study has no run with cell map[freezing:none]`: {`,"rate":"low"`, ``},
		`and seed 9`:                      {`"seed":3`, `"seed":9`},
		`cell map[extra:x freezing:none`:  {`"freezing":"none"`, `"freezing":"none","extra":"x"`},
		`only the line has --accum=2`:     {`"--accum=1"`, `"--accum=2"`},
		`only the study --lr=1`:           {`,"--lr=1"`, ``},
		`the line has map[pretrain:xy]`:   {`"pretrain":"ab"`, `"pretrain":"xy"`},
		`numerics 8, expected 7`:          {`"numerics":7`, `"numerics":8`},
		`seed 3, low, none has an earlie`: {`"seed":4`, `"seed":3`},
		`unknown field "more"`:            {`"vocab":300`, `"vocab":300,"more":1`},
		`line 1: vocab: missing`:          {`"vocab":300,`, ``},
		`line 1: duplicate key "vocab"`:   {`"vocab":300`, `"vocab":300,"vocab":300`},
		`line 1: not valid JSON`:          {`{"study"`, `{"study`},
		`line 2: not valid JSON`:          {"}\n{", "}\n\n{"},
	} {
		f := fileOf(t, runs[0], runs[4])
		edit(t, f, change[0], change[1])
		_, err := f.Load()
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, f.Path+": line ")
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestFile_AnIncompleteLastLineIsAnError(t *testing.T) {
	f := fileOf(t, small.Runs()[0], small.Runs()[1])
	info, err := os.Stat(f.Path)
	require.NoError(t, err)
	for _, cut := range []int64{1, 2, 100} {
		require.NoError(t, os.Truncate(f.Path, info.Size()-cut))
		_, err = f.Load()
		require.EqualError(t, err, f.Path+": line 2: incomplete, no newline at its end")
	}
}

// Any bytes are the results of a study or an error of one line.
func FuzzFile(f *testing.F) {
	file := fileOf(f, small.Runs()[0], small.Runs()[5])
	lines, err := os.ReadFile(file.Path)
	require.NoError(f, err)
	f.Add(lines)
	f.Add([]byte("{\"study\":\"small\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		results, err := file.parse(data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for _, r := range small.Runs() {
			if r.Result = results[r.Name()]; r.Result != nil {
				require.Contains(t, r.String(), "seed")
			}
		}
	})
}
