//go:build !plan9 && !js && !wasip1

package gopherdiscovery

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// maxIPCPath is how long the path of a socket file may be.
const maxIPCPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// lockSuffix names the lock file beside a socket file. Who holds the lock may replace the file.
const lockSuffix = ".lock"

// ipcListener owns a socket file, and its lock.
type ipcListener struct {
	*net.UnixListener
	close func() error
}

func (l *ipcListener) Close() error { return l.close() }

// listenIPC replaces the socket file of a process that is gone. One that is in use, and any other file, is left alone.
func listenIPC(ctx context.Context, path string) (_ net.Listener, err error) {
	unlock, err := lockFile(path + lockSuffix)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "unix", Addr: &net.UnixAddr{Net: "unix", Name: path}, Err: err}
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, errnoInUse) && isAbandoned(ctx, path) {
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
		// The system does not use the number of our file again while the socket is open: the same number is the same file.
		if now, err := os.Lstat(path); err == nil && os.SameFile(file, now) {
			_ = os.Remove(path)
		}
		return own.Close()
	})}, nil
}

// isAbandoned reports whether there is a socket file at path on which no process listens.
func isAbandoned(ctx context.Context, path string) bool {
	file, err := os.Lstat(path)
	if err != nil || file.Mode().Type() != os.ModeSocket {
		return false
	}
	d := net.Dialer{Timeout: redialMin}
	nc, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = nc.Close()
	}
	return errors.Is(err, errnoRefused)
}
