package sp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turns limits how many TLS handshakes of an endpoint are computed at a time. If
// all were computed at once, none would end in time. They proceed in the order
// in which they asked, except that handshakes that have begun go first.
type turns struct {
	mu    sync.Mutex // guards the fields below
	free  int
	begun []chan struct{}
	fresh []chan struct{}
}

// tryTake takes a turn if one is free. Otherwise it returns false. The turn
// ends with give.
func (t *turns) tryTake() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tryTakeLocked()
}

func (t *turns) tryTakeLocked() bool {
	if t.free == 0 {
		return false
	}
	t.free--
	return true
}

// take waits for a turn, which ends with give. It returns false if gone is
// closed first.
func (t *turns) take(begun bool, gone <-chan struct{}) bool {
	t.mu.Lock()
	if t.tryTakeLocked() {
		t.mu.Unlock()
		return true
	}
	queue := &t.fresh
	if begun {
		queue = &t.begun
	}
	turn := make(chan struct{})
	*queue = append(*queue, turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-gone:
	}
	t.mu.Lock()
	at := slices.Index(*queue, turn)
	if at >= 0 {
		*queue = slices.Delete(*queue, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 { // the turn came at the same moment
		t.give()
	}
	return false
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, queue := range []*[]chan struct{}{&t.begun, &t.fresh} {
		if len(*queue) > 0 {
			close((*queue)[0])
			*queue = (*queue)[1:]
			return
		}
	}
	t.free++
}

// tlsHandshakeConn is a connection during its TLS handshake. It holds a turn
// except while it waits for the other side. Only that wait counts against the
// time that the other side has.
type tlsHandshakeConn struct {
	net.Conn
	endpoint       *endpoint
	dialed         bool
	protectedUntil *atomic.Int64 // see handshake
	sent           *atomic.Int64 // bytes after the handshake
	left           time.Duration // how long the other side may still take
	waited         time.Duration // how long it has waited for turns
	begun          bool          // part of the handshake has been computed
	inTurn         bool
	over           bool   // the handshake has ended
	failed         error  // of CallUser itself
	ahead          []byte // read while waiting for a turn
}

// end is called after the handshake. Reads and writes then pass straight
// through. What follows may keep the server waiting no longer than before.
func (s *tlsHandshakeConn) end() {
	s.giveTurn()
	s.over = true
	protect(s.protectedUntil, begunGrace)
}

func (s *tlsHandshakeConn) Read(b []byte) (n int, err error) {
	if len(s.ahead) > 0 {
		n = copy(b, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	if s.over {
		return s.Conn.Read(b)
	}
	s.giveTurn()
	start := time.Now()
	grace := helloGrace
	if s.begun {
		grace = begunGrace
	}
	protect(s.protectedUntil, grace)
	_ = s.SetReadDeadline(start.Add(s.left))
	n, err = s.Conn.Read(b)
	s.left -= time.Since(start)
	if err != nil {
		return n, err
	}
	if !s.takeTurn() {
		return 0, io.ErrUnexpectedEOF
	}
	s.begun = true
	return n, nil
}

// Write counts as waiting too: a side that does not read is also silent.
func (s *tlsHandshakeConn) Write(b []byte) (int, error) {
	if s.over {
		n, err := s.Conn.Write(b)
		s.sent.Add(int64(n))
		return n, err
	}
	start := time.Now()
	_ = s.SetWriteDeadline(start.Add(s.left))
	defer func() { s.left -= time.Since(start) }()
	return s.Conn.Write(b)
}

// takeTurn waits for a turn. It returns false if the other side leaves or the
// connection is closed first. It yields before the turn is used, so that
// surveys and lists do not wait for a row of handshakes.
func (s *tlsHandshakeConn) takeTurn() bool {
	s.protectedUntil.Store(math.MaxInt64)
	if s.endpoint.turns.tryTake() {
		s.inTurn = true
	} else {
		gone, stop := s.watch()
		start := time.Now()
		s.inTurn = s.endpoint.turns.take(s.begun, gone)
		s.waited += time.Since(start)
		stop()
	}
	runtime.Gosched()
	return s.inTurn
}

// watch closes gone when the other side leaves, so that the wait for a turn
// ends and nothing is computed in vain. It keeps what the other side sends in
// the meantime for Read.
func (s *tlsHandshakeConn) watch() (gone <-chan struct{}, stop func()) {
	_ = s.SetReadDeadline(time.Time{})
	left, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var said bytes.Buffer
		_, err := io.CopyN(&said, s.Conn, maxReadAhead)
		s.ahead = append(s.ahead, said.Bytes()...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			close(left)
		}
	}()
	return left, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // in the past: the read ends
		<-stopped
	}
}

func (s *tlsHandshakeConn) giveTurn() {
	if s.inTurn {
		s.inTurn = false
		s.endpoint.turns.give()
	}
}
