package sp

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// listenLocal listens on a port chosen by the system until the test ends.
func listenLocal(t *testing.T, maxConns int) *listener {
	t.Helper()
	set := quietSettings
	set.MaxConns, set.Handshakes = maxConns, new(Handshakes)
	l := newListener(newEndpoint(Pub, set), Address{"tcp", "127.0.0.1:0"})
	if err := l.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.endpoint.shut()
		l.close()
		l.endpoint.end()
	})
	return l
}

// dialLocal connects like a subscriber, and sends its part of the handshake.
func dialLocal(t *testing.T, l *listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	// The connection may be closed already.
	_, _ = c.Write(sptest.Hello(sptest.Sub))
	return c
}

func TestListenerURL(t *testing.T) {
	for _, a := range []Address{{"tcp", "127.0.0.1:0"}, {"ipc", "/tmp/x"}} {
		if got := newListener(nil, a).url(); got != a.String() {
			t.Errorf("before listening: got %s, want %s", got, a)
		}
	}
	l := listenLocal(t, 0)
	if got, want := l.url(), "tcp://"+l.ln.Addr().String(); got != want || strings.HasSuffix(got, ":0") {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Failures to accept are logged once for each reason, and again after a while
// without one.
func TestListenerLogsFailuresToAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := logtest.OpenGate()
		e := newEndpoint(Pub, Settings{Log: NewLog(slog.New(lines)), Handshakes: new(Handshakes)})
		l := newListener(e, Address{"tcp", "x:1"})
		fail := func(errs ...error) (logged int) {
			for _, err := range errs {
				l.cannotAccept(&net.OpError{Op: "accept", Err: err})
			}
			synctest.Wait()
			return len(lines.Take())
		}
		one, other := ErrnoRefused, ErrnoReset
		if got := fail(one, one, other, one, other); got != 2 {
			t.Errorf("two reasons: %d lines, want 2", got)
		}
		time.Sleep(acceptQuiet + ms)
		if got := fail(one, one); got != 1 {
			t.Errorf("after a while: %d lines, want 1", got)
		}
		e.shut()
		e.end()
	})
}

func TestListenerAcceptsAfterTheHandshake(t *testing.T) {
	l := listenLocal(t, 0)
	mute, err := net.Dial("tcp", l.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	client := dialLocal(t, l)
	c, err := l.accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.remote(), client.LocalAddr().String(); got != want {
		t.Errorf("accepted the connection from %s, want %s", got, want)
	}
	var hello [8]byte
	if _, err := io.ReadFull(client, hello[:]); err != nil || !bytes.Equal(hello[:], sptest.Hello(sptest.Pub)) {
		t.Errorf("the handshake was % x, %v", hello, err)
	}
	if l.endpoint.Refused.Load() != 0 {
		t.Error("accepted only after the other connection was closed, which does not finish its handshake")
	}
	if l.endpoint.admitted != 1 {
		t.Errorf("%d connections are counted, want 1", l.endpoint.admitted)
	}
}

func TestListenerRefusesOneTooMany(t *testing.T) {
	l := listenLocal(t, 1)
	dialLocal(t, l)
	c, err := l.accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(dialLocal(t, l)); len(got) > 0 || isTimeoutError(err) {
		t.Errorf("the one too many was sent % x, and closed with %v", got, err)
	}
	if got := l.endpoint.Refused.Load(); got != 1 {
		t.Errorf("%d connections were refused, want 1", got)
	}
	c.Close()
	dialLocal(t, l)
	if _, err := l.accept(); err != nil {
		t.Errorf("with room again: got error %v", err)
	}
}

// When there are as many handshakes as there may be, the next connection waits
// until one has ended, or the oldest has kept the server waiting for
// helloGrace. Peers that are only slow are not turned away.
func TestListenerGivesPeersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := quietSettings
		set.Handshakes = new(Handshakes)
		l := newListener(newEndpoint(Pub, set), Address{"tcp", "localhost:0"})
		defer l.endpoint.end()
		defer l.endpoint.shut()
		begin := func() net.Conn {
			ours, theirs := net.Pipe()
			go io.CopyN(io.Discard, theirs, 8)
			l.begin(newLink(ours, l.endpoint, l.address))
			return theirs
		}
		slow := begin()
		for range MaxHandshakes - 1 {
			begin()
		}
		time.AfterFunc(helloGrace-time.Millisecond, func() {
			_, _ = slow.Write(sptest.Hello(sptest.Sub))
		})
		start := time.Now()
		begin()
		if took := time.Since(start); took != helloGrace {
			t.Errorf("one more began after %v, want %v", took, helloGrace)
		}
		if _, err := l.accept(); err != nil {
			t.Error(err)
		}
		if got := l.endpoint.Refused.Load(); got != 0 {
			t.Errorf("%d connections were refused, want 0", got)
		}
		begin()
		synctest.Wait()
		if got := l.endpoint.Refused.Load(); got != 1 {
			t.Errorf("%d connections were refused when all were silent for %v, want 1", got, helloGrace)
		}
	})
}

func isTimeoutError(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestListenerEndsWithItsEndpoint(t *testing.T) {
	l := listenLocal(t, 0)
	accepted := make(chan error)
	go func() {
		_, err := l.accept()
		accepted <- err
	}()
	l.endpoint.shut()
	if err := <-accepted; err != net.ErrClosed {
		t.Errorf("accept: got error %v, want %v", err, net.ErrClosed)
	}
	if _, err := l.accept(); err != net.ErrClosed {
		t.Errorf("accept after the end: got error %v, want %v", err, net.ErrClosed)
	}
	late := newListener(l.endpoint, l.address)
	if err := late.listen(); err != net.ErrClosed {
		t.Errorf("listen after the end: got error %v, want %v", err, net.ErrClosed)
	}
	// The listener must not keep an address.
	if late.ln != nil {
		again, err := net.Listen("tcp", late.ln.Addr().String())
		if err != nil {
			t.Fatalf("the address is still bound: %v", err)
		}
		again.Close()
	}
	if err := newListener(l.endpoint, l.address).close(); err != nil {
		t.Errorf("closing what never listened: got error %v", err)
	}
}
