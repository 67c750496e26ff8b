package gopherdiscovery

import "sync"

// arrivals brings the sessions that begin and end, of type S, to the server's loop in order. It never makes a connection wait.
type arrivals[S any] struct {
	bell bell // rings for the loop

	mu    sync.Mutex // guards the fields below
	moves []move[S]
	count int // sessions that have begun and not ended
}

// move is a session that has begun or ended.
type move[S any] struct {
	session S
	ended   bool
}

func (a *arrivals[S]) began(s S) { a.add(move[S]{session: s}, 1) }

func (a *arrivals[S]) ended(s S) { a.add(move[S]{session: s, ended: true}, -1) }

func (a *arrivals[S]) add(m move[S], count int) {
	a.mu.Lock()
	a.moves = append(a.moves, m)
	a.count += count
	a.mu.Unlock()
	a.bell.ring()
}

// take returns the moves since the last call.
func (a *arrivals[S]) take() []move[S] {
	a.mu.Lock()
	defer a.mu.Unlock()
	moves := a.moves
	a.moves = nil
	return moves
}

func (a *arrivals[S]) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}
