package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// saveFile writes a file whole or not at all: the content goes to a temporary file beside it, which takes its name once
// the disk holds every byte. Until then, and after any error, the path holds what it held. The file is readable by all
// and writable by its owner. A symbolic link stays, and the file it leads to is replaced.
func saveFile(path string, write func(io.Writer) error) error {
	target, err := saveTarget(path)
	if err != nil {
		return fileError(path, err)
	}
	temporary, err := createBeside(target)
	if err != nil {
		return fileError(path, err)
	}
	err = cmp.Or(write(temporary), temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), target)
	}
	if err != nil {
		os.Remove(temporary.Name())
		return fileError(path, err)
	}
	return nil
}

// probeWritable returns the error that saveFile would meet before its first byte: a folder that is missing or closed to
// the user, a path that is no file.
func probeWritable(path string) error {
	target, err := saveTarget(path)
	if err != nil {
		return fileError(path, err)
	}
	temporary, err := createBeside(target)
	if err != nil {
		return fileError(path, err)
	}
	temporary.Close()
	return os.Remove(temporary.Name())
}

// saveTarget follows symbolic links to the file that path stands for, which need not exist.
func saveTarget(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case path == "":
		return "", errors.New("no path")
	case err == nil && info.IsDir():
		return "", errors.New("is a folder, not a file")
	case err == nil && !info.Mode().IsRegular():
		return "", errors.New("is no regular file")
	case err == nil:
		return filepath.EvalSymlinks(path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", errors.New("is a symbolic link that leads nowhere")
	}
	return path, nil
}

// createBeside makes an empty file in the target's folder, under a name that no loader takes for data.
func createBeside(target string) (*os.File, error) {
	folder := filepath.Dir(target)
	f, err := os.CreateTemp(folder, "."+filepath.Base(target)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot write into folder %w", fileError(folder, err))
	}
	return f, nil
}

// fileError puts the path before an error about it, in place of the operation and path that package os puts there.
func fileError(path string, err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
