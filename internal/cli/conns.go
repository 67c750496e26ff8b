package cli

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConns returns how many connections an HTTP server may have. The rest of
// the process needs most of its descriptors.
func maxConns() int { return int(max(1, min(maxDescriptors()/4, 10000))) }

// conns are the open connections of an HTTP server. A new one is never refused,
// since a stranger who opens many could keep all others out.
type conns struct {
	most int

	mu  sync.Mutex // guards the field below
	all map[net.Conn]connState
}

type connState struct {
	state http.ConnState
	since time.Time
}

// set is called by the server when the state of a connection changes. A
// hijacked one is no longer the server's.
func (c *conns) set(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateHijacked, http.StateClosed:
		delete(c.all, conn)
		return
	case http.StateNew:
		if len(c.all) >= c.most {
			c.closeOneLocked()
		}
	}
	c.all[conn] = connState{state, time.Now()}
}

// closeOneLocked closes the connection that has been without a request for
// longest. When all have one it is that of the oldest request.
func (c *conns) closeOneLocked() {
	var oldest net.Conn
	for conn, s := range c.all {
		if oldest == nil || s.isBefore(c.all[oldest]) {
			oldest = conn
		}
	}
	_ = oldest.Close()
	delete(c.all, oldest)
}

func (s connState) isBefore(other connState) bool {
	if active := s.state == http.StateActive; active != (other.state == http.StateActive) {
		return !active
	}
	return s.since.Before(other.since)
}

// closeNew closes the connections whose first request has not come.
func (c *conns) closeNew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, s := range c.all {
		if s.state == http.StateNew {
			_ = conn.Close()
		}
	}
}
