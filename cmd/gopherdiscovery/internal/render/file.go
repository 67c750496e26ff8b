package render

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
)

// Modes of files that are made, less the umask. The readers of a file that
// replaces another one are known when it has the attributes of that.
const (
	newMode     = 0o644
	replaceMode = 0o600
)

// maxLinks is how many symbolic links are followed, as many as Linux does.
const maxLinks = 40

// Siblings of a file, in its directory. They outlive the process if that is
// killed. The patterns of nginx, Prometheus and others leave out such names.
const (
	next   = ".next"   // the new file, until it is whole
	before = ".before" // the file that was replaced, until the new one counts
	absent = ".absent" // is there, until the new file counts, if there was none before
)

func sibling(file, suffix string) string {
	return filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+suffix)
}

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

// probe returns an error if a file cannot be changed.
func probe(file string) error {
	if isMounted(file) {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return f.Close()
	}
	f, err := create(file, replaceMode)
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// isMounted reports whether a file is a mount point of its own, as containers
// have them. No other file can be renamed to it.
func isMounted(file string) bool {
	mounted, err := mountinfo.Mounted(file)
	return err == nil && mounted
}

// create creates the next sibling of a file, instead of one that is left over.
func create(file string, mode fs.FileMode) (*os.File, error) {
	name := sibling(file, next)
	_ = os.Remove(name)
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

// change is a file that is to have other bytes. The old ones are kept until
// settle.
type change struct {
	file    string
	old     contents
	data    []byte
	mounted bool
}

// compare returns the change that makes a file have these bytes, and nil if it
// has them.
func compare(path string, data []byte) (*change, error) {
	file, old, err := load(path)
	if err != nil || old.info != nil && bytes.Equal(old.data, data) {
		return nil, err
	}
	return &change{file, old, data, isMounted(file)}, nil
}

// do replaces the file, so that each reader sees the old one or the new one,
// whole, unless the file is mounted.
func (c *change) do() error {
	if c.mounted {
		return overwrite(c.file, c.data)
	}
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.keepOld(); err != nil {
		return err
	}
	return os.Rename(sibling(c.file, next), c.file)
}

// prepare makes the next sibling.
func (c *change) prepare() error {
	mode := fs.FileMode(newMode)
	if c.old.info != nil {
		mode = replaceMode
	}
	f, err := create(c.file, mode)
	if err != nil {
		return err
	}
	defer f.Close() // again, unless something fails
	if c.old.info != nil {
		if err := keep(f, c.file, c.old.info); err != nil {
			return err
		}
	}
	return finish(f, c.data)
}

// keepOld keeps the file itself, not its bytes. It can come back when the disk
// is full, and has all of its attributes then.
func (c *change) keepOld() error {
	if c.old.info == nil {
		return os.WriteFile(sibling(c.file, absent), nil, replaceMode)
	}
	old := sibling(c.file, before)
	if os.Link(c.file, old) == nil {
		return nil
	}
	return os.Rename(c.file, old) // for a moment there is none, where files have one name only
}

// undo brings back what was there before, if do has changed it.
func (c *change) undo() error {
	if !c.mounted {
		_, err := restore(c.file)
		return err
	}
	if err := overwrite(c.file, c.old.data); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRestored, err)
	}
	return nil
}

// settle gives up what was there before.
func (c *change) settle() error {
	if c.mounted {
		return nil
	}
	return errors.Join(remove(sibling(c.file, before)), remove(sibling(c.file, absent)))
}

// restore brings back what was at a file before changes that are not settled,
// also those of a process that was killed. It returns whether there were any.
func restore(file string) (restored bool, err error) {
	_ = os.Remove(sibling(file, next))
	old, none := sibling(file, before), sibling(file, absent)
	switch {
	case exists(old):
		if err = os.Rename(old, file); err == nil {
			err = remove(old) // it stays if both are names of one file
		}
	case exists(none):
		if err = remove(file); err == nil {
			err = remove(none)
		}
	default:
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotRestored, err)
	}
	return true, nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// remove removes a file that need not be there.
func remove(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// overwrite gives a file other bytes. It frees no block of the disk before the
// new bytes are there.
func overwrite(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close() // again, unless something fails
	return finish(f, data)
}

// finish writes all that is to be in a file, and closes it.
func finish(f *os.File, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
