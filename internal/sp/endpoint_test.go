package sp

import (
	"testing"

	"go.nanomsg.org/mangos/v3"
)

// A handshake that ends just when it has to give way to another one leaves
// nothing behind.
func TestClosedConnectionIsNotAdmitted(t *testing.T) {
	set := quietSettings
	set.MaxConns = 1
	e := newEndpoint(Protocol{}, set)
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

// A call of a user's function counts while it lasts.
func TestCallsOfUsersAreCounted(t *testing.T) {
	e := newEndpoint(Protocol{}, quietSettings)
	e.CallUser(func() {
		if e.inCallbacks != 1 {
			t.Errorf("%d calls are counted, want 1", e.inCallbacks)
		}
	})
	if e.inCallbacks != 0 {
		t.Error("a call that has returned still counts")
	}
}

// newTestRedialer returns the redialer of a line without a socket.
func newTestRedialer(e *endpoint, a Address) *redialer {
	s := &Socket{endpoint: e}
	return newRedialer(NewLine(s, a, NewOutage(s, a), nil))
}

// nothing is a connection on which nothing happens.
type nothing struct{ mangos.TranPipe }

func (nothing) Close() error { return nil }
