//go:build unix

package render_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
)

// number writes how many peers there are.
func number(t *testing.T, files ...string) *render.Set {
	t.Helper()
	source := put(t, t.TempDir(), "n.tmpl", "{{len .Peers}}")
	var specs []string
	for _, file := range files {
		specs = append(specs, source+":"+file)
	}
	return parse(t, specs...)
}

// write writes so many peers, and wants that to go well.
func write(t *testing.T, set *render.Set, peers int, wantNews bool) {
	t.Helper()
	news, err := set.Write(some(t, peers), nil)
	if news != wantNews || err != nil {
		t.Errorf("news %v, error %v, want %v and none", news, err, wantNews)
	}
}

// wantFiles wants nothing else in a directory: no file that was to be renamed.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("in the directory are %q, error %v, want %q", got, err, want)
	}
}

func stat(t *testing.T, file string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	set := number(t, file)
	write(t, set, 0, true)
	wantText(t, file, "0")
	before := stat(t, file)
	write(t, set, 0, false)
	if after := stat(t, file); *after != *before {
		t.Errorf("the file has become %+v, want %+v: the bytes are the same", after, before)
	}
	// A process that has the file open goes on to read the old one.
	old, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	write(t, set, 12, true)
	wantText(t, file, "12")
	text := make([]byte, 10)
	if n, err := old.Read(text); string(text[:n]) != "0" || err != nil {
		t.Errorf("the old file is %q, error %v, want 0", text[:n], err)
	}
	wantFiles(t, dir, "out")
}

func TestWriteKeepsModeAndOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := put(t, dir, "out", "")
	if err := os.Chmod(file, 0o606); err != nil {
		t.Fatal(err)
	}
	isRoot := os.Geteuid() == 0
	if isRoot {
		if err := os.Chown(file, 1234, 5678); err != nil {
			t.Fatal(err)
		}
	}
	before := stat(t, file)
	want := fmt.Sprint(before.Mode, before.Uid, before.Gid)
	is := func(when string) {
		t.Helper()
		if s := stat(t, file); fmt.Sprint(s.Mode, s.Uid, s.Gid) != want {
			t.Errorf("%s mode, owner and group are %v %v %v, want %s", when, s.Mode, s.Uid, s.Gid, want)
		}
	}
	set := number(t, file)
	write(t, set, 1, true)
	is("when written")
	_, _ = set.Write(some(t, 2), func() error { return errors.New("no") })
	is("when brought back")
	if !isRoot {
		t.Log("only root can give a file away: the owner was ours all the time")
	}
}

func TestWriteNewFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out")
	write(t, number(t, file), 1, true)
	like := put(t, t.TempDir(), "like", "") // with the umask
	if got, want := stat(t, file).Mode, stat(t, like).Mode; got != want {
		t.Errorf("mode %o, want %o", got, want)
	}
}

func TestWriteEmptyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out")
	set := parse(t, put(t, t.TempDir(), "empty", "")+":"+file)
	write(t, set, 1, true)
	wantText(t, file, "")
	write(t, set, 1, false)
}

