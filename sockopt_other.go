//go:build !linux

package gopherdiscovery

import (
	"net"
	"time"
)

// setUserTimeout does nothing. The system's own limit applies.
func setUserTimeout(net.Conn, time.Duration) {}
