package gopherdiscovery

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

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
