package gopherdiscovery

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"go.nanomsg.org/mangos/v3/transport"
)

const ms = time.Millisecond

// quietSettings are the settings of an endpoint without a log.
var quietSettings = sp.Settings{Log: sp.NewLog(slog.New(slog.DiscardHandler))}

// quiet is a logger that writes nothing.
var quiet = slog.New(slog.DiscardHandler)

// FakeTime runs a test in a bubble of its own, on one processor. On several
// processors the race detector of Go 1.26 crashes now and then, because
// goroutines whose timers are due at the same time share one of its contexts
// (timer.unlockAndRun in runtime/time.go).
func FakeTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, test)
}

// memoryRoom is how many bytes may be on their way in one direction of a
// connection. It is less than a system allows, so that a reader that does not
// read soon holds up the writer.
const memoryRoom = 512

// Memory is a network without an operating system, so that it works in fake
// time. A server listens at the part of a name before its first slash. The rest
// of the name tells connections to that server apart.
type Memory struct {
	id string

	mu      sync.Mutex // guards the fields below
	ports   map[string]*memoryPort
	frozen  map[string]bool
	halting map[string]bool // later connections are halted too
	conns   []*MemoryConn   // in the order in which they were made
}

var (
	memories  sync.Map // from the id to the *Memory
	memoryIDs atomic.Int64
)

// NewMemory returns a network that lasts until the test ends.
func NewMemory(t testing.TB) *Memory {
	m := &Memory{
		id:      fmt.Sprint(memoryIDs.Add(1)),
		ports:   make(map[string]*memoryPort),
		frozen:  make(map[string]bool),
		halting: make(map[string]bool),
	}
	memories.Store(m.id, m)
	t.Cleanup(func() { memories.Delete(m.id) })
	return m
}

// URL returns the URL of a name.
func (m *Memory) URL(name string) string { return memoryScheme + "://" + m.id + "/" + name }

// PlainURL returns a URL for subscribers, at which the server does not offer
// changes.
func (m *Memory) PlainURL(name string) string { return plainScheme + "://" + m.id + "/" + name }

// Freeze stops delivery to and from a name although both ends stay open, as if
// a process were stopped there or the path to it were dead.
func (m *Memory) Freeze(name string) { m.freeze(name, true) }

// Thaw ends a Freeze, and delivers what was written meanwhile. The newest
// connection of each name is the last to go on, a nanosecond after others that
// the name has had.
func (m *Memory) Thaw(name string) {
	conns := m.Conns(name)
	newest := make(map[string]*MemoryConn)
	for _, c := range conns {
		newest[c.name] = c
	}
	for _, c := range conns {
		if c != newest[c.name] {
			c.freeze(false)
		}
	}
	if len(newest) < len(conns) {
		time.Sleep(time.Nanosecond)
	}
	m.freeze(name, false)
}

func (m *Memory) freeze(name string, frozen bool) {
	m.mu.Lock()
	m.frozen[name] = frozen
	p := m.ports[name]
	m.mu.Unlock()
	for _, c := range m.Conns(name) {
		c.freeze(frozen)
	}
	if p != nil {
		p.change(func() { p.frozen = frozen })
	}
}

// Cut breaks the connections to a name.
func (m *Memory) Cut(name string) {
	for _, c := range m.Conns(name) {
		c.cut()
	}
}

// Halt makes the server at a name stop when it next sends something. Bytes that
// are on their way are not delivered.
func (m *Memory) Halt(name string) {
	m.Freeze(name)
	m.halt(name, true)
}

// Continue lets a halted server go on.
func (m *Memory) Continue(name string) {
	m.Thaw(name)
	m.mu.Lock()
	m.halting[name] = false
	m.mu.Unlock()
	m.halt(name, false)
}

func (m *Memory) halt(name string, halted bool) {
	for _, c := range m.Conns(name) {
		c.down.change(func() { c.down.halted = halted })
	}
}

// Conns returns all connections to a name, past ones included.
func (m *Memory) Conns(name string) (conns []*MemoryConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		if isBelow(c.name, name) {
			conns = append(conns, c)
		}
	}
	return conns
}

