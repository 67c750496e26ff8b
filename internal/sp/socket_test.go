package sp

import (
	"testing"
	"testing/synctest"

	"go.nanomsg.org/mangos/v3"
)

// A mangos socket must not be closed while it adds a connection, because a
// goroutine would then be stuck.
func TestCloseWaitsForConnectionsThatAreBeingAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSocket(Protocol{}, quietSettings, nil)
		if _, err := handOver(s.endpoint, nothing{}); err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() {
			s.End()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("closed before the connection was added")
		default:
		}
		if _, err := handOver(s.endpoint, nothing{}); err != mangos.ErrClosed {
			t.Errorf("handing a connection to a closed socket: got %v, want %v", err, mangos.ErrClosed)
		}
		s.joined()
		<-closed
	})
}
