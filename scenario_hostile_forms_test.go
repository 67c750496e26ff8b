package gopherdiscovery_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// Messages that a later version of the protocol may send are ignored, and the
// connection stays open.
func TestServersOfALaterVersion(t *testing.T) {
	t.Parallel()
	logger, book := newLogger()
	p := newPublisher(t)
	sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
	c, _ := p.acceptChanges()
	for _, message := range []string{"\x80", "\x03\x01b|d", "\x80b|c", "\xff\xff\xff", "\x04\x01" + sum("b", "d") + sum("b", "d", "e") + "\x00e"} {
		if err := c.Send([]byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range await(t, sub.Changes(), "b", "d", "e") {
		if !slices.Equal(list, []string{"b", "d"}) {
			t.Errorf("got the list %q", list)
		}
	}
	if book.String() != "" {
		t.Errorf("logged:\n%s\nwant nothing", book)
	}
}

// A subscriber that reconnects says which list it has, and the server continues
// from there.
func TestSubscribersResume(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	sub := subscribeTo(t, quiet, p.URL)
	c, _ := p.acceptChanges()
	_ = c.Send([]byte("\x03\x01b|d"))
	await(t, sub.Changes(), "b", "d")
	c.Close()
	c, have := p.acceptChanges()
	if want := "\x02" + sum("b", "d"); have != want {
		t.Errorf("the subscriber says % x, want % x", have, want)
	}
	_ = c.Send([]byte("\x04\x01" + sum("b", "d") + sum("b") + "d\x00"))
	if before := await(t, sub.Changes(), "b"); len(before) > 0 {
		t.Errorf("got the lists %q in between", before)
	}
}

// A subscriber that resumes with the wrong list, which has the same sum as the
// right one, finds out when a change does not fit. It gets the right list,
// still in changes, and the application sees nothing in between.
func TestSubscribersDropTheWrongList(t *testing.T) {
	t.Parallel()
	logger, book := newLogger()
	p := newPublisher(t)
	sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
	c, _ := p.acceptChanges()
	_ = c.Send([]byte("\x03\x01a|b"))
	await(t, sub.Changes(), "a", "b")
	c.Close()
	c, have := p.acceptChanges()
	if want := "\x02" + sum("a", "b"); have != want {
		t.Errorf("the subscriber says % x, want % x", have, want)
	}
	_ = c.Send([]byte("\x05\x01" + sum("a", "b")))
	_ = c.Send([]byte("\x04\x01" + sum("a", "b") + sum("a", "b", "d") + "c\x00d"))
	c, have = p.acceptChanges()
	if have != "\x02" {
		t.Errorf("the subscriber says % x, want that it has no list", have)
	}
	_ = c.Send([]byte("\x03\x01d|e"))
	if before := await(t, sub.Changes(), "d", "e"); len(before) > 0 {
		t.Errorf("got the lists %q in between", before)
	}
	if log := book.String(); strings.Contains(log, "connection closed") || strings.Contains(log, "cannot reach") {
		t.Errorf("logged:\n%s\nwant no complaint about the server", log)
	}
}

// The list of a subscriber does not grow without limit, however many changes a
// server sends.
func TestListsThatGrowWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	before := measure()
	p := newPublisher(t)
	sub := subscribeTo(t, quiet, p.URL)
	c, _ := p.acceptChanges()
	if err := c.Send([]byte("\x03\x00")); err != nil {
		t.Fatal(err)
	}
	const each = 30000 // names of 512 bytes, with a separator
	at, taken := uint64(0), 0
	for i := range 20 {
		var names []string
		for n := range each {
			names = append(names, fmt.Sprintf("%0512d", i*each+n))
		}
		after := at + binary.BigEndian.Uint64([]byte(sum(names...)))
		if c.Send([]byte("\x04\x00"+number(at)+number(after)+"\x00"+strings.Join(names, "|"))) != nil {
			break
		}
		at, taken = after, taken+each*513
	}
	expectClosed(t, "when the list has become too long", c)
	const longest = 64 << 20
	if taken > 2*longest {
		t.Errorf("%d bytes of names were taken, want not much more than %d", taken, longest)
	}
	sub.Close()
	if got := int64(measure().memory) - int64(before.memory); got > 2*longest {
		t.Errorf("%d MiB more for a list that grew, want at most %d", got>>20, 2*longest>>20)
	}
}

// The announced length of a change is not trusted: 100 servers announce 64 MiB
// each and send little.
func TestChangesThatDoNotEnd(t *testing.T) {
	before := measure()
	for range 100 {
		p := newPublisher(t)
		subscribeTo(t, quiet, p.URL)
		c, _ := p.acceptChanges()
		if _, err := c.Write(append(binary.BigEndian.AppendUint64(nil, 64<<20), "\x04\x00little"...)); err != nil {
			t.Fatal(err)
		}
	}
	if got := int64(measure().memory) - int64(before.memory); got > mostMemory {
		t.Errorf("%d MiB more for lengths, want at most %d", got>>20, mostMemory>>20)
	}
}

// A publisher that accepts any subscriber, but does not know changes, is given
// ten seconds to welcome one.
func TestPublishersThatNeverWelcome(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	logger, book := newLogger()
	p := newPublisher(t)
	sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
	mute, proto := p.accept()
	if proto != sptest.Changes {
		t.Errorf("the subscriber speaks %#x, want %#x first", proto, sptest.Changes)
	}
	start := time.Now()
	plain, proto := p.accept()
	if took := time.Since(start); proto != sptest.Sub || took < 9*time.Second {
		t.Errorf("after %v the subscriber speaks %#x, want %#x after 10s", took, proto, sptest.Sub)
	}
	expectClosed(t, "the mute one", mute)
	if err := plain.Send([]byte("b|a")); err != nil {
		t.Fatal(err)
	}
	await(t, sub.Changes(), "a", "b")
	if book.String() != "" {
		t.Errorf("logged:\n%s\nwant nothing", book)
	}
}

// A publisher that closes every connection has refused changes if it has said
// hello. Otherwise it is asked for changes again.
func TestPublishersThatCloseEveryConnection(t *testing.T) {
	for _, test := range []struct {
		name   string
		accept func(t *testing.T, nc net.Conn) uint16
		want   []uint16
	}{
		{"after the hellos", func(t *testing.T, nc net.Conn) uint16 { return sptest.Conn{Conn: nc}.MustGreet(t, sptest.Pub) },
			[]uint16{sptest.Changes, sptest.Sub, sptest.Sub, sptest.Sub, sptest.Sub}},
		{"before its hello", func(t *testing.T, nc net.Conn) uint16 {
			var hello [8]byte
			nc.SetReadDeadline(time.Now().Add(patience))
			if _, err := nc.Read(hello[:]); err != nil {
				t.Fatal(err)
			}
			return binary.BigEndian.Uint16(hello[4:])
		}, []uint16{sptest.Changes, sptest.Changes, sptest.Changes, sptest.Changes}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logger, book := newLogger()
			p := newPublisher(t)
			subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
			var got []uint16
			start := time.Now()
			for range test.want {
				nc, err := p.Accept()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, test.accept(t, nc))
				nc.Close()
			}
			took := time.Since(start)
			if !slices.Equal(got, test.want) {
				t.Errorf("the subscriber speaks %#x, want %#x", got, test.want)
			}
			// The plain form is tried at once. The pauses before the others grow
			// by half from 40 ms, and each is shortened by up to a quarter.
			if least := 75 * (40 + 60 + 90) / 100 * time.Millisecond; took < least {
				t.Errorf("%d attempts in %v, want them to take %v at least", len(got), took, least)
			}
			if got := strings.Count(book.String(), "\n"); got < 1 || got > 2 {
				t.Errorf("logged %d lines, want one for each of at most two reasons:\n%s", got, book)
			}
		})
	}
}

