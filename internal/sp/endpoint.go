package sp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Settings are the parts of a socket that its owner chooses.
type Settings struct {
	Log        *Log
	Lost       func() string // is logged when no server is left; may be nil
	Found      string        // logged when a server is back
	TLS        *tls.Config   // nil without TLS
	MaxConns   int           // connections accepted; 0 is no limit
	Handshakes *Handshakes   // of the server; nil if the endpoint only dials
	Beat       time.Duration // of a publisher
	slots      *semaphore    // of TLS handshakes; nil for as many as there are processors
}

// endpoint is one side of a protocol with all its connections, whatever their
// state. It counts what happens to them, and tracks everything that must end
// with it.
type endpoint struct {
	Settings
	Protocol
	counts
	warnings throttle
	ctx      context.Context // ends with the endpoint
	cancel   context.CancelFunc
	tlsCalls atomic.Int64 // of callbacks of tls, in progress

	mu      sync.Mutex // guards the fields below
	changed *sync.Cond // a count below may have fallen
	closed  bool
	tracked
}

// counts are of connections that have failed, since the beginning.
type counts struct {
	Refused atomic.Uint64 // closed before they were established
	Broken  atomic.Uint64 // closed because they broke the protocol
	Failed  atomic.Uint64 // could not be accepted
}

// tracked is what must end with an endpoint.
type tracked struct {
	pipes       int                // established connections
	goroutines  int                // that End waits for
	inCallbacks int                // of these, in users' functions
	joining     int                // connections being handed to mangos
	conns       map[io.Closer]bool // in any state; true if admitted
	admitted    int                // connections that count against MaxConns
}

func newEndpoint(p Protocol, set Settings) *endpoint {
	if set.slots == nil {
		set.slots = &semaphore{free: runtime.GOMAXPROCS(0)}
	}
	e := &endpoint{Protocol: p, Settings: set, warnings: throttle{log: set.Log}, tracked: tracked{conns: make(map[io.Closer]bool)}}
	e.changed = sync.NewCond(&e.mu)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// shut lets nothing new in, and waits for the connections that are joining. It
// may be called more than once.
func (e *endpoint) shut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.cancel()
	for e.joining > 0 {
		e.changed.Wait()
	}
}

// end closes all connections after shut, and returns when everything has ended.
// It waits at most callbackGrace for users' functions that do not return.
func (e *endpoint) end() {
	e.mu.Lock()
	var conns []io.Closer
	for c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	patient := true
	grace := time.AfterFunc(callbackGrace, func() { e.change(func() { patient = false }) })
	defer grace.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.goroutines > e.inCallbacks || len(e.conns) > 0 || e.inCallbacks > 0 && patient {
		e.changed.Wait()
	}
}

// change calls do with the mutex held, and wakes goroutines that wait for a
// change.
func (e *endpoint) change(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
	e.changed.Broadcast()
}

// Enter registers n goroutines that End waits for. Each must call Exit. It
// returns false once the endpoint is closed.
func (e *endpoint) Enter(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.goroutines += n
	return true
}

// Exit records that a goroutine has ended.
func (e *endpoint) Exit() { e.change(func() { e.goroutines-- }) }

// CallUser calls a user's function, which may hang. The goroutine must
// have been registered with Enter.
func (e *endpoint) CallUser(f func()) {
	e.change(func() { e.inCallbacks++ })
	defer e.change(func() { e.inCallbacks-- })
	f()
}

// own makes End close c and wait until disown has been called for it. It
// returns false once the endpoint is closed.
func (e *endpoint) own(c io.Closer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.conns[c] = false
	return true
}

func (e *endpoint) disown(c io.Closer) {
	e.change(func() {
		if e.conns[c] {
			e.admitted--
		}
		delete(e.conns, c)
	})
}

// admit counts an accepted connection against MaxConns until it is closed. It
// returns an error if there are MaxConns already, or if c or the endpoint has
// been closed in the meantime.
func (e *endpoint) admit(c io.Closer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.conns[c]; !open || e.closed {
		return errGaveWay
	}
	if e.fullLocked() {
		return errFull
	}
	e.conns[c] = true
	e.admitted++
	return nil
}

func (e *endpoint) full() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fullLocked()
}

func (e *endpoint) fullLocked() bool { return e.MaxConns > 0 && e.admitted >= e.MaxConns }

// refuse closes an accepted connection before it is established. It logs err,
// unless the client has just hung up.
func (e *endpoint) refuse(c io.Closer, from string, err error) {
	closing := e.ctx.Err() != nil
	if !closing {
		e.Refused.Add(1)
	}
	_ = c.Close()
	if !closing && !errors.Is(err, errHungUp) {
		e.warnings.warn("new connection closed", from, err)
	}
}

// drop counts and logs a connection that is about to be closed because the
// other side has broken the protocol, or is no longer authorized. The outage is
// that of the server, or nil if the connection was accepted.
func (e *endpoint) drop(o *Outage, from string, err error) {
	e.Broken.Add(1)
	if o != nil {
		o.sentBadInput(err)
	}
	e.warnings.warn("connection closed", from, err)
}

// join registers a connection that is being handed to mangos. The socket calls
// joined when it has taken the connection or refused it. It returns false once
// the endpoint is closed.
func (e *endpoint) join() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.joining++
	}
	return !e.closed
}

func (e *endpoint) joined() { e.change(func() { e.joining-- }) }

func (e *endpoint) countPipe(n int) { e.change(func() { e.pipes += n }) }

// pipeCount returns the number of established connections.
func (e *endpoint) pipeCount() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pipes
}
