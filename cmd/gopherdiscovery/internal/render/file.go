package render

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// defaultMode is the mode of a file that was not there, less the umask.
const defaultMode = 0o644

// maxLinks is how many symbolic links are followed, as many as Linux does.
const maxLinks = 40

// contents is what is in a file.
type contents struct {
	data []byte
	info fs.FileInfo // nil if there is no file
}

// load returns what is in a file, and the path of the file itself, to which
// symbolic links lead: it is the file that is replaced, not the link. That
// there is no file is no error, but that there is no directory for it is one.
func load(path string) (file string, c contents, err error) {
	if file, err = follow(path); err != nil {
		return "", contents{}, err
	}
	switch c.info, err = os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		return file, contents{}, nil
	case err != nil:
		return "", contents{}, err
	case !c.info.Mode().IsRegular():
		return "", contents{}, fmt.Errorf("%s is not a regular file", path)
	}
	c.data, err = os.ReadFile(file)
	return file, c, err
}

func follow(path string) (string, error) {
	for range maxLinks {
		dir, name := filepath.Split(path) // not Dir, which would go up from a link before ".."
		dir, err := filepath.EvalSymlinks(cmp.Or(dir, "."))
		if err != nil {
			return "", err
		}
		path = filepath.Join(dir, name)
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return path, nil // or it cannot be read, as will be seen
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = dir + string(filepath.Separator) + target
		}
		path = target
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// store replaces a file, so that each reader sees the old one or the new one,
// whole. It keeps the mode of the old one, and its owner where that is
// allowed.
func store(file string, data []byte, old fs.FileInfo) (err error) {
	// Such names are left out by the patterns of nginx, Prometheus and others.
	temporary := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+"."+rand.Text())
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, defaultMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // again where that has failed
			_ = os.Remove(temporary)
		}
	}()
	if old != nil {
		keepOwner(f, old)
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

// change is a file that is to have other bytes.
type change struct {
	file string
	old  contents
	data []byte
}

// compare returns the change that makes a file have these bytes, and nil if it
// has them.
func compare(path string, data []byte) (*change, error) {
	file, old, err := load(path)
	if err != nil || old.info != nil && bytes.Equal(old.data, data) {
		return nil, err
	}
	return &change{file, old, data}, nil
}

func (c *change) do() error { return store(c.file, c.data, c.old.info) }

// undo brings back what was there before.
func (c *change) undo() error {
	if c.old.info == nil {
		return os.Remove(c.file)
	}
	return store(c.file, c.old.data, c.old.info)
}
