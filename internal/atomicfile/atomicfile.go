// Package atomicfile writes a file whole or not at all. A reader never sees half a file, and an interrupted Save leaves
// the old content. It knows nothing of the model.
//
// The method: write a temporary file in the folder of the target, flush it to the disk (fsync), and rename it to the
// target, which replaces the old file in one step (rename in POSIX, IEEE Std 1003.1).
package atomicfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Save replaces the file at path with what write writes. Until the disk holds every byte, and after any error, the old
// file stays as it is. The new file is readable by all and writable by its owner. When path is a symbolic link, Save
// replaces the file that the link points to. An error begins with the path.
func Save(path string, write func(io.Writer) error) error {
	target, err := saveTarget(path)
	if err != nil {
		return PathError(path, err)
	}
	temporary, err := createBeside(target)
	if err != nil {
		return PathError(path, err)
	}
	err = cmp.Or(write(temporary), temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), target)
	}
	if err != nil {
		os.Remove(temporary.Name())
		return PathError(path, err)
	}
	return nil
}

// Probe returns the error that Save would return before it writes the first byte, for example for a folder that does
// not exist or is not writable, or for a path that is not a file. It leaves no file behind.
func Probe(path string) error {
	target, err := saveTarget(path)
	if err != nil {
		return PathError(path, err)
	}
	temporary, err := createBeside(target)
	if err != nil {
		return PathError(path, err)
	}
	temporary.Close()
	return os.Remove(temporary.Name())
}

// saveTarget returns the file that Save replaces: path with its symbolic links resolved. The file need not exist.
func saveTarget(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case path == "":
		return "", errors.New("no path")
	case err == nil && info.IsDir():
		return "", errors.New("is a folder, not a file")
	case err == nil && !info.Mode().IsRegular():
		return "", errors.New("is not a regular file")
	case err == nil:
		return filepath.EvalSymlinks(path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", errors.New("is a symbolic link to a file that does not exist")
	}
	return path, nil
}

// createBeside creates the temporary file in the target's folder. Its name ends with .tmp, so that a command that reads
// the whole folder does not read it as data.
func createBeside(target string) (*os.File, error) {
	folder := filepath.Dir(target)
	f, err := os.CreateTemp(folder, "."+filepath.Base(target)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot write into folder %w", PathError(folder, err))
	}
	return f, nil
}

// PathError returns err with the path before it. An error of package os loses its operation and its own path, so that
// the path appears once: "a.txt: no such file or directory".
func PathError(path string, err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
