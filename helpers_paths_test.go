package gopherdiscovery

import "time"

// Deaden stops delivery on the existing connections to a name, although both
// ends stay open. Later connections work, as if something on the path had
// forgotten the old ones.
func (m *Memory) Deaden(name string) {
	for _, c := range m.Conns(name) {
		c.freeze(true)
	}
}

// Daze makes the peers behind a name too busy to read, until Revive is called.
func (m *Memory) Daze(name string) { m.daze(name, true) }

// Revive lets them read again.
func (m *Memory) Revive(name string) { m.daze(name, false) }

func (m *Memory) daze(name string, dazed bool) {
	for _, c := range m.Conns(name) {
		c.down.change(func() { c.down.dazed = dazed })
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
