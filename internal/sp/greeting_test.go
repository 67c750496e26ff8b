//go:build unix

package sp

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

func helloOf(protocol uint16) string {
	return string(sptest.Hello(protocol))
}

func framed(body []byte) string {
	return string(append(binary.BigEndian.AppendUint64(nil, uint64(len(body))), body...))
}

// TestHandshakeOfAServer tests the handshakes of a server with subscribers that
// send different bytes first.
func TestHandshakeOfAServer(t *testing.T) {
	sum := uint64(7)
	const changes, sub = 0xFD51, 0x21
	for _, test := range []struct {
		name     string
		protocol Protocol
		says     string
		hangsUp  bool
		want     error
		changes  bool
		have     *uint64
		hears    string // after the hello
	}{
		{"plain", Pub, helloOf(sub), false, nil, false, nil, ""},
		{"changes", Pub, helloOf(changes) + framed(wire.EncodeHave(nil)), false, nil, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"changes, with a list", Pub, helloOf(changes) + framed(wire.EncodeHave(&sum)), false, nil, true, &sum, framed(wire.EncodeWelcome(2 * time.Second))},
		{"changes of surveys", Surveyor, helloOf(changes), false, errExchanged, false, nil, ""},
		{"no HAVE", Pub, helloOf(changes), false, errSlowHandshake, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"no HAVE, and hangs up", Pub, helloOf(changes), true, errHungUp, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"half a HAVE", Pub, helloOf(changes) + framed(wire.EncodeHave(&sum))[:12], true, errHungUp, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"a HAVE of wrong length", Pub, helloOf(changes) + framed(append(wire.EncodeHave(&sum), 0)), false, wire.ErrMalformed, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"an empty HAVE", Pub, helloOf(changes) + framed(nil), false, wire.ErrMalformed, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"a long message", Pub, helloOf(changes) + framed(make([]byte, 17)), false, wire.ErrMalformed, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"a message that is too long", Pub, helloOf(changes) + framed(make([]byte, wire.MaxSurveyLen+1)), false, errTooLong, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"another kind", Pub, helloOf(changes) + framed([]byte{0x05}), false, wire.ErrMalformed, true, nil, framed(wire.EncodeWelcome(2 * time.Second))},
		{"half a hello", Pub, helloOf(changes)[:7], true, errHungUp, false, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := connected(t)
			set := quietSettings
			set.Beat = 2 * time.Second
			l := newLink(ours, newEndpoint(test.protocol, set), Address{scheme: "tcp"})
			if _, err := io.WriteString(theirs, test.says); err != nil {
				t.Fatal(err)
			}
			timeout := 30 * time.Second
			if test.hangsUp {
				theirs.CloseWrite()
			} else if test.want == errSlowHandshake {
				timeout = 20 * ms
			}
			if err := (&greeting{link: l, timeout: timeout}).shake(nil); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if l.changes != test.changes || (l.have == nil) != (test.have == nil) || l.have != nil && *l.have != *test.have {
				t.Errorf("got changes %t from %v, want %t from %v", l.changes, l.have, test.changes, test.have)
			}
			over := test.want == nil
			if spared := l.protectedUntil.Load() == math.MaxInt64; spared != over {
				t.Errorf("spared when others need its place: got %t, want %t", spared, over)
			}
			l.Close()
			heard, _ := io.ReadAll(theirs) // may end in a reset
			if want := helloOf(test.protocol.self) + test.hears; string(heard) != want {
				t.Errorf("the subscriber hears % x, want % x", heard, want)
			}
		})
	}
}

// TestHandshakeOfASubscriber tests the handshakes of a subscriber that asks for
// changes, with publishers that send different bytes first.
func TestHandshakeOfASubscriber(t *testing.T) {
	sum := uint64(7)
	const pub = 0x20
	welcome := framed(wire.EncodeWelcome(2 * time.Second))
	for _, test := range []struct {
		name    string
		says    string
		hangsUp bool
		held    *uint64
		want    error
		also    error
		hears   string // after the hello
	}{
		{"a welcome", helloOf(pub) + welcome, false, nil, nil, nil, framed(wire.EncodeHave(nil))},
		{"a welcome to one with a list", helloOf(pub) + welcome, false, &sum, nil, nil, framed(wire.EncodeHave(&sum))},
		{"a list behind the welcome", helloOf(pub) + welcome + framed([]byte{0x03, 0}), false, nil, nil, nil, framed(wire.EncodeHave(nil))},
		{"hangs up after the hello", helloOf(pub), true, nil, errNoChanges, io.EOF, ""},
		{"nothing after the hello", helloOf(pub), false, nil, errNoChanges, nil, ""},
		{"half a welcome", helloOf(pub) + welcome[:10], true, nil, errNoChanges, io.ErrUnexpectedEOF, ""},
		{"another format", helloOf(pub) + framed([]byte{0x01, 2, 0, 0, 0, 1}), false, nil, errNoChanges, wire.ErrMalformed, ""},
		{"no beat", helloOf(pub) + framed([]byte{0x01, 1, 0, 0, 0, 0}), false, nil, errNoChanges, wire.ErrMalformed, ""},
		{"a list at once", helloOf(pub) + framed([]byte("a|b")), false, nil, errNoChanges, wire.ErrMalformed, ""},
		{"a long list at once", helloOf(pub) + framed(make([]byte, 1<<10)), false, nil, errNoChanges, wire.ErrMalformed, ""},
		{"the length of a long list", helloOf(pub) + framed(make([]byte, 1<<10))[:8], false, nil, errNoChanges, wire.ErrMalformed, ""},
		{"the protocol of subscribers", helloOf(0xFD51), false, nil, errOtherProtocol, nil, ""},
		{"another protocol", helloOf(0x62), false, nil, errOtherProtocol, errExchanged, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := connected(t)
			l := newLink(ours, newEndpoint(Sub, quietSettings), Address{scheme: "tcp"})
			l.changes, l.resumption = true, &resumption{sum: test.held}
			l.dialed = true
			defer l.endpoint.cancel()
			if _, err := io.WriteString(theirs, test.says); err != nil {
				t.Fatal(err)
			}
			if test.hangsUp {
				theirs.CloseWrite()
			}
			g := &greeting{link: l, timeout: 30 * time.Second, within: 30 * time.Second, helloBy: time.Now().Add(time.Minute)}
			if test.says == helloOf(pub) && !test.hangsUp {
				g.within = 20 * ms
			}
			err := g.shake(nil)
			if !errors.Is(err, test.want) || !errors.Is(err, test.also) && test.also != nil {
				t.Errorf("got error %v, want %v and %v", err, test.want, test.also)
			}
			if test.want == nil && l.beat != 2*time.Second {
				t.Errorf("got a beat of %v, want 2s", l.beat)
			}
			l.Close()
			heard, _ := io.ReadAll(theirs) // may end in a reset
			if want := helloOf(0xFD51) + test.hears; string(heard) != want {
				t.Errorf("the publisher hears % x, want % x", heard, want)
			}
		})
	}
}

