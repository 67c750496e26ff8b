package gopherdiscovery

import "sync"

// arrivals brings the sessions that begin and end, of type S, to the server's loop in order. It never makes a connection wait.
type arrivals[S any] struct {
	bell bell // rings for the loop

	mu     sync.Mutex // guards the fields below
	events []sessionEvent[S]
	count  int // sessions that have begun and not ended
}

// sessionEvent is a session that has begun or ended.
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
	a.bell.ring()
}

// take returns the events since the last call.
func (a *arrivals[S]) take() []sessionEvent[S] {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	return events
}

func (a *arrivals[S]) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}
