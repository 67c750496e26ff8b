package gopherdiscovery

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

// computing is whose turn it is in this process to compute a handshake of TLS: as many as there are processors. All at once
// none would end in time.
var computing = turns{free: runtime.GOMAXPROCS(0)}

// turns lets a few at a time do something, in the order in which they asked, but first those who have begun.
type turns struct {
	mu    sync.Mutex // guards the fields below
	free  int
	begun []chan struct{}
	fresh []chan struct{}
}

// tryTake reports whether it is the caller's turn at once, which ends with give.
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

// take returns when it is the caller's turn. It returns false when gone is closed before.
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
	if at < 0 { // its turn came just now
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

// shakingConn is a connection during its handshake of TLS. It has its turn except while it waits for the other side, and
// only that wait counts against the time that the other side has.
type shakingConn struct {
	net.Conn
	turns  *turns
	spared *atomic.Int64 // until when it does not give way, see handshake
	left   time.Duration // of the other side's time
	begun  bool          // a part of the handshake has been computed
	inTurn bool
	over   bool   // the handshake is
	ahead  []byte // read while it waited for its turn
}

// end is called after the handshake. From then on it is a connection as any.
func (s *shakingConn) end() {
	s.giveTurn()
	s.over = true
}

func (s *shakingConn) Read(b []byte) (n int, err error) {
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
	if s.begun {
		s.spared.Store(start.Add(begunGrace).UnixNano())
	}
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

// Write counts as well: a side that reads nothing is silent too.
func (s *shakingConn) Write(b []byte) (int, error) {
	if s.over {
		return s.Conn.Write(b)
	}
	start := time.Now()
	_ = s.SetWriteDeadline(start.Add(s.left))
	defer func() { s.left -= time.Since(start) }()
	return s.Conn.Write(b)
}

// takeTurn returns false when the other side has gone, or the connection is closed, before it is its turn. It lets everything
// else run before it uses its turn: surveys and lists do not wait for a row of handshakes.
func (s *shakingConn) takeTurn() bool {
	s.spared.Store(math.MaxInt64)
	if s.turns.tryTake() {
		s.inTurn = true
	} else {
		gone, stop := s.watch()
		s.inTurn = s.turns.take(s.begun, gone)
		stop()
	}
	runtime.Gosched()
	return s.inTurn
}

// watch closes gone when the other side goes: then it waits for its turn no longer, and nothing is computed in vain. What the
// other side says meanwhile is kept for Read.
func (s *shakingConn) watch() (gone <-chan struct{}, stop func()) {
	_ = s.SetReadDeadline(time.Time{})
	left, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var said bytes.Buffer
		_, err := io.CopyN(&said, s.Conn, maxReadAhead)
		s.ahead = said.Bytes()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			close(left)
		}
	}()
	return left, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // long ago: the read ends
		<-stopped
	}
}

func (s *shakingConn) giveTurn() {
	if s.inTurn {
		s.inTurn = false
		s.turns.give()
	}
}
