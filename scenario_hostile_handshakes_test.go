package gopherdiscovery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// Strangers ask for changes and then say nothing, on all the connections that
// may shake hands at once. A subscriber gets its list when the grace of the
// first stranger is over.
func TestSilentSubscribersKeepNobodyOut(t *testing.T) {
	FakeTime(t, func(t *testing.T) {
		m := NewMemory(t)
		server, err := Server(m.URL("survey"), m.URL("lists"), Options{ReturnTime: ms, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		time.Sleep(time.Second) // the list is complete
		for range sp.MaxHandshakes {
			c, err := m.dial("lists/stranger")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write(sptest.Hello(sptest.Changes))
		}
		synctest.Wait()
		const grace = 1010 * ms // a second, and another looks for room every 10 ms
		start := time.Now()
		d := Dialer{Logger: quiet}
		sub, err := d.NewSubscriber(t.Context(), m.URL("lists/good"))
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changes()
		if took := time.Since(start); took > grace {
			t.Errorf("the first list came after %v, want at most %v", took, grace)
		}
	})
}
