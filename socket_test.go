package gopherdiscovery

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"go.nanomsg.org/mangos/v3"
)

// quietSettings let an endpoint be without a log.
var quietSettings = settings{log: &asyncLog{logger: slog.New(slog.DiscardHandler)}}

// nothing is a connection that nothing happens on.
type nothing struct{ mangos.TranPipe }

func (nothing) Close() error { return nil }

// Closing a mangos socket while it adds a connection would leave a goroutine stuck for ever.
func TestCloseWaitsForConnectionsThatAreBeingAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSocket(side{}, quietSettings, nil, false)
		if _, err := hand(s.endpoint, nothing{}); err != nil {
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
		if _, err := hand(s.endpoint, nothing{}); err != mangos.ErrClosed {
			t.Errorf("handing a connection to a closed socket: got %v, want %v", err, mangos.ErrClosed)
		}
		s.joined()
		<-closed
	})
}