func isBelow(name, above string) bool {
	return name == above || strings.HasPrefix(name, above+"/")
}

func (m *Memory) listen(name string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ports[name] != nil {
		return nil, sp.ErrnoInUse
	}
	p := &memoryPort{memory: m, name: name, frozen: m.frozen[name]}
	p.changed = sync.NewCond(&p.mu)
	m.ports[name] = p
	return p, nil
}

func (m *Memory) dial(name string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	port, _, _ := strings.Cut(name, "/")
	p := m.ports[port]
	if p == nil {
		return nil, sp.ErrnoRefused
	}
	c := &MemoryConn{name: name, up: newMemoryStream(), down: newMemoryStream()}
	for above, frozen := range m.frozen {
		if frozen && isBelow(name, above) {
			c.freeze(true)
		}
	}
	c.down.halted = m.halting[port]
	m.conns = append(m.conns, c)
	p.change(func() { p.waiting = append(p.waiting, c) })
	return &memoryEnd{MemoryConn: c, in: c.down, out: c.up}, nil
}

// memoryPort is where a server listens.
type memoryPort struct {
	memory *Memory
	name   string

	mu      sync.Mutex // guards the fields below
	changed *sync.Cond
	waiting []*MemoryConn
	frozen  bool
	closed  bool
}

func (p *memoryPort) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	p.changed.Broadcast()
}

func (p *memoryPort) Accept() (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && (p.frozen || len(p.waiting) == 0) {
		p.changed.Wait()
	}
	if p.closed {
		return nil, net.ErrClosed
	}
	c := p.waiting[0]
	p.waiting = p.waiting[1:]
	return &memoryEnd{MemoryConn: c, in: c.up, out: c.down}, nil
}

func (p *memoryPort) Close() error {
	p.memory.mu.Lock()
	if p.memory.ports[p.name] == p {
		delete(p.memory.ports, p.name)
	}
	p.memory.mu.Unlock()
	p.change(func() {
		p.closed = true
		for _, c := range p.waiting {
			c.cut()
		}
	})
	return nil
}

func (p *memoryPort) Addr() net.Addr { return memoryAddr(p.name) }

// memoryAddr is an address on a Memory.
type memoryAddr string

func (memoryAddr) Network() string  { return memoryScheme }
func (a memoryAddr) String() string { return string(a) }

// MemoryConn is a connection.
type MemoryConn struct {
	name     string
	up, down *memoryStream // to the server, and from it
}

func (c *MemoryConn) freeze(frozen bool) {
	for _, s := range []*memoryStream{c.up, c.down} {
		s.change(func() { s.frozen = frozen })
	}
}

// Freeze stops delivery on the connection, or lets it go on.
func (c *MemoryConn) Freeze(frozen bool) { c.freeze(frozen) }

// Cut breaks the connection.
func (c *MemoryConn) Cut() { c.cut() }

func (c *MemoryConn) cut() {
	for _, s := range []*memoryStream{c.up, c.down} {
		s.change(func() { s.cut = true })
	}
}

// MemoryMessage is a message sent over a connection.
type MemoryMessage struct {
	At   time.Time // of its last byte
	Body string
}

// Up returns the messages sent to the server.
func (c *MemoryConn) Up() []MemoryMessage { return c.up.messages() }

// Down returns the messages sent by the server.
func (c *MemoryConn) Down() []MemoryMessage { return c.down.messages() }

// memoryEnd is one end of a connection.
type memoryEnd struct {
	*MemoryConn
	in, out *memoryStream
}

func (e *memoryEnd) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *memoryEnd) Write(b []byte) (int, error) { return e.out.write(b) }
func (e *memoryEnd) LocalAddr() net.Addr         { return memoryAddr(e.name) }
func (e *memoryEnd) RemoteAddr() net.Addr        { return memoryAddr(e.name) }

func (e *memoryEnd) TryWrite(b []byte) (int, error) { return e.out.tryWrite(b) }

func (e *memoryEnd) Unread() bool { return e.in.unread() }

func (e *memoryEnd) Unacked() int { return e.out.unacked() }

