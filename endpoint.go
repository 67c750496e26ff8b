package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// settings is what the owner of an endpoint has a say in.
type settings struct {
	log        *asyncLog
	lost       string        // what the log says it means that no server is left; may be empty
	found      string        // what it says when a server is back
	tls        *tls.Config   // nil without TLS
	maxConns   int           // connections accepted; 0 is no limit
	handshakes *handshakes   // of the server; nil for what only dials
	beat       time.Duration // of a publisher
}

// endpoint is one side of a protocol, with all its connections in any state. It counts what they do, and knows all that has
// to end with it.
type endpoint struct {
	settings
	side
	warnings throttle
	ctx      context.Context // ends with the endpoint
	cancel   context.CancelFunc
	refused  atomic.Uint64 // connections closed before they took part
	broken   atomic.Uint64 // connections closed because they broke the protocol
	failed   atomic.Uint64 // connections that could not be accepted

	mu          sync.Mutex // guards the fields below
	changed     *sync.Cond // a count below fell
	closed      bool
	pipes       int                // connections that take part
	goroutines  int                // goroutines that the end waits for
	inCallbacks int                // of these, in a function of the user's
	joining     int                // connections on their way to take part
	conns       map[io.Closer]bool // connections in any state: whether admitted
	admitted    int                // connections that count against maxConns
}

func newEndpoint(p side, set settings) *endpoint {
	e := &endpoint{side: p, settings: set, warnings: throttle{log: set.log}, conns: make(map[io.Closer]bool)}
	e.changed = sync.NewCond(&e.mu)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// shut lets nothing new in, and waits for the connections that are on their way to take part. It may be called again.
func (e *endpoint) shut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.cancel()
	for e.joining > 0 {
		e.changed.Wait()
	}
}

// end closes all connections after shut, and returns when everything has ended; but it does not wait for long for functions
// of the user's that have not returned.
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

// change changes the guarded fields.
func (e *endpoint) change(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
	e.changed.Broadcast()
}

// enter announces n goroutines that the end has to wait for; each calls leave. It returns false once the endpoint is closed.
func (e *endpoint) enter(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.goroutines += n
	return true
}

func (e *endpoint) leave() { e.change(func() { e.goroutines-- }) }

// callUser calls a function of the user's, which may hang, in a goroutine that has entered.
func (e *endpoint) callUser(f func()) {
	e.change(func() { e.inCallbacks++ })
	defer e.change(func() { e.inCallbacks-- })
	f()
}

// own makes the end close c and wait until c has called disown. It returns false once the endpoint is closed.
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

// admit counts an accepted connection against maxConns, until it is closed. It returns an error when it is one too many, or
// has been closed meanwhile.
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

func (e *endpoint) fullLocked() bool { return e.maxConns > 0 && e.admitted >= e.maxConns }

// refuse closes an accepted connection before it takes part. That a client gives up is no reason to log.
func (e *endpoint) refuse(c io.Closer, from string, err error) {
	closing := e.ctx.Err() != nil
	if !closing {
		e.refused.Add(1)
	}
	_ = c.Close()
	if !closing && !errors.Is(err, errHungUp) {
		e.warnings.warn("new connection closed", "from", from, "error", err)
	}
}

// join announces a connection that is about to take part; joined says that it does, or does not. It returns false once the
// endpoint is closed.
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

// connected returns how many connections take part.
func (e *endpoint) connected() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pipes
}
