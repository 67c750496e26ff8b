//go:build plan9 || js || wasip1

package sp

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// maxIPCPath is the limit of Linux.
const maxIPCPath = 107

// listenIPC fails, since these systems have no socket files.
func listenIPC(context.Context, *Log, string) (net.Listener, error) {
	return nil, fmt.Errorf("ipc: %w", errors.ErrUnsupported)
}
