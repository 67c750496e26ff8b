//go:build !linux

package gopherdiscovery

import (
	"net"
	"time"
)

// setUserTimeout is for Linux. Elsewhere the system's own limit holds.
func setUserTimeout(net.Conn, time.Duration) {}
