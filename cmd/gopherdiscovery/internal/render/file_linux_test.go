package render_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/pkg/xattr"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
)

// mount mounts something until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
}

// readOnly makes what is mounted at a path read-only.
func readOnly(t *testing.T, target string) {
	t.Helper()
	if err := syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// fill leaves no room in a directory.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "full"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "small", dir, "tmpfs", 0, "size=256k")
	file := put(t, dir, "out", "old")
	set := number(t, file)
	_, err := set.Write(some(t, 1), func() error {
		fill(t, dir)
		return syscall.EINVAL
	})
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("error %v, want that of the check alone", err)
	}
	wantText(t, file, "old")
	fill(t, dir)
	if _, err := set.Write(some(t, 1), nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want that the disk is full", err)
	}
	wantText(t, file, "old")
	wantFiles(t, dir, "full", "out")
}

// A file of a container is often a mount point, and its directory read-only.
func TestMountedFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"directory", "read-only directory"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, dir := put(t, t.TempDir(), "host", "what was there before"), t.TempDir()
			mount(t, "container", dir, "tmpfs", 0, "")
			file := put(t, dir, "out", "")
			mount(t, host, file, "", syscall.MS_BIND, "")
			if name != "directory" {
				readOnly(t, dir)
			}
			set := number(t, file)
			if _, err := set.Prepare(); err != nil {
				t.Fatal(err)
			}
			refuse := errors.New("refused")
			if _, err := set.Write(some(t, 1), func() error { wantText(t, host, "1"); return refuse }); !errors.Is(err, refuse) {
				t.Errorf("error %v, want %v", err, refuse)
			}
			wantText(t, host, "what was there before")
			write(t, set, 12, true)
			wantText(t, host, "12")
			wantFiles(t, dir, "out")
		})
	}
	t.Run("read-only file", func(t *testing.T) {
		t.Parallel()
		host, dir := put(t, t.TempDir(), "host", ""), t.TempDir()
		file := put(t, dir, "out", "")
		mount(t, host, file, "", syscall.MS_BIND, "")
		readOnly(t, file)
		if _, err := number(t, file).Prepare(); !errors.Is(err, syscall.EROFS) {
			t.Errorf("error %v, want that the file system is read-only", err)
		}
	})
}

// Its old bytes are kept until they are back, also for a Set that takes the
// place of another.
func TestMountedFileIsNotRestored(t *testing.T) {
	t.Parallel()
	host, dir := put(t, t.TempDir(), "host", "old"), t.TempDir()
	file := put(t, dir, "out", "")
	mount(t, host, file, "", syscall.MS_BIND, "")
	set := number(t, file)
	refuse := errors.New("refused")
	if _, err := set.Write(some(t, 1), func() error { readOnly(t, file); return refuse }); !errors.Is(err, render.ErrNotRestored) {
		t.Errorf("error %v, want ErrNotRestored", err)
	}
	wantText(t, host, "1")
	next := number(t, file)
	next.Replace(set)
	if _, err := next.Check(nil); !errors.Is(err, render.ErrNotRestored) {
		t.Errorf("error %v, want ErrNotRestored again", err)
	}
	if err := syscall.Mount("", file, "", syscall.MS_REMOUNT|syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Write(some(t, 1), func() error { return refuse }); !errors.Is(err, refuse) || errors.Is(err, render.ErrNotRestored) {
		t.Errorf("error %v, want %v alone", err, refuse)
	}
	wantText(t, host, "old")
	write(t, next, 1, true)
	wantText(t, host, "1")
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "disc", dir, "tmpfs", 0, "")
	file := put(t, dir, "out", "old")
	readOnly(t, dir)
	if _, err := number(t, file).Prepare(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("error %v, want that the file system is read-only", err)
	}
}

// accessList lets the owner write, user 1234 read, and the group what it is
// told.
func accessList(group uint16) []byte {
	type entry struct {
		Tag, Perm uint16
		ID        uint32
	}
	const none = ^uint32(0)
	var out bytes.Buffer
	for _, part := range []any{uint32(2), []entry{{0x01, 6, none}, {0x02, 4, 1234}, {0x04, group, none}, {0x10, 4, none}, {0x20, 0, none}}} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

func setAttribute(t *testing.T, file, name string, value []byte) {
	t.Helper()
	if err := xattr.Set(file, name, value); errors.Is(err, syscall.ENOTSUP) {
		t.Skipf("%s: the file system has none: %v", name, err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestWriteKeepsAttributes(t *testing.T) {
	t.Parallel()
	file := put(t, t.TempDir(), "out", "")
	want := map[string]string{"system.posix_acl_access": string(accessList(0)), "user.note": "ours"}
	for name, value := range want {
		setAttribute(t, file, name, []byte(value))
	}
	before := stat(t, file).Mode
	write(t, number(t, file), 1, true)
	for name, value := range want {
		if got, err := xattr.Get(file, name); string(got) != value || err != nil {
			t.Errorf("%s is %x, error %v, want %x", name, got, err, value)
		}
	}
	if got := stat(t, file).Mode; got != before {
		t.Errorf("mode %o, want %o", got, before)
	}
}

func TestWriteInheritsNoAccess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := put(t, dir, "out", "")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	setAttribute(t, dir, "system.posix_acl_default", accessList(0))
	write(t, number(t, file), 1, true)
	if got, err := xattr.Get(file, "system.posix_acl_access"); err == nil {
		t.Errorf("the access control list is %x, want none", got)
	}
}

// A user that is no member of the file's group may not give it the new file. Of
// an access control list the others keep what they have.
func TestAnotherGroupGainsNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const access = "system.posix_acl_access"
	for _, test := range []struct {
		name       string
		list, want []byte
		mode       uint32
	}{
		{"mode", nil, nil, 0o644},
		{"access control list", accessList(4), accessList(0), 0o640},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := put(t, dir, "out", "")
			set := number(t, file)
			if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(filepath.Dir(dir), 0o755),
				os.Chown(file, 1234, 5678), os.Chmod(file, 0o664)); err != nil {
				t.Fatal(err)
			}
			if test.list != nil {
				setAttribute(t, file, access, test.list)
			}
			ended := make(chan error)
			go func() {
				runtime.LockOSThread() // and the thread ends with the goroutine
				if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 1234, 1234, 1234); errno != 0 {
					ended <- errno
					return
				}
				_, err := set.Write(nil, nil)
				ended <- err
			}()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if s := stat(t, file); s.Gid == 5678 || s.Mode&0o777 != test.mode {
				t.Errorf("group %d, mode %o, want another group and %o", s.Gid, s.Mode&0o777, test.mode)
			}
			if got, _ := xattr.Get(file, access); !bytes.Equal(got, test.want) {
				t.Errorf("the access control list is %x, want %x", got, test.want)
			}
		})
	}
}
