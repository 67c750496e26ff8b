package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
)

// fromFiles is a value that was read from files. It is read again when one of
// them has changed. A file that cannot be read, or is of no use, replaces
// nothing. The methods may be called concurrently.
type fromFiles[T any] struct {
	files  []string
	read   func() (T, error)
	logger *slog.Logger

	mu    sync.Mutex    // guards the fields below
	value T             // the last that was of use
	seen  []os.FileInfo // the files when they were last read; nil for one that is not there
	err   error         // why value is not what is in the files
}

// newFromFiles returns the error of the first read as it is.
func newFromFiles[T any](logger *slog.Logger, read func() (T, error), files ...string) (*fromFiles[T], error) {
	f := &fromFiles[T]{files: files, read: read, logger: logger, seen: stat(files)}
	var err error
	f.value, err = read()
	return f, err
}

// get returns the value. It logs once for each change of the files, and not at
// all as long as they have not been changed.
func (f *fromFiles[T]) get() T {
	value, isNews, err := f.refresh(false)
	switch { // without the lock: a logger may hang
	case isNews && err != nil:
		f.logger.Warn("keeping what was in the files before they changed", "files", f.files, "error", err)
	case isNews:
		f.logger.Info("the files have changed and were read again", "files", f.files)
	}
	return value
}

// reload reads the files whether they have changed or not.
func (f *fromFiles[T]) reload() error {
	_, _, err := f.refresh(true)
	return err
}

// refresh also returns whether there is something to log. Files that are of no
// use are read each time, because the reason may have gone without a change of
// theirs: a process that is out of file descriptors can look at files, but not
// open them.
func (f *fromFiles[T]) refresh(always bool) (_ T, isNews bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// Before the read: a change during it is seen the next time.
	now := stat(f.files)
	changed := !slices.EqualFunc(f.seen, now, isSame)
	if !always && !changed && f.err == nil {
		return f.value, false, nil
	}
	f.seen = now
	before := f.err
	value, err := f.read()
	f.err = err
	if err == nil {
		f.value = value
	}
	return f.value, changed || fmt.Sprint(err) != fmt.Sprint(before), err
}

// stat follows symbolic links. Kubernetes changes a file by changing one of
// those on its path.
func stat(files []string) []os.FileInfo {
	infos := make([]os.FileInfo, len(files))
	for i, file := range files {
		if info, err := os.Stat(file); err == nil {
			infos[i] = info
		}
	}
	return infos
}

func isSame(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// reloadAll logs one line.
func reloadAll(logger *slog.Logger, reloads []func() error) {
	var errs []error
	for _, reload := range reloads {
		errs = append(errs, reload())
	}
	switch err := errors.Join(errs...); {
	case len(reloads) == 0:
		logger.Info("SIGHUP: there are no files to read again")
	case err != nil:
		logger.Warn("SIGHUP: keeping what was in the files before", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
	default:
		logger.Info("SIGHUP: the files were read again")
	}
}
