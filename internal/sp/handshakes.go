package sp

import (
	"container/list"
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Handshakes are the handshakes in progress at the listeners of a server.
type Handshakes struct {
	mu    sync.Mutex             // guards the fields below
	list  list.List              // of *handshake, the oldest first
	byURL map[string]*atListener // by the URL of the listener
}

// atListener describes the handshakes at one listener.
type atListener struct {
	count int       // in progress
	began time.Time // when the last one began
	late  time.Time // when one last ended that had to wait for this process
}

// HandshakeState is the state of the handshakes at a URL.
type HandshakeState struct {
	Waiting bool      // one waits for this process
	Late    time.Time // when one last ended that had to wait for long; zero if none
	Began   time.Time // when the last one began; zero if none
}

// handshake is a handshake in progress.
type handshake struct {
	conn pendingConn
	url  string // of the listener

	// protectedUntil is when the handshake may give way, as Unix time in
	// nanoseconds. It never gives way before this process has got around to it,
	// while it computes or waits for a slot, or when it is over. It gives way
	// only when the other side has kept it waiting for helloGrace, or for
	// begunGrace once TLS has begun or changes were asked for.
	protectedUntil *atomic.Int64

	place *list.Element // in the list; nil if it is not in it
}

// protect lets a handshake give way after d at the earliest.
func protect(until *atomic.Int64, d time.Duration) { until.Store(time.Now().Add(d).UnixNano()) }

// pendingConn is a connection during its handshake.
type pendingConn interface {
	io.Closer
	// unread reports whether bytes have arrived that have not been read yet.
	unread() bool
}

// add adds a handshake. If its listener already has MaxHandshakes, the oldest
// one that is waiting for the other side gives way, so that silent connections
// keep no other out. If all are protected, this process is the slow side: add
// waits, and new connections wait in the system's queue.
func (h *Handshakes) add(ctx context.Context, s *handshake) {
	for !h.tryAdd(ctx, s) {
		if !h.giveWay(s.url, false) {
			sleep(ctx, roomPause)
		}
	}
}

// tryAdd adds a handshake if there is room, or ctx has ended. Otherwise it
// returns false.
func (h *Handshakes) tryAdd(ctx context.Context, s *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.atLocked(s.url)
	if at.count >= MaxHandshakes && ctx.Err() == nil {
		return false
	}
	at.count++
	at.began = time.Now()
	s.place = h.list.PushBack(s)
	return true
}

func (h *Handshakes) atLocked(url string) *atListener {
	if h.byURL == nil {
		h.byURL = make(map[string]*atListener)
	}
	if h.byURL[url] == nil {
		h.byURL[url] = new(atListener)
	}
	return h.byURL[url]
}

// remove removes a handshake that has ended. It returns false if the connection
// has given way.
func (h *Handshakes) remove(s *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.place == nil {
		return false
	}
	h.list.Remove(s.place)
	s.place = nil
	h.atLocked(s.url).count--
	return true
}

// wasLate records that a handshake at a URL had to wait for this process.
func (h *Handshakes) wasLate(url string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.atLocked(url).late = time.Now()
}

// State returns the state of the handshakes at a URL.
func (h *Handshakes) State(url string) HandshakeState {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.atLocked(url)
	return HandshakeState{
		Late: at.late, Began: at.began,
		Waiting: h.anyLocked(url, (*handshake).isProtected) || h.anyLocked(url, (*handshake).hasUnread),
	}
}

// anyLocked reports whether is reports true for a handshake at a URL.
func (h *Handshakes) anyLocked(url string, is func(*handshake) bool) bool {
	for e := h.list.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*handshake); s.url == url && is(s) {
			return true
		}
	}
	return false
}

// isProtected and hasUnread report that this process is the slow side of the
// handshake. Only hasUnread asks the system, and there may be thousands.
func (s *handshake) isProtected() bool { return s.protectedUntil.Load() == math.MaxInt64 }
func (s *handshake) hasUnread() bool   { return s.conn.unread() }

// giveWay closes the oldest connection that is keeping us waiting for its
// handshake. If url is not empty, only connections to that URL count. If there
// is none and evenProtected is true, it closes the oldest protected one. It
// returns false if there was none to close.
func (h *Handshakes) giveWay(url string, evenProtected bool) bool {
	s := h.oldest(url, time.Now(), evenProtected)
	if s != nil && h.remove(s) {
		_ = s.conn.Close()
	}
	return s != nil
}

func (h *Handshakes) oldest(url string, now time.Time, evenProtected bool) (oldest *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.list.Front(); at != nil; at = at.Next() {
		s := at.Value.(*handshake)
		switch {
		case url != "" && s.url != url:
		case s.tryGiveWay(now):
			return s
		case oldest == nil && evenProtected:
			oldest = s
		}
	}
	return oldest
}

// tryGiveWay returns true if the other side keeps us waiting for so long that
// the handshake may give way. If bytes have arrived that have not been read,
// this process is late. Then it does not ask the system again for helloGrace,
// because there may be thousands of such handshakes.
func (s *handshake) tryGiveWay(now time.Time) bool {
	until := s.protectedUntil.Load()
	if until > now.UnixNano() {
		return false
	}
	if !s.conn.unread() {
		return true
	}
	s.protectedUntil.CompareAndSwap(until, now.Add(helloGrace).UnixNano())
	return false
}
