package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

func uint64s(values ...uint64) string {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return string(b)
}

func change(before, after uint64, removed, added string) string {
	return "\x04\x01" + uint64s(before, after) + removed + "\x00" + added
}

const welcome = "\x01\x01\x00\x00\x07\xd0"

// publish listens for one subscription. It sends hello and bodies, checks what
// the subscriber sends, and closes the connection.
func publish(t *testing.T, says string, bodies ...string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Write(hello(protoPub))
		for _, body := range bodies {
			conn.Write(message([]byte(body)))
		}
		got := make([]byte, len(says))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != says {
			t.Errorf("the subscriber says %q and then error %v, want %q", got, err, says)
		}
	}()
	return listener.Addr().String()
}

// follow subscribes. It returns what the subscription sees, and how it ends.
func follow(t *testing.T, addr string, f Form) (seen []uint64, err error) {
	t.Helper()
	s, err := subscribe(addr, f, func(value uint64) { seen = append(seen, value) })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.welcome(); err != nil {
		return nil, err
	}
	return seen, s.run()
}

var helloAndHave = string(hello(protoChanges)) + string(message([]byte{kindHave}))

func TestSubscriptionInChanges(t *testing.T) {
	long := strings.Repeat("x", 300) + "|y" // more than a connection's buffer
	addr := publish(t, helloAndHave, welcome,
		"\x05\x00"+uint64s(0),
		"\x03\x00a|bb",
		change(wiretest.Sum("a", "bb"), wiretest.Sum("a", "bb", "c"), "", "c"),
		"\x05\x01"+uint64s(wiretest.Sum("a", "bb", "c")),
		"\x80", "\xff whatever comes in later versions",
		change(wiretest.Sum("a", "bb", "c"), wiretest.Sum("d"), "a|bb|c", "d"),
		change(wiretest.Sum("d"), wiretest.Sum("d", strings.TrimSuffix(long, "|y"), "y"), "", long),
		"\x03\x01",
		"\x03\x01"+long,
	)
	seen, err := follow(t, addr, inChanges)
	if err != io.EOF {
		t.Errorf("the subscription ends with %v, want %v", err, io.EOF)
	}
	all := wiretest.Sum(strings.Split(long, "|")...)
	want := []uint64{wiretest.Sum("a", "bb"), wiretest.Sum("a", "bb", "c"), wiretest.Sum("d"), wiretest.Sum("d") + all, 0, all}
	if !slices.Equal(seen, want) {
		t.Errorf("saw %#x, want %#x", seen, want)
	}
}

func TestPlainSubscription(t *testing.T) {
	addr := publish(t, string(hello(protoSub)), "", "a|bb", "a|bb", "a", "")
	seen, err := follow(t, addr, inLists)
	if want := []uint64{4, 1, 0}; !slices.Equal(seen, want) || err != io.EOF {
		t.Errorf("saw %v and then %v, want %v and %v", seen, err, want, io.EOF)
	}
}

func TestSubscriptionErrors(t *testing.T) {
	for name, body := range map[string]string{
		"empty message":            "",
		"unknown kind":             "\x06\x00",
		"second WELCOME":           welcome,
		"LIST without flags":       "\x03",
		"BEAT with another sum":    "\x05\x01" + uint64s(1),
		"short BEAT":               "\x05\x01\x00",
		"CHANGE of another list":   change(1, wiretest.Sum("a"), "", "a"),
		"CHANGE to another list":   change(0, wiretest.Sum("b"), "", "a"),
		"CHANGE without zero byte": "\x04\x01" + uint64s(0, wiretest.Sum("a")) + "a",
		"short CHANGE":             "\x04\x01" + uint64s(0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			seen, err := follow(t, publish(t, helloAndHave, welcome, body), inChanges)
			if err == nil || err == io.EOF || len(seen) > 0 {
				t.Errorf("saw %#x and then error %v", seen, err)
			}
		})
	}
}

func TestWelcome(t *testing.T) {
	for name, body := range map[string]string{
		"LIST first":     "\x03\x00a",
		"another format": "\x01\x02\x00\x00\x07\xd0",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := follow(t, publish(t, string(hello(protoChanges)), body), inChanges)
			if err == nil || errors.Is(err, errRefused) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

// A publisher that closes the connection instead of sending WELCOME knows only
// plain lists.
func TestRefused(t *testing.T) {
	f, err := chooseForm(LightPeers{PubSub: publish(t, string(hello(protoChanges)))})
	if f != inLists || err != nil {
		t.Errorf("got form %q and error %v, want %q", f, err, inLists)
	}
	f, err = chooseForm(LightPeers{PubSub: publish(t, helloAndHave, welcome)})
	if f != inChanges || err != nil {
		t.Errorf("got form %q and error %v, want %q", f, err, inChanges)
	}
}

func TestIDEnd(t *testing.T) {
	for survey, want := range map[string]int{
		"":                         0,
		"\x80\x00\x00":             0,
		"\x80\x00\x00\x01":         4,
		"\x00\x00\x00\x2a":         0,
		"\x00\x00\x00\x2a\x93abcd": 8,
	} {
		if got := idEnd([]byte(survey)); got != want {
			t.Errorf("the id of %q ends at %d, want %d", survey, got, want)
		}
	}
}
