//go:build unix

package render

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file the owner and the group of another one, each if that
// is allowed. It returns whether the group is the same now.
func keepOwner(f *os.File, old fs.FileInfo) (sameGroup bool) {
	stat := old.Sys().(*syscall.Stat_t)
	err := f.Chown(-1, int(stat.Gid))
	_ = f.Chown(int(stat.Uid), -1)
	return err == nil
}
