package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// textWriter returns a write function that writes s.
func textWriter(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// requireFolder requires that the folder holds exactly these files: their contents by name.
func requireFolder(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	got := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		require.NoError(t, err)
		got[e.Name()] = string(data)
	}
	require.Equal(t, want, got)
}

func TestSave_ReplacesTheWholeFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	for _, content := range []string{"first", "second, longer", "3rd", ""} {
		require.NoError(t, Save(path, textWriter(content)))
		requireFolder(t, folder, map[string]string{"f": content})
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode())
}

func TestSave_LeavesTheOldFileWhenItIsInterrupted(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	require.NoError(t, Save(path, textWriter("old")))
	err := Save(path, func(w io.Writer) error {
		require.NoError(t, textWriter("ne")(w))
		during, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "old", string(during), "while the new content is being written")
		return errors.New("power cut")
	})
	require.EqualError(t, err, path+": power cut")
	requireFolder(t, folder, map[string]string{"f": "old"})
}

func TestSave_ReplacesTheFileThatALinkPointsTo(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	require.NoError(t, os.Mkdir("real", 0o755))
	require.NoError(t, os.WriteFile("real/f", []byte("old"), 0o600))
	require.NoError(t, os.Symlink("real/f", "link"))
	require.NoError(t, Save("link", textWriter("new")))
	requireFolder(t, "real", map[string]string{"f": "new"})
	target, err := os.Readlink("link")
	require.NoError(t, err)
	require.Equal(t, "real/f", target)
}

func TestProbe_ReturnsTheErrorOfSave(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("folder", 0o755))
	require.NoError(t, os.WriteFile("file", []byte("old"), 0o644))
	require.NoError(t, os.Symlink("nowhere", "dangling"))
	for path, want := range map[string]string{
		"folder":      "folder: is a folder, not a file",
		"file/f":      "file/f: not a directory",
		"missing/f":   "missing/f: cannot write into folder missing: no such file or directory",
		"dangling":    "dangling: is a symbolic link to a file that does not exist",
		"":            ": no path",
		"folder/new/": "folder/new/: cannot write into folder folder/new: no such file or directory",
	} {
		require.EqualError(t, Probe(path), want)
		require.EqualError(t, Save(path, textWriter("new")), want)
	}
	require.EqualError(t, Probe(os.DevNull), os.DevNull+": is not a regular file")
	require.NoError(t, Probe("file"))
	require.NoError(t, Probe("folder/new"))
	requireFolder(t, "folder", map[string]string{})
	old, err := os.ReadFile("file")
	require.NoError(t, err)
	require.Equal(t, "old", string(old))
}

func TestPathError_NamesThePathOnce(t *testing.T) {
	_, err := os.Open(filepath.Join(t.TempDir(), "none"))
	require.EqualError(t, PathError("none", err), "none: no such file or directory")
	require.ErrorIs(t, PathError("none", err), os.ErrNotExist)
	require.EqualError(t, PathError("a", errors.New("is empty")), "a: is empty")
}
