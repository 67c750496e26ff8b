//go:build !linux

package gopherdiscovery

import (
	"net"
	"time"
)

// limitUnacknowledged is for Linux. Elsewhere the system's own limit holds.
func limitUnacknowledged(net.Conn, time.Duration) {}
