//go:build unix

package render_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
)

// number writes how many peers there are.
func number(t *testing.T, files ...string) render.Set {
	t.Helper()
	source := put(t, t.TempDir(), "n.tmpl", "{{len .Peers}}")
	var specs []string
	for _, file := range files {
		specs = append(specs, source+":"+file)
	}
	return parse(t, specs...)
}

// write writes so many peers, and wants that to go well.
func write(t *testing.T, set render.Set, peers int, wantChanged bool) {
	t.Helper()
	changed, err := set.Write(some(t, peers), nil)
	if changed != wantChanged || err != nil {
		t.Errorf("changed %v, error %v, want %v and none", changed, err, wantChanged)
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
	// Whoever has the file open goes on to read the old one.
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
	changed, err := set.Write(some(t, 1), func() error {
		wantText(t, old, "1")
		wantText(t, absent, "1")
		return refuse
	})
	if changed || !errors.Is(err, refuse) {
		t.Errorf("changed %v, error %v, want false and %v", changed, err, refuse)
	}
	wantText(t, old, "old")
	wantText(t, same, "1")
	wantFiles(t, dir, "a", "c")

	for i, want := range []bool{true, false} {
		calls := 0
		changed, err = set.Write(some(t, 1), func() error { calls++; return nil })
		if changed != want || err != nil || (calls > 0) != want {
			t.Errorf("write %d: changed %v, error %v, %d checks, want %v and a check if so", i, changed, err, calls, want)
		}
	}
	wantText(t, old, "1")
	wantText(t, absent, "1")
}

// The second file cannot be written: there is no room in its name for that of
// the file that is to be renamed. And so the first one comes back.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, long := put(t, dir, "first", "old"), filepath.Join(dir, strings.Repeat("x", 250))
	for _, file := range []string{first, filepath.Join(dir, "absent")} {
		before, _ := os.ReadFile(file)
		changed, err := number(t, file, long).Write(some(t, 1), nil)
		if changed || !errors.Is(err, syscall.ENAMETOOLONG) {
			t.Errorf("changed %v, error %v, want false and that a name is too long", changed, err)
		}
		if after, _ := os.ReadFile(file); string(after) != string(before) {
			t.Errorf("%s is %q, want %q", file, after, before)
		}
	}
	wantFiles(t, dir, "first")
}
