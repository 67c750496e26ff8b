package gopherdiscovery_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// frames puts SP's length before each message.
func frames(messages ...string) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(m))), m...)
	}
	return b
}

// FuzzConnection sends arbitrary bytes to a running server, with or without a
// handshake before them.
func FuzzConnection(f *testing.F) {
	f.Add(false, false, []byte(nil))
	f.Add(false, false, []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(false, true, append(sptest.Hello(sptest.Sub), frames("hello")...))
	f.Add(false, false, append(sptest.Hello(sptest.Respondent), frames("\x80\x00\x00\x01a|b")...))
	f.Add(true, false, frames("\x80\x00\x00\x01name", "", "\x00", "\xff\xff\xff\xff"))
	f.Add(true, false, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Add(true, true, frames(""))
	f.Add(true, true, frames("talk")[:9])
	server := startServer(f, quickOptions)
	survey, pubsub := server.URLs()
	announce(f, server, "good")
	testmain.Await(f, "the good client is listed", func() bool { return server.Stats().Services == 1 })
	f.Fuzz(func(t *testing.T, shake, toPubsub bool, bytes []byte) {
		url, protocol := survey, uint16(sptest.Respondent)
		if toPubsub {
			url, protocol = pubsub, sptest.Sub
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		if shake {
			bytes = append(sptest.Hello(protocol), bytes...)
		}
		_, _ = c.Write(bytes)
		_ = c.(*net.TCPConn).CloseWrite()
		expectClosed(t, "the fuzzer's", c)
		c.Close()
		checkNames(t, server)
	})
}

// FuzzSubscriber sends arbitrary bytes to a running server as a subscriber that
// asks for changes.
func FuzzSubscriber(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(frames("\x02"))
	f.Add(frames("\x02" + sum("good")))
	f.Add(frames("\x02"+sum(), "more"))
	f.Add(frames("\x02", "\x02"))
	f.Add(frames("", "\x02\x00"))
	f.Add(frames("\x02")[:8])
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	server := startServer(f, quickOptions)
	_, pubsub := server.URLs()
	announce(f, server, "good")
	subscribe(f, server)
	testmain.Await(f, "the good ones are there, and the list is complete", func() bool {
		stats := server.Stats()
		return stats.Services == 1 && stats.Subscribers == 1 && stats.Complete
	})
	f.Fuzz(func(t *testing.T, said []byte) {
		c := dialChanges(t, pubsub)
		_, _ = c.Write(said)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(patience))
		for {
			message, err := c.Receive()
			if err != nil {
				break
			}
			// A subscriber that has another list is held, and the beat is of
			// that list.
			own, isHeld := bytes.CutPrefix(message, []byte("\x05\x03"))
			isHeld = isHeld && len(own) == 8 && bytes.Contains(said, own)
			if got := string(message); !isHeld && got != "\x03\x01good" && got != "\x05\x01"+sum("good") {
				t.Errorf("the server sends %q", got)
			}
		}
		c.Close()
		checkNames(t, server)
		if got := server.Stats().Subscribers; got < 1 {
			t.Errorf("%d subscribers are left, want the good one", got)
		}
	})
}

// FuzzAnswers answers a real survey, with its id, with an arbitrary name.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{"", "name", "a|b", "\n", "\xff", "\u0085", strings.Repeat("x", 600)} {
		f.Add(seed)
	}
	server := startServer(f, quickOptions)
	survey, _ := server.URLs()
	announce(f, server, "good")
	testmain.Await(f, "the good client is listed", func() bool { return server.Stats().Services == 1 })
	f.Fuzz(func(t *testing.T, answer string) {
		c := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
		before := server.Stats()
		if err := c.Send(append(c.MustReceive(t), answer...)); err != nil {
			t.Fatal(err)
		}
		testmain.Await(t, "the answer is counted", func() bool {
			now := server.Stats()
			return now.Answers+now.Rejected > before.Answers+before.Rejected
		})
		c.Close()
		checkNames(t, server)
	})
}

// checkNames checks that the list holds only valid names, and the good client.
func checkNames(t *testing.T, server *gopherdiscovery.DiscoveryServer) {
	t.Helper()
	list := server.Services()
	for _, name := range list {
		if name == "" || len(name) > 512 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, "|") {
			t.Errorf("the name %q is listed", name)
		}
	}
	if !slices.Contains(list, "good") {
		t.Errorf("the good client is gone from the list %q", list)
	}
}