func TestWriteFollowsLinks(t *testing.T) {
	t.Parallel()
	for _, isThere := range []bool{true, false} {
		t.Run(fmt.Sprint("file is there ", isThere), func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			real, links := filepath.Join(top, "real"), filepath.Join(top, "links")
			for _, dir := range []string{real, links, filepath.Join(real, "sub")} {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if isThere {
				put(t, real, "out", "")
			}
			link(t, filepath.Join(real, "sub"), links, "sub") // so that links/sub/.. is real
			link(t, "sub/../out", links, "one")
			file := link(t, filepath.Join(links, "one"), links, "two")
			write(t, number(t, file), 3, true)
			wantText(t, filepath.Join(real, "out"), "3")
			wantFiles(t, links, "one", "sub", "two")
			wantFiles(t, real, "out", "sub")
			if stat(t, file).Mode&syscall.S_IFMT != syscall.S_IFLNK {
				t.Errorf("%s is no symbolic link any more", file)
			}
		})
	}
	t.Run("in a circle", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		link(t, "b", dir, "a")
		_, err := render.Parse("@nginx:" + link(t, "a", dir, "b"))
		if !errors.Is(err, render.ErrInvalid) {
			t.Errorf("error %v, want ErrInvalid", err)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, absent, same := put(t, dir, "a", "old"), filepath.Join(dir, "b"), put(t, dir, "c", "1")
	set := number(t, old, absent, same)
	refuse := errors.New("refused")
	news, err := set.Write(some(t, 1), func() error {
		wantText(t, old, "1")
		wantText(t, absent, "1")
		return refuse
	})
	if news || !errors.Is(err, refuse) {
		t.Errorf("news %v, error %v, want false and %v", news, err, refuse)
	}
	wantText(t, old, "old")
	wantText(t, same, "1")
	wantFiles(t, dir, "a", "c")

	for i, want := range []bool{true, false} {
		calls := 0
		news, err = set.Write(some(t, 1), func() error { calls++; return nil })
		if news != want || err != nil || (calls > 0) != want {
			t.Errorf("write %d: news %v, error %v, %d checks, want %v and a check if so", i, news, err, calls, want)
		}
	}
	wantText(t, old, "1")
	wantText(t, absent, "1")
}

// The second file cannot be written: there is no room in its name for those of
// its siblings. And so the first one comes back.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, long := put(t, dir, "first", "old"), filepath.Join(dir, strings.Repeat("x", 250))
	for _, file := range []string{first, filepath.Join(dir, "absent")} {
		before, _ := os.ReadFile(file)
		set := number(t, file, long)
		news, err := set.Write(some(t, 1), nil)
		if news || !errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, render.ErrNotRestored) {
			t.Errorf("news %v, error %v, want false and that a name is too long", news, err)
		}
		if after, _ := os.ReadFile(file); string(after) != string(before) {
			t.Errorf("%s is %q, want %q", file, after, before)
		}
		if _, err := set.Prepare(); !errors.Is(err, syscall.ENAMETOOLONG) {
			t.Errorf("Prepare: error %v, want that a name is too long", err)
		}
	}
	wantFiles(t, dir, "first")
}

// A reader of a file that comes back sees the same one.
func TestTheOldFileComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := put(t, dir, "out", "old")
	old := stat(t, file)
	if _, err := number(t, file).Write(some(t, 1), func() error { return errors.New("no") }); err == nil {
		t.Error("no error")
	}
	if now := stat(t, file); now.Ino != old.Ino || now.Nlink != 1 {
		t.Errorf("the file has inode %d and %d names, want %d and 1", now.Ino, now.Nlink, old.Ino)
	}
	wantFiles(t, dir, "out")
}

// kill writes and ends while the files are checked, as if by SIGKILL.
func kill(t *testing.T, set *render.Set, peers int) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = set.Write(some(t, peers), func() error { runtime.Goexit(); return nil })
	}()
	<-ended
}

func TestKilledWhileChecking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, absent := put(t, dir, "a", "old"), filepath.Join(dir, "b")
	kill(t, number(t, old, absent), 1)
	wantText(t, old, "1")
	wantText(t, absent, "1")
	set := number(t, old, absent)
	put(t, dir, ".a.next", "half of it")
	restored, err := set.Prepare()
	if want := []string{old, absent}; !slices.Equal(restored, want) || err != nil {
		t.Errorf("restored %q, error %v, want %q and none", restored, err, want)
	}
	wantText(t, old, "old")
	wantFiles(t, dir, "a")
	if restored, err := set.Prepare(); len(restored) > 0 || err != nil {
		t.Errorf("restored %q, error %v, want none", restored, err)
	}
	// Write does the same.
	kill(t, set, 2)
	write(t, number(t, old, absent), 3, true)
	wantText(t, old, "3")
	wantFiles(t, dir, "a", "b")
}

// Both names are those of one file when a process is killed just before the
// rename.
func TestKilledBeforeTheRename(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := put(t, dir, "out", "old")
	if err := os.Link(file, filepath.Join(dir, ".out.before")); err != nil {
		t.Fatal(err)
	}
	if _, err := number(t, file).Prepare(); err != nil {
		t.Error(err)
	}
	wantText(t, file, "old")
	wantFiles(t, dir, "out")
}

// The old file is there as a directory of that name, which is not renamed to a
// file.
func TestNotRestored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := put(t, dir, "out", "1")
	set := number(t, file)
	write(t, set, 1, true)
	block := filepath.Join(dir, ".out.before")
	_, err := set.Write(some(t, 2), func() error {
		if err := errors.Join(os.Remove(block), os.Mkdir(block, 0o755)); err != nil {
			t.Fatal(err)
		}
		return errors.New("no")
	})
	if !errors.Is(err, render.ErrNotRestored) {
		t.Errorf("error %v, want ErrNotRestored", err)
	}
	if _, err := set.Write(some(t, 2), nil); !errors.Is(err, render.ErrNotRestored) {
		t.Errorf("error %v, want ErrNotRestored again", err)
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	write(t, set, 2, true) // the bytes are the same, and were not checked
	write(t, set, 2, false)
}
