package gopherdiscovery

import (
	"sync"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

// arrivals passes the beginnings and ends of sessions, of type S, to the
// server's loop in order. It never blocks a connection.
type arrivals[S any] struct {
	bell sp.Bell // wakes the loop

	mu     sync.Mutex // guards the fields below
	events []sessionEvent[S]
	count  int // current sessions
}

// sessionEvent is the beginning or the end of a session.
type sessionEvent[S any] struct {
	session S
	ended   bool
}

func (a *arrivals[S]) began(s S) { a.add(sessionEvent[S]{session: s}, 1) }

func (a *arrivals[S]) ended(s S) { a.add(sessionEvent[S]{session: s, ended: true}, -1) }

func (a *arrivals[S]) add(e sessionEvent[S], count int) {
	a.mu.Lock()
	a.events = append(a.events, e)
	a.count += count
	a.mu.Unlock()
	a.bell.Ring()
}

// drain returns the events since the last call.
func (a *arrivals[S]) drain() []sessionEvent[S] {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	return events
}

// len returns the number of sessions that have begun and not ended.
func (a *arrivals[S]) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}
