package gopherdiscovery_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// dialChanges connects as a subscriber that asks for changes, and reads the
// welcome.
func dialChanges(t testing.TB, url string) sptest.Conn {
	t.Helper()
	c := sptest.Dial(t, url, sptest.Changes, sptest.Pub)
	if got := string(c.MustReceive(t)); len(got) != 6 || got[:2] != "\x01\x01" {
		t.Fatalf("the server welcomes with % x", got)
	}
	return c
}

// A subscriber must send one HAVE and nothing else.
func TestSubscribersThatSayTheWrongThing(t *testing.T) {
	t.Parallel()
	have := func(bytes string) []byte { return []byte("\x02" + bytes) }
	for _, test := range []struct {
		name     string
		messages [][]byte
		refused  uint64 // connections refused in the handshake
		rejected uint64 // connections closed later
	}{
		{"no HAVE", nil, 1, 0},
		{"a HAVE of wrong length", [][]byte{have("\x01\x02\x03\x04")}, 1, 0},
		{"a long HAVE", [][]byte{have(sum() + "\x00")}, 1, 0},
		{"a long message", [][]byte{make([]byte, 4097)}, 1, 0},
		{"another kind", [][]byte{[]byte("\x05\x01" + sum())}, 1, 0},
		{"nothing in a message", [][]byte{{}}, 1, 0},
		{"HAVE twice", [][]byte{have(""), have("")}, 0, 1},
		{"more than a HAVE", [][]byte{have(sum()), []byte("and now?")}, 0, 1},
		{"too much more", [][]byte{have(""), make([]byte, 4097)}, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logger, book := newLogger()
			opt := quickOptions
			opt.Logger = logger
			server := startServer(t, opt)
			_, pubsub := server.URLs()
			c := dialChanges(t, pubsub)
			start := time.Now()
			for _, message := range test.messages {
				if err := c.Send(message); err != nil {
					t.Fatal(err)
				}
			}
			expectClosed(t, test.name, c)
			if took := time.Since(start); test.messages == nil && took < 4*time.Second {
				t.Errorf("closed after %v, want all the time of a handshake", took)
			}
			eventually(t, "the connection is counted", func() bool {
				stats := server.Stats()
				return stats.Refused == test.refused && stats.Rejected == test.rejected && stats.Subscribers == 0
			})
			eventually(t, "one line is logged", func() bool { return strings.Count(book.String(), "\n") == 1 })
			expectHealthy(t, server, quiet)
		})
	}
}

// A subscriber that stops in the middle of its hello or its first message is
// given the time of a handshake and no longer.
func TestSubscribersThatStopHalfway(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	server := startServer(t, quickOptions)
	_, pubsub := server.URLs()
	conns := make(map[string]net.Conn)
	for n := range 8 {
		conns[fmt.Sprintf("%d bytes of a hello", n)] = connect(t, pubsub, sptest.Hello(sptest.Changes)[:n])
	}
	for n := range 9 {
		message := append(binary.BigEndian.AppendUint64(nil, 9), "\x02"+sum()...)
		conns[fmt.Sprintf("%d bytes of a HAVE", 8+n)] = connect(t, pubsub, append(sptest.Hello(sptest.Changes), message[:8+n]...))
	}
	for name, c := range conns {
		expectClosed(t, name, c)
	}
	if got, want := server.Stats().Refused, uint64(len(conns)); got != want {
		t.Errorf("Stats.Refused: got %d, want %d", got, want)
	}
}
