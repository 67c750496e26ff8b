package gopherdiscovery

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

// memoryStream is one direction of a connection. It remembers everything that
// passes.
type memoryStream struct {
	mu           sync.Mutex // guards the fields below
	changed      *sync.Cond
	sent         []byte
	writes       []memoryWrite
	taken        int // how much of sent has been read
	frozen       bool
	readsNothing bool          // the reader does not read
	trickle      time.Duration // each byte takes this long; zero for no time
	// halted makes tryWrite block, although it must not: the writer is stopped.
	halted   bool
	cut      bool
	noReader bool // the end that reads is closed
	noWriter bool
	readBy   memoryDeadline
	writeBy  memoryDeadline
}

// memoryWrite records when bytes were written.
type memoryWrite struct {
	end int // in what was sent
	at  time.Time
}

func newMemoryStream() *memoryStream {
	s := new(memoryStream)
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *memoryStream) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.changed.Broadcast()
}

func (s *memoryStream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.noReader:
			return 0, net.ErrClosed
		case s.cut:
			return 0, sp.ErrnoReset
		case s.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case s.readsNothing:
		case !s.frozen && s.taken < len(s.sent):
			if s.trickle > 0 {
				b = b[:1]
				s.mu.Unlock()
				time.Sleep(s.trickle)
				s.mu.Lock()
			}
			n := copy(b, s.sent[s.taken:])
			s.taken += n
			s.changed.Broadcast()
			return n, nil
		case !s.frozen && s.noWriter:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *memoryStream) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.frozen && s.trickle == 0 && s.taken < len(s.sent)
}

// unacked is what a system at the other end would not have acknowledged.
func (s *memoryStream) unacked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.frozen {
		return 0
	}
	return len(s.sent) - s.taken
}

func (s *memoryStream) write(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n < len(b) {
		if err := s.writeErrorLocked(); err != nil {
			return n, err
		}
		wrote := s.takeLocked(b[n:])
		n += wrote
		if wrote == 0 {
			s.changed.Wait()
		}
	}
	return n, nil
}

func (s *memoryStream) tryWrite(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.halted && s.writeErrorLocked() == nil {
		s.changed.Wait()
	}
	if err := s.writeErrorLocked(); err != nil {
		return 0, err
	}
	return s.takeLocked(b), nil
}

func (s *memoryStream) writeErrorLocked() error {
	switch {
	case s.noWriter:
		return net.ErrClosed
	case s.cut, s.noReader && !s.frozen:
		return sp.ErrnoReset
	case s.writeBy.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// takeLocked takes as many bytes as there is room for.
func (s *memoryStream) takeLocked(b []byte) int {
	n := min(len(b), memoryRoom-(len(s.sent)-s.taken))
	if n > 0 {
		s.sent = append(s.sent, b[:n]...)
		s.writes = append(s.writes, memoryWrite{len(s.sent), time.Now()})
		s.changed.Broadcast()
	}
	return n
}

// messages returns the messages sent so far.
func (s *memoryStream) messages() (all []MemoryMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const hello, head = 8, 1 + 8 // a message begins as on ipc
	writes := s.writes
	for at := hello; at+head <= len(s.sent); {
		begin := at + head
		at = begin + int(binary.BigEndian.Uint64(s.sent[at+1:]))
		if at > len(s.sent) {
			break
		}
		for writes[0].end < at {
			writes = writes[1:]
		}
		all = append(all, MemoryMessage{writes[0].at, string(s.sent[begin:at])})
	}
	return all
}

// memoryDeadline is a deadline for reading or writing.
type memoryDeadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *memoryDeadline) set(s *memoryStream, at time.Time) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = at, nil
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() { s.change(func() {}) })
	}
}

func (d *memoryDeadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