// A proxy whose server is down closes each connection before any hello. That is
// no refusal: once the server is back, its subscribers ask it for changes.
func TestServerComesBackBehindAProxy(t *testing.T) {
	for attempts := range 4 {
		t.Run(fmt.Sprint(attempts, " attempts"), func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			subscribeTo(t, quiet, p.URL)
			for range attempts {
				nc, err := p.Accept()
				if err != nil {
					t.Fatal(err)
				}
				var hello [8]byte
				_, _ = nc.Read(hello[:])
				nc.Close()
			}
			if _, have := p.acceptChanges(); have != "\x02" {
				t.Errorf("got % x, want HAVE", have)
			}
		})
	}
}

// A server that was too busy to shake hands closes the connection late. It is
// asked for changes again. A publisher that closes the connection at once is
// not.
func TestLateRefusalIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		// wait is the time before it closes the connection that asks for
		// changes.
		wait time.Duration
		want []uint16
	}{
		{"late", 1200 * time.Millisecond, []uint16{sptest.Changes, sptest.Changes}},
		{"at once", 0, []uint16{sptest.Changes, sptest.Sub}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			sub := subscribeTo(t, quiet, p.URL)
			var last sptest.Conn
			for i, want := range test.want {
				c, proto := p.accept()
				if proto != want {
					t.Fatalf("connection %d speaks %#x, want %#x", i, proto, want)
				}
				if i == 0 {
					time.Sleep(test.wait) // the test is about this delay
					c.Close()
				}
				last = c
			}
			list := []byte("a|b")
			if test.wait > 0 {
				if err := last.Send(welcomeBytes); err != nil {
					t.Fatal(err)
				}
				list = append([]byte{3, 1}, list...)
			}
			if err := last.Send(list); err != nil {
				t.Fatal(err)
			}
			await(t, sub.Changes(), "a", "b")
		})
	}
}
