//go:build plan9 || js || wasip1

package gopherdiscovery

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// maxIPCPath is the limit of Linux.
const maxIPCPath = 107

// listenIPC fails, since these systems have no socket files.
func listenIPC(context.Context, *asyncLog, string) (net.Listener, error) {
	return nil, fmt.Errorf("ipc: %w", errors.ErrUnsupported)
}
