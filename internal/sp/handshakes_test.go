package sp

import (
	"math"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// closing calls a function when it is closed.
type closing struct {
	close  func()
	behind bool // some bytes have not been read yet
	asked  int  // how often it was asked for such bytes
}

func (c *closing) Close() error {
	c.close()
	return nil
}

func (c *closing) unread() bool {
	c.asked++
	return c.behind
}

// A handshake that waits for us, or has sent bytes that we have not read, does
// not give way while there is one that keeps us waiting.
func TestWhoGivesWay(t *testing.T) {
	var all Handshakes
	closed := ""
	add := func(name, url string, spared, behind bool) {
		s := &handshake{conn: &closing{close: func() { closed += name }, behind: behind}, url: url, protectedUntil: new(atomic.Int64)}
		if spared {
			s.protectedUntil.Store(time.Now().Add(time.Hour).UnixNano())
		}
		all.add(t.Context(), s)
	}
	add("1", "a", true, false)
	add("2", "b", false, false)
	add("3", "a", false, false)
	add("4", "a", false, true)
	for _, url := range []string{"a", "a", "", ""} {
		all.giveWay(url, false)
	}
	if closed != "32" {
		t.Errorf("gave way: %s, want 3 and 2, which keep us waiting", closed)
	}
	for range 2 {
		all.giveWay("", true)
	}
	if closed != "3214" || all.giveWay("", true) {
		t.Errorf("gave way: %s, want 3214 and then none", closed)
	}
}

// When all the handshakes that are allowed wait for a slot, the next one
// waits for room, and none of them gives way.
func TestNoRoomForAHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all Handshakes
		gaveWay := 0
		add := func(url string) *handshake {
			s := &handshake{conn: &closing{close: func() { gaveWay++ }}, url: url, protectedUntil: new(atomic.Int64)}
			s.protectedUntil.Store(math.MaxInt64)
			all.add(t.Context(), s)
			return s
		}
		first := add("full")
		for range MaxHandshakes - 1 {
			add("full")
		}
		add("another URL")
		added := make(chan struct{})
		go func() {
			add("full")
			close(added)
		}()
		synctest.Wait()
		select {
		case <-added:
			t.Error("one more than there may be was added")
		default:
		}
		all.remove(first)
		<-added
		first = all.list.Front().Value.(*handshake)
		first.protectedUntil.Store(time.Now().UnixNano()) // now it keeps us waiting
		add("full")
		if gaveWay != 1 || all.list.Len() != MaxHandshakes+1 {
			t.Errorf("%d have given way and %d are under way, want 1 and %d", gaveWay, all.list.Len(), MaxHandshakes+1)
		}
	})
}

// If this process is late, the system is asked about each handshake only once
// in helloGrace, although new connections look for room much more often.
func TestLateProcessAsksTheSystemRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all Handshakes
		conn := &closing{close: func() {}, behind: true}
		all.add(t.Context(), &handshake{conn: conn, protectedUntil: new(atomic.Int64)})
		for range 10 {
			all.giveWay("", false)
			time.Sleep(helloGrace / 10)
		}
		if conn.asked != 1 {
			t.Errorf("asked %d times in %v, want once", conn.asked, helloGrace)
		}
		conn.behind = false
		if !all.giveWay("", false) {
			t.Error("did not give way although nothing is unread any more")
		}
	})
}

// Handshakes wait for this process while one of them does, at their URL. The
// system is asked only if that is not known without it.
func TestHandshakesThatWaitForUs(t *testing.T) {
	for name, test := range map[string]struct {
		protected, behind, waiting bool
		asked                      int
	}{
		"for the other side":    {asked: 2},
		"for a slot":            {protected: true, waiting: true},
		"with what has arrived": {behind: true, waiting: true, asked: 2},
	} {
		t.Run(name, func(t *testing.T) {
			var all Handshakes
			first, last := &closing{}, &closing{behind: test.behind}
			for _, c := range []*closing{first, last} {
				all.add(t.Context(), &handshake{conn: c, url: "a", protectedUntil: new(atomic.Int64)})
			}
			if test.protected {
				all.list.Back().Value.(*handshake).protectedUntil.Store(math.MaxInt64)
			}
			if got := all.State("a").Waiting; got != test.waiting {
				t.Errorf("waiting: got %v, want %v", got, test.waiting)
			}
			if all.State("b").Waiting {
				t.Error("handshakes wait at a URL without any")
			}
			if got := first.asked + last.asked; got != test.asked {
				t.Errorf("the system was asked %d times, want %d", got, test.asked)
			}
		})
	}
}

// A handshake that had to wait for long, to begin or for slots, is
// remembered, however it ends.
func TestHandshakesThatWaitedForUs(t *testing.T) {
	for name, test := range map[string]struct {
		begin, slots time.Duration
		late         bool
	}{
		"at once":            {0, 0, false},
		"for slots, shortly": {0, LongWait, false},
		"for slots":          {0, LongWait + 1, true},
		"to begin":           {longStart, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := listenLocal(t, 0)
			ours, theirs := net.Pipe()
			theirs.Close()
			c := newLink(ours, l.endpoint, l.address)
			c.connectedAt = time.Now().Add(-test.begin)
			s := &handshake{conn: c, url: l.url(), protectedUntil: &c.protectedUntil}
			l.endpoint.Handshakes.add(t.Context(), s)
			l.endpoint.Enter(1)
			l.handshake(&greeting{link: c, waited: test.slots}, s)
			if got := !l.endpoint.Handshakes.State(s.url).Late.IsZero(); got != test.late {
				t.Errorf("late: got %t, want %t", got, test.late)
			}
		})
	}
}

// BenchmarkGiveWay measures how long a new connection looks for room while as
// many handshakes as there may be have bytes that this process has not read.
func BenchmarkGiveWay(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	e := newEndpoint(Pub, quietSettings)
	var all Handshakes
	for range MaxHandshakes {
		peer, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		nc, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		l := newLink(nc, e, Address{scheme: "tcp"})
		defer l.Close()
		if _, err := peer.Write([]byte{0}); err != nil {
			b.Fatal(err)
		}
		testmain.Await(b, "the byte has come", l.unread)
		_ = peer.Close() // with two descriptors for each there would be too many
		all.add(b.Context(), &handshake{conn: l, protectedUntil: &l.protectedUntil})
	}
	for b.Loop() {
		if all.giveWay("", false) {
			b.Fatal("a handshake gave way although its bytes have arrived")
		}
	}
}
