package gopherdiscovery

import "testing"

// A handshake that ends just when it has to give way to another one leaves
// nothing behind.
func TestClosedConnectionIsNotAdmitted(t *testing.T) {
	set := quietSettings
	set.maxConns = 1
	e := newEndpoint(side{}, set)
	c := nothing{}
	e.own(c)
	e.disown(c)
	if e.admit(c) == nil {
		t.Error("admitted a connection that is closed")
	}
	e.shut()
	e.end()
	if e.full() || len(e.conns) != 0 {
		t.Errorf("it is still counted: %d admitted, connections %v", e.admitted, e.conns)
	}
}
