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

// semaphore limits how many TLS handshakes of an endpoint are computed at a
// time. If all were computed at once, none would end in time. They get a slot
// in the order in which they asked, except that handshakes that have begun go
// first.
type semaphore struct {
	mu           sync.Mutex // guards the fields below
	free         int
	waitingBegun []chan struct{}
	waitingNew   []chan struct{}
}

// tryAcquire acquires a slot if one is free. Otherwise it returns false.
func (s *semaphore) tryAcquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tryAcquireLocked()
}

func (s *semaphore) tryAcquireLocked() bool {
	if s.free == 0 {
		return false
	}
	s.free--
	return true
}

// acquire waits for a slot. It returns false if gone is closed first.
func (s *semaphore) acquire(begun bool, gone <-chan struct{}) bool {
	s.mu.Lock()
	if s.tryAcquireLocked() {
		s.mu.Unlock()
		return true
	}
	queue := &s.waitingNew
	if begun {
		queue = &s.waitingBegun
	}
	slot := make(chan struct{})
	*queue = append(*queue, slot)
	s.mu.Unlock()
	select {
	case <-slot:
		return true
	case <-gone:
	}
	s.mu.Lock()
	at := slices.Index(*queue, slot)
	if at >= 0 {
		*queue = slices.Delete(*queue, at, at+1)
	}
	s.mu.Unlock()
	if at < 0 { // the slot came at the same moment
		s.release()
	}
	return false
}

func (s *semaphore) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, queue := range []*[]chan struct{}{&s.waitingBegun, &s.waitingNew} {
		if len(*queue) > 0 {
			close((*queue)[0])
			*queue = (*queue)[1:]
			return
		}
	}
	s.free++
}

// tlsHandshakeConn is a connection during its TLS handshake. It holds a slot
// except while it waits for the other side. Only that wait counts against the
// time that the other side has.
type tlsHandshakeConn struct {
	net.Conn
	endpoint       *endpoint
	dialed         bool
	protectedUntil *atomic.Int64 // see handshake
	sent           *atomic.Int64 // bytes after the handshake
	remaining      time.Duration // how long the other side may still take
	waited         time.Duration // how long it has waited for slots
	begun          bool          // part of the handshake has been computed
	hasSlot        bool
	over           bool   // the handshake has ended
	callErr        error  // of callUser itself
	ahead          []byte // read while waiting for a slot
}

// end is called after the handshake. Reads and writes then pass straight
// through. The rest of the greeting may keep the server waiting no longer than
// the handshake.
func (s *tlsHandshakeConn) end() {
	s.releaseSlot()
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
	s.releaseSlot()
	start := time.Now()
	grace := helloGrace
	if s.begun {
		grace = begunGrace
	}
	protect(s.protectedUntil, grace)
	_ = s.SetReadDeadline(start.Add(s.remaining))
	n, err = s.Conn.Read(b)
	s.remaining -= time.Since(start)
	if err != nil {
		return n, err
	}
	if !s.acquireSlot() {
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
	_ = s.SetWriteDeadline(start.Add(s.remaining))
	defer func() { s.remaining -= time.Since(start) }()
	return s.Conn.Write(b)
}

// acquireSlot waits for a slot. It returns false if the other side leaves or
// the connection is closed first. It yields before the slot is used, so that
// surveys and lists do not wait for a row of handshakes.
func (s *tlsHandshakeConn) acquireSlot() bool {
	s.protectedUntil.Store(math.MaxInt64)
	if s.endpoint.slots.tryAcquire() {
		s.hasSlot = true
	} else {
		gone, stop := s.watch()
		start := time.Now()
		s.hasSlot = s.endpoint.slots.acquire(s.begun, gone)
		s.waited += time.Since(start)
		stop()
	}
	runtime.Gosched()
	return s.hasSlot
}

// watch closes gone when the other side leaves, so that the wait for a slot
// ends and nothing is computed in vain. It keeps what the other side sends in
// the meantime for Read.
func (s *tlsHandshakeConn) watch() (gone <-chan struct{}, stop func()) {
	_ = s.SetReadDeadline(time.Time{})
	departed, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var said bytes.Buffer
		_, err := io.CopyN(&said, s.Conn, maxReadAhead)
		s.ahead = append(s.ahead, said.Bytes()...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			close(departed)
		}
	}()
	return departed, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // in the past: the read ends
		<-stopped
	}
}

func (s *tlsHandshakeConn) releaseSlot() {
	if s.hasSlot {
		s.hasSlot = false
		s.endpoint.slots.release()
	}
}