func (e *memoryEnd) Close() error {
	e.in.change(func() { e.in.noReader = true })
	e.out.change(func() { e.out.noWriter = true })
	return nil
}

// CloseWrite ends the direction in which this end writes.
func (e *memoryEnd) CloseWrite() error {
	e.out.change(func() { e.out.noWriter = true })
	return nil
}

func (e *memoryEnd) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *memoryEnd) SetReadDeadline(t time.Time) error {
	e.in.change(func() { e.in.readBy.set(e.in, t) })
	return nil
}

func (e *memoryEnd) SetWriteDeadline(t time.Time) error {
	e.out.change(func() { e.out.writeBy.set(e.out, t) })
	return nil
}

const (
	memoryScheme = "memory"
	plainScheme  = "memory+plain"
)

func init() {
	transport.RegisterTransport(sp.NewTransport(memoryScheme, memoryNetwork{}, false))
	transport.RegisterTransport(sp.NewTransport(plainScheme, memoryNetwork{}, true))
}

// memoryNetwork is the network of all Memories. A target is the id of one, a
// slash and a name.
type memoryNetwork struct{}

func (memoryNetwork) Listen(target string) (net.Listener, error) {
	m, name, err := behind(target)
	if err != nil {
		return nil, err
	}
	return m.listen(name)
}

func (memoryNetwork) Dial(target string) (net.Conn, error) {
	m, name, err := behind(target)
	if err != nil {
		return nil, err
	}
	return m.dial(name)
}

// behind returns the network and the name that a target stands for.
func behind(target string) (*Memory, string, error) {
	id, name, _ := strings.Cut(target, "/")
	m, ok := memories.Load(id)
	if !ok {
		return nil, "", fmt.Errorf("there is no network %q", id)
	}
	return m.(*Memory), name, nil
}

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

// ExpectConns checks how many connections to a name were made, and how many are
// still open at the end that dialed.
func (m *Memory) ExpectConns(t *testing.T, name string, made, open int) {
	t.Helper()
	synctest.Wait()
	conns := m.Conns(name)
	still := 0
	for _, c := range conns {
		c.up.change(func() {
			if !c.up.noWriter {
				still++
			}
		})
	}
	if len(conns) != made || still != open {
		t.Errorf("%s: %d connections were made and %d are open, want %d and %d", name, len(conns), still, made, open)
	}
}

// Mute stops delivery of what the peers behind a name send, and what is
// delivered to them goes on, if sending is true; otherwise the reverse. It
// concerns existing connections only.
func (m *Memory) Mute(name string, sending bool) {
	for _, c := range m.Conns(name) {
		s := c.down
		if sending {
			s = c.up
		}
		s.change(func() { s.frozen = true })
	}
}

// Deaden stops delivery on the existing connections to a name, although both
// ends stay open. Later connections work, as if something on the path had
// forgotten the old ones.
func (m *Memory) Deaden(name string) {
	for _, c := range m.Conns(name) {
		c.freeze(true)
	}
}

// StopReading makes the peers behind a name too busy to read, until Revive is
// called.
func (m *Memory) StopReading(name string) { m.stopReading(name, true) }

// Revive lets them read again.
func (m *Memory) Revive(name string) { m.stopReading(name, false) }

func (m *Memory) stopReading(name string, readsNothing bool) {
	for _, c := range m.Conns(name) {
		c.down.change(func() { c.down.readsNothing = readsNothing })
	}
}

// Trickle makes each byte from the server take a while to arrive at the peers
// behind a name.
func (m *Memory) Trickle(name string, each time.Duration) {
	for _, c := range m.Conns(name) {
		c.down.change(func() { c.down.trickle = each })
	}
}

// HaltSoon makes the server at a name stop when it first sends something on a
// connection that does not exist yet. Continue lets it go on.
func (m *Memory) HaltSoon(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.halting[name] = true
}

// Unplug breaks the connections to the server at a name, and refuses new ones
// until plug is called.
func (m *Memory) Unplug(name string) (plug func()) {
	m.mu.Lock()
	p := m.ports[name]
	delete(m.ports, name)
	m.mu.Unlock()
	m.Cut(name)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ports[name] = p
	}
}
