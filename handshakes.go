package gopherdiscovery

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// maxHandshakes is how many handshakes a listener has under way at once.
	maxHandshakes = 2048

	// maxAhead is how many bytes are read of the other side while a handshake waits for its turn.
	maxAhead = 4 << 10

	// roomPause is how long a listener waits for room when every handshake waits for its turn.
	roomPause = 10 * time.Millisecond

	// lastSecond is what a handshake of TLS leaves at least for that of SP.
	lastSecond = time.Second
)

// handshakes are those under way at the listeners of a server.
type handshakes struct {
	mu   sync.Mutex // guards list
	list []*conn    // the oldest first
}

// add waits while all the handshakes of the listener that there may be wait for their turn: then it is we who are slow, and
// those who come wait in the system's queue. If there is one that keeps us waiting, the oldest of them gives way: a
// connection that says nothing keeps no other out.
func (h *handshakes) add(c *conn) {
	for !h.tryAdd(c) {
		if !h.giveWay(c.sock, false) {
			sleep(c.sock.ctx, roomPause)
		}
	}
}

func (h *handshakes) tryAdd(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	same := 0
	for _, other := range h.list {
		if other.sock == c.sock {
			same++
		}
	}
	if same >= maxHandshakes && c.sock.ctx.Err() == nil {
		return false
	}
	h.list = append(h.list, c)
	return true
}

// remove returns false when the connection has given way.
func (h *handshakes) remove(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.Index(h.list, c)
	if at >= 0 {
		h.list = slices.Delete(h.list, at, at+1)
	}
	return at >= 0
}

// giveWay closes the oldest connection, of a socket or of any if s is nil, that keeps us waiting for its handshake. If there
// is none it closes the oldest that waits for its turn, if it may. It reports whether there was one; its descriptor is then free.
func (h *handshakes) giveWay(s *socket, evenQueued bool) bool {
	c := h.oldest(s, evenQueued)
	if c != nil && h.remove(c) {
		_ = c.Close()
	}
	return c != nil
}

func (h *handshakes) oldest(s *socket, evenQueued bool) (oldest *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.list {
		switch {
		case s != nil && c.sock != s:
		case !c.queued.Load():
			return c
		case oldest == nil && evenQueued:
			oldest = c
		}
	}
	return oldest
}

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

// take returns when it is the caller's turn. It returns false when done is closed before.
func (t *turns) take(begun bool, done <-chan struct{}) bool {
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
	case <-done:
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
	conn   *conn
	turns  *turns
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
// else run first: surveys and lists do not wait for a row of handshakes.
func (s *shakingConn) takeTurn() bool {
	if s.turns.tryTake() {
		s.inTurn = true
	} else {
		s.conn.queued.Store(true)
		stop := s.watch()
		s.inTurn = s.turns.take(s.begun, s.conn.done)
		stop()
		s.conn.queued.Store(false)
	}
	runtime.Gosched()
	return s.inTurn
}

// watch closes the connection when the other side goes: it waits for its turn no longer, and nothing is computed in vain.
// What the other side says meanwhile is kept for Read.
func (s *shakingConn) watch() (stop func()) {
	_ = s.SetReadDeadline(time.Time{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ahead := make([]byte, maxAhead)
		n, err := io.ReadFull(s.Conn, ahead)
		s.ahead = slices.Clone(ahead[:n])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = s.conn.Close()
		}
	}()
	return func() {
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
