package gopherdiscovery_test

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/logtest"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// The name has several addresses. Only the last one has a server; the first one
// accepts connections and sends nothing.
func TestNameWithSeveralAddresses(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Skip(err) // not all systems have the address
	}
	probe.Close()
	server, err := gopherdiscovery.Server("tcp://127.0.0.3:0", "tcp://127.0.0.3:0", gopherdiscovery.Options{PollTime: 50 * time.Millisecond, ReturnTime: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, pubsub := server.URLs()
	port := pubsub[strings.LastIndex(pubsub, ":"):]
	mute, err := net.Listen("tcp", "127.0.0.1"+port)
	if err != nil {
		t.Skip("the port is taken at another address")
	}
	defer mute.Close()
	sptest.FakeDNS(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	lines := logtest.OpenGate()
	d := &gopherdiscovery.Dialer{Logger: slog.New(lines)}
	sub, err := d.NewSubscriber(t.Context(), "tcp://several.test"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	select {
	case list := <-sub.Changes():
		if len(list) != 0 {
			t.Errorf("got list %q", list)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no list in time")
	}
	sub.Close()
	if got := strings.Join(lines.Take(), "\n"); strings.Count(got, "several addresses") != 1 || strings.Count(got, "\n") != 0 {
		t.Errorf("logged:\n%s\nwant one line, that the name has several addresses", got)
	}
}

// An old publisher serves one of the addresses of a name, and the other refuses
// connections. The subscriber falls back to the plain form at once and misses
// nothing.
func TestOldPublisherBehindAName(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err) // not all systems have the address
	}
	defer old.Close()
	sptest.FakeDNS(t, "127.0.0.3", "127.0.0.2")
	lines := logtest.OpenGate()
	d := &gopherdiscovery.Dialer{Logger: slog.New(lines)}
	port := old.Addr().String()[strings.LastIndex(old.Addr().String(), ":"):]
	sub, err := d.NewSubscriber(t.Context(), "tcp://several.test"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, want := range []byte{0x51, 0x21} {
		c, err := old.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var hello [8]byte
		_, _ = c.Write(sptest.Hello(sptest.Pub))
		if _, err := io.ReadFull(c, hello[:]); err != nil || hello[5] != want {
			t.Fatalf("the subscriber says % x, %v, want protocol % x", hello, err, want)
		}
		if want == 0x51 {
			c.Close()
		} else {
			_, _ = c.Write(append([]byte{0, 0, 0, 0, 0, 0, 0, 3}, "a|b"...))
		}
	}
	if got := <-sub.Changes(); len(got) != 2 {
		t.Errorf("got the list %q, want a and b", got)
	}
	sub.Close()
	if got := lines.Take(); len(got) != 1 || !strings.Contains(got[0], "several addresses") {
		t.Errorf("logged %q, want one line that the name has several addresses", got)
	}
}
