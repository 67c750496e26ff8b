//go:build !linux

package sp

import (
	"net"
	"syscall"
	"time"
)

// setUserTimeout does nothing. The system's own limit applies.
func setUserTimeout(net.Conn, time.Duration) {}

// stopListening does nothing. To close a listener is enough, or all there is.
func stopListening(net.Listener) {}

// resetSelf does nothing. Only Linux is known to connect a socket to itself.
func resetSelf(string, string, syscall.RawConn) error { return nil }

// listenConfig returns how to listen on TCP. The options of accepted
// connections are set as they are accepted.
func listenConfig() net.ListenConfig { return net.ListenConfig{KeepAliveConfig: KeepAlive} }

// unacked always returns false, since these systems do not tell.
func unacked(syscall.RawConn) (bytes int, known bool) { return 0, false }
