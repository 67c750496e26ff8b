package gopherdiscovery

import (
	"container/list"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// handshakes are those under way at the listeners of a server.
type handshakes struct {
	mu    sync.Mutex     // guards the fields below
	list  list.List      // of *handshake, the oldest first
	count map[string]int // by URL
}

// handshake is one that is under way.
type handshake struct {
	conn pendingConn
	url  string // of the listener

	// protectedUntil is until when it does not give way, as Unix time in nanoseconds: not while it computes or waits for its turn,
	// and once TLS has begun only after the other side has kept us waiting for begunGrace. A subscription in changes of
	// which only HAVE is missing is spared.
	protectedUntil *atomic.Int64

	place *list.Element // in the list; nil when it is not there
}

// pendingConn is a connection that shakes hands.
type pendingConn interface {
	io.Closer
	unread() bool // something has come that was not read yet
}

// add waits while there are as many handshakes of the listener as there may be, and all are protectedUntil: then it is we who are
// slow, and those who come wait in the system's queue. If there is one that keeps us waiting, the oldest of them gives way:
// a connection that says nothing keeps no other out.
func (h *handshakes) add(ctx context.Context, s *handshake) {
	for !h.tryAdd(ctx, s) {
		if !h.giveWay(s.url, false) {
			sleep(ctx, roomPause)
		}
	}
}

func (h *handshakes) tryAdd(ctx context.Context, s *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count[s.url] >= maxHandshakes && ctx.Err() == nil {
		return false
	}
	if h.count == nil {
		h.count = make(map[string]int)
	}
	h.count[s.url]++
	s.place = h.list.PushBack(s)
	return true
}

// remove returns false when the connection has given way.
func (h *handshakes) remove(s *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.place == nil {
		return false
	}
	h.list.Remove(s.place)
	s.place = nil
	h.count[s.url]--
	return true
}

// giveWay closes the oldest connection, of a URL or of any if that is empty, that keeps us waiting for its handshake. If there
// is none it closes the oldest that is spared, if it may. It reports whether there was one; its descriptor is then free.
func (h *handshakes) giveWay(url string, evenProtected bool) bool {
	s := h.oldest(url, time.Now(), evenProtected)
	if s != nil && h.remove(s) {
		_ = s.conn.Close()
	}
	return s != nil
}

func (h *handshakes) oldest(url string, now time.Time, evenProtected bool) (oldest *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.list.Front(); at != nil; at = at.Next() {
		s := at.Value.(*handshake)
		switch {
		case url != "" && s.url != url:
		case s.protectedUntil.Load() <= now.UnixNano() && !s.conn.unread():
			return s
		case oldest == nil && evenProtected:
			oldest = s
		}
	}
	return oldest
}