// A server that hangs up may have waited for the hello of a late process as
// long as it does. Only if the hello came in time it has refused to send
// changes.
func TestLateHelloIsNotRefused(t *testing.T) {
	authority := httptest.NewTLSServer(nil)
	defer authority.Close()
	const longAgo = connectTime + maxRefusalDelay + time.Second
	for _, test := range []struct {
		scheme  string
		took    time.Duration // to connect, and before TLS begins
		refused bool
	}{
		{"tcp", 0, true},
		{"tcp", connectTime, true},
		{"tcp", longAgo, false},
		{"tls+tcp", longAgo, true}, // TLS may take long on a busy server
	} {
		t.Run(fmt.Sprint(test.scheme, " ", test.took), func(t *testing.T) {
			ours, theirs := connected(t)
			set := quietSettings
			set.TLS = authority.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			set.TLS.ServerName = "example.com"
			e := newEndpoint(Sub, set)
			defer func() {
				e.shut()
				e.end()
			}()
			address := Address{test.scheme, "127.0.0.1:1"}
			c := &connector{redialer: newTestRedialer(e, address)}
			c.resumption = new(resumption)
			go func() {
				server := interface {
					io.Writer
					CloseWrite() error
				}(theirs)
				if address.IsTLS() {
					server = tls.Server(theirs, authority.TLS)
				}
				_, _ = io.WriteString(server, helloOf(0x20))
				_ = server.CloseWrite()
			}()
			_, err := c.handshake(e.ctx, ours, terms{timeout: time.Minute, changes: true, begunAt: time.Now().Add(-test.took)})
			if !errors.Is(err, errHungUp) || errors.Is(err, errNoChanges) != test.refused {
				t.Errorf("got %v, want %v that is a refusal: %t", err, errHungUp, test.refused)
			}
		})
	}
}

// A handshake whose time is up goes on if bytes have arrived that this process
// has not read in time, but not without limit.
func TestHandshakeOfALateProcess(t *testing.T) {
	const changes = 0xFD51
	for _, test := range []struct {
		name       string
		says       string
		extensions int // before
		want       error
	}{
		{"all has come", helloOf(changes) + framed(wire.EncodeHave(nil)), 0, nil},
		{"nothing has come", "", 0, errSlowHandshake},
		{"a part has come", helloOf(changes)[:7], 2, errHungUp},
		{"all has come, once too often", helloOf(changes) + framed(wire.EncodeHave(nil)), 3, errSlowHandshake},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := connected(t)
			l := newLink(ours, newEndpoint(Pub, quietSettings), Address{scheme: "tcp"})
			defer l.Close()
			if _, err := io.WriteString(theirs, test.says); err != nil {
				t.Fatal(err)
			}
			testmain.Eventually(t, 10*time.Second, func() string {
				if test.says == "" || l.unread() {
					return ""
				}
				return "nothing has come"
			})
			time.AfterFunc(50*ms, func() { _ = theirs.CloseWrite() })
			g := &greeting{link: l, timeout: -time.Second, extensions: test.extensions}
			if err := g.shake(nil); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

// expiredConn has bytes that have arrived and were not read by its deadline.
type expiredConn struct {
	net.Conn
	deadline time.Time // set after that
}

func (c *expiredConn) Read([]byte) (int, error) {
	if c.deadline.IsZero() {
		return 0, os.ErrDeadlineExceeded
	}
	return 0, io.EOF
}

func (c *expiredConn) SetReadDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func (c *expiredConn) Unread() bool { return true }

// Bytes that arrive when the time of a handshake is just up are not the fault
// of this process. A side that sends a byte now and then gains nothing.
func TestHandshakeAtTheLastMoment(t *testing.T) {
	for _, test := range []struct {
		name string
		late time.Duration
		want time.Duration
	}{
		{"in time", -time.Hour, lateAfter},
		{"late", time.Hour, HandshakeTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := new(expiredConn)
			g := &greeting{link: &link{conn: c, raw: c}, readBy: time.Now().Add(-test.late)}
			before := time.Now()
			if _, err := g.Read(nil); err != io.EOF {
				t.Errorf("got error %v, want EOF", err)
			}
			if got := c.deadline.Sub(before); got < test.want || got > test.want+time.Since(before) {
				t.Errorf("the deadline is extended by %v, want %v", got, test.want)
			}
		})
	}
}
