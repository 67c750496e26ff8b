//go:build unix

package render

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file the owner and the group of another one, each if that
// is allowed.
func keepOwner(f *os.File, old fs.FileInfo) {
	if stat, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(-1, int(stat.Gid))
		_ = f.Chown(int(stat.Uid), -1)
	}
}
