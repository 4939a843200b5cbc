package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests leave nothing in the package's folder and depend on nothing that users leave there, as the models that the
// program saves in checkpoints/.

const asProgram = "GOGPT_TEST_AS_PROGRAM" // set: the test's binary is the program

// packageFolder is where go test starts the tests.
var packageFolder, _ = os.Getwd()

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	before := entriesOf(packageFolder)
	code := m.Run()
	if left := newEntries(packageFolder, before); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: new in %s after the tests: %s\n", packageFolder, strings.Join(left, ", "))
		code = max(code, 1)
	}
	os.Exit(code)
}

func entriesOf(folder string) (names []string) {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// newEntries lists what a folder holds beyond the names before, without the profiles that go test itself was asked for.
func newEntries(folder string, before []string) []string {
	known := slices.Clone(before)
	flag.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "test.") {
			known = append(known, filepath.Base(f.Value.String()))
		}
	})
	return slices.DeleteFunc(entriesOf(folder), func(name string) bool { return slices.Contains(known, name) })
}

// leavePackageFolder moves a test that is still in the package's folder into an empty one.
func leavePackageFolder(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	if here == packageFolder {
		t.Chdir(t.TempDir())
	}
}

func TestIsolation_NewEntriesAreNoticed(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "data"), 0o755))
	before := entriesOf(folder)
	require.Equal(t, []string{"data"}, before)
	require.Empty(t, newEntries(folder, before))
	require.NoError(t, os.Mkdir(filepath.Join(folder, checkpointFolder), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, ".m.tmp"), nil, 0o644))
	require.Equal(t, []string{".m.tmp", checkpointFolder}, newEntries(folder, before))
}

// The program looks for saved models, and saves its own, in the folder it runs in.
func TestIsolation_TheProgramRunsInAFolderOfTheTest(t *testing.T) {
	code, out, notes := walked(t, nil)
	require.Equal(t, exitOK, code, notes)
	require.NotContains(t, out, "saved models: ")
	here, err := os.Getwd()
	require.NoError(t, err)
	require.NotEqual(t, packageFolder, here)
	require.FileExists(t, filepath.Join(here, finalPath))
	walked(t, nil, "--finetune-epochs=0")
	again, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, here, again, "a second run finds what the first one saved")
}
