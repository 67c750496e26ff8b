package gopherdiscovery

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"go.nanomsg.org/mangos/v3"
)

// nothing is a connection that nothing happens on.
type nothing struct{ mangos.TranPipe }

func (nothing) Close() error { return nil }

// Closing a mangos socket while it adds a connection would leave a goroutine stuck for ever.
func TestCloseWaitsForConnectionsThatAreBeingAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSocket(role{}, settings{log: &asyncLog{logger: slog.New(slog.DiscardHandler)}})
		if _, err := s.give(nothing{}); err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() {
			s.close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("closed before the connection was added")
		default:
		}
		if _, err := s.give(nothing{}); err != mangos.ErrClosed {
			t.Errorf("giving a connection to a closed socket: got %v, want %v", err, mangos.ErrClosed)
		}
		s.joined()
		<-closed
	})
}

// A handshake that ends just when it has to give way to another leaves no trace.
func TestClosedConnectionIsNotAdmitted(t *testing.T) {
	s := newSocket(role{}, settings{log: &asyncLog{logger: slog.New(slog.DiscardHandler)}, maxConns: 1})
	c := nothing{}
	s.own(c)
	s.disown(c)
	if s.admit(c) == nil {
		t.Error("admitted a connection that is closed")
	}
	s.close()
	if s.full() || len(s.conns) != 0 {
		t.Errorf("it is still counted: %d admitted, connections %v", s.admitted, s.conns)
	}
}
