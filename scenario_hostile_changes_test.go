package gopherdiscovery_test

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// The tests in this file are about subscriptions in changes. They write the
// bytes of one side by hand.

var welcomeBytes = []byte{1, 1, 0, 0, 0x07, 0xD0} // beats every 2 seconds

// number encodes n in 8 bytes, as it is in a message.
func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// sum returns the sum of a list, as it is in a message.
func sum(names ...string) string { return number(wiretest.Sum(names...)) }

// publisher is a server for one of the library's subscribers. Tests write each
// of its messages by hand.
type publisher struct {
	*sptest.Listener
	t *testing.T
}

func newPublisher(t *testing.T) publisher {
	t.Helper()
	return publisher{sptest.Listen(t, "tcp://127.0.0.1:0"), t}
}

// accept returns the next connection, and the protocol number of its other
// side.
func (p publisher) accept() (sptest.Conn, uint16) {
	p.t.Helper()
	return p.AcceptAs(p.t, sptest.Pub)
}

// acceptChanges accepts a subscriber that asks for changes, and returns its
// HAVE.
func (p publisher) acceptChanges() (c sptest.Conn, have string) {
	p.t.Helper()
	c, proto := p.accept()
	if proto != sptest.Changes {
		p.t.Fatalf("the subscriber speaks %#x, want %#x", proto, sptest.Changes)
	}
	if err := c.Send(welcomeBytes); err != nil {
		p.t.Fatal(err)
	}
	return c, string(c.MustReceive(p.t))
}

func subscribeTo(t *testing.T, d *gopherdiscovery.Dialer, url string) *gopherdiscovery.Subscriber {
	t.Helper()
	sub, err := d.NewSubscriber(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

// Whatever is wrong with a message, nothing of it is delivered. The subscriber
// logs once what is wrong, and falls back to whole lists.
func TestHostileServers(t *testing.T) {
	list := "\x03\x01" + "b|d"
	for _, test := range []struct {
		name     string
		messages []string // the last of them is wrong
	}{
		{"a wrong sum before", []string{list, "\x04\x01" + sum("b") + sum("b", "c") + "\x00c"}},
		{"a wrong sum after", []string{list, "\x04\x01" + sum("b", "d") + sum("b") + "\x00c"}},
		{"removed names out of order", []string{list, "\x04\x01" + sum("b", "d") + sum() + "d|b\x00"}},
		{"added names out of order", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "e", "f") + "\x00f|e"}},
		{"a name twice", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "e", "e") + "\x00e|e"}},
		{"an absent name removed", []string{list, "\x04\x01" + sum("b", "d", "c") + sum("b", "d") + "c\x00"}},
		{"a present name added", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "d") + "\x00d"}},
		{"a name removed and added", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d") + "d\x00d"}},
		{"an invalid name", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "x\ny") + "\x00x\ny"}},
		{"a long name", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", strings.Repeat("x", 513)) + "\x00" + strings.Repeat("x", 513)}},
		{"a change cut off", []string{list, ("\x04\x01" + sum("b", "d") + sum("b", "d", "e") + "\x00e")[:18]}},
		{"a list out of order", []string{list, "\x03\x01d|b"}},
		{"a list with an invalid name", []string{list, "\x03\x01b|\xff"}},
		{"a list with an empty name", []string{list, "\x03\x01b|"}},
		{"an unknown flag", []string{list, "\x03\x03b"}},
		{"an unknown kind", []string{list, "\x06\x01"}},
		{"an empty message", []string{list, ""}},
		{"a second WELCOME", []string{list, string(welcomeBytes)}},
		{"a HAVE", []string{list, "\x02"}},
		{"a plain list", []string{list, "b|d|e"}},
		{"a beat of another list", []string{list, "\x05\x01" + sum("b")}},
		{"a short beat", []string{list, "\x05\x01" + sum("b", "d")[1:]}},
		{"a beat without a list", []string{"\x05\x01" + sum()}},
		{"a change without a list", []string{"\x04\x01" + sum() + sum("b") + "\x00b"}},
		{"a message that is too long", []string{list, "too long"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logger, book := newLogger()
			p := newPublisher(t)
			sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
			c, have := p.acceptChanges()
			if have != "\x02" {
				t.Errorf("a new subscriber says % x, want HAVE with nothing", have)
			}
			for _, message := range test.messages {
				bytes := frames(message)
				if message == "too long" {
					bytes = []byte(number(64<<20 + 33))
				}
				if _, err := c.Write(bytes); err != nil {
					t.Fatal(err)
				}
			}
			expectClosed(t, "after "+test.name, c)
			if sub.Servers()[0].LastError == nil {
				t.Error("LastError is nil, want why the connection was closed")
			}
			plain, proto := p.accept()
			if want := uint16(sptest.Sub); proto != want {
				t.Fatalf("the subscriber comes back speaking %#x, want %#x", proto, want)
			}
			if err := plain.Send([]byte("z|y")); err != nil {
				t.Fatal(err)
			}
			before := await(t, sub.Changes(), "y", "z")
			for _, got := range before {
				if !slices.Equal(got, []string{"b", "d"}) {
					t.Errorf("got the list %q", got)
				}
			}
			if got := strings.Count(book.String(), "connection closed"); got != 1 {
				t.Errorf("logged %d times that the connection is closed, want once:\n%s", got, book)
			}
			if got := strings.Count(book.String(), "\n"); got > 1 {
				t.Errorf("logged %d lines, want one:\n%s", got, book)
			}
		})
	}
}
