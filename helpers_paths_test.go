package gopherdiscovery

import (
	"testing"
	"testing/synctest"
	"time"
)

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

// StopReading makes the peers behind a name too busy to read, until Revive is called.
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
