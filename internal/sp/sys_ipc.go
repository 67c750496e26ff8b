//go:build !plan9 && !js && !wasip1

package sp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
)

// maxIPCPath is the longest path of a socket file, in bytes.
const maxIPCPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// lockSuffix is appended to the name of a socket file to name its lock file. A
// process that holds the lock may replace the socket file.
const lockSuffix = ".lock"

// ipcListener owns a socket file and its lock.
type ipcListener struct {
	*net.UnixListener
	close func() error
}

func (l *ipcListener) Close() error { return l.close() }

// errNoLock is the error for a file system that has no locks, such as some
// network file systems.
var errNoLock = errors.New("the file system has no locks")

// listenIPC listens on a socket file. It replaces a socket file that a process
// has left behind. It leaves a socket file in use, and any other file, alone.
func listenIPC(ctx context.Context, log *Log, path string) (_ net.Listener, err error) {
	unlock, err := lockFile(path + lockSuffix)
	switch {
	case errors.Is(err, errNoLock):
		log.add(slog.LevelWarn, "servers that start at the same moment may take the socket file from each other", "path", path, "error", err)
	case err != nil:
		return nil, &net.OpError{Op: "listen", Net: "unix", Addr: &net.UnixAddr{Net: "unix", Name: path}, Err: err}
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, ErrnoInUse) && isAbandoned(ctx, path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		ln, err = new(net.ListenConfig).Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, err
	}
	own := ln.(*net.UnixListener)
	own.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	if err != nil {
		_ = own.Close()
		return nil, err
	}
	return &ipcListener{UnixListener: own, close: sync.OnceValue(func() error {
		defer unlock()
		// The system does not reuse the inode number of the file while the
		// socket is open, so the same number means the same file.
		if now, err := os.Lstat(path); err == nil && os.SameFile(file, now) {
			_ = os.Remove(path)
		}
		return own.Close()
	})}, nil
}

// isAbandoned reports whether path is a socket file on which no process
// listens.
func isAbandoned(ctx context.Context, path string) bool {
	file, err := os.Lstat(path)
	if err != nil || file.Mode().Type() != os.ModeSocket {
		return false
	}
	d := net.Dialer{Timeout: connectTime}
	nc, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = nc.Close()
	}
	return errors.Is(err, ErrnoRefused)
}
