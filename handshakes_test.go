package gopherdiscovery

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// closing calls a function when it is closed.
type closing struct {
	close  func()
	behind bool // some bytes have not been read yet
}

func (c *closing) Close() error {
	c.close()
	return nil
}

func (c *closing) unread() bool { return c.behind }

// A handshake that waits for us, or has sent bytes that we have not read, does
// not give way while there is one that keeps us waiting.
func TestWhoGivesWay(t *testing.T) {
	var all handshakes
	closed := ""
	add := func(name, url string, spared, behind bool) {
		s := &handshake{conn: &closing{func() { closed += name }, behind}, url: url, protectedUntil: new(atomic.Int64)}
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

// When all the handshakes that are allowed wait for their turn, the next one
// waits for room, and none of them gives way.
func TestNoRoomForAHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all handshakes
		gaveWay := 0
		add := func(url string) *handshake {
			s := &handshake{conn: &closing{close: func() { gaveWay++ }}, url: url, protectedUntil: new(atomic.Int64)}
			s.protectedUntil.Store(math.MaxInt64)
			all.add(t.Context(), s)
			return s
		}
		first := add("full")
		for range maxHandshakes - 1 {
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
		if gaveWay != 1 || all.list.Len() != maxHandshakes+1 {
			t.Errorf("%d have given way and %d are under way, want 1 and %d", gaveWay, all.list.Len(), maxHandshakes+1)
		}
	})
}
