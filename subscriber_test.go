package gopherdiscovery

import (
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// What a reader receives depends on when it reads; "take" lets it read.
func TestDelivery(t *testing.T) {
	a, b, none := []string{"a"}, []string{"b"}, []string{}
	take := []string(nil)
	for _, test := range []struct {
		name  string
		steps [][]string
		want  [][]string // what the reader receives, at last what waits for it
	}{
		{"each list", [][]string{a, take, b, take}, [][]string{a, b}},
		{"only the newest that waits", [][]string{a, b}, [][]string{b}},
		{"no list twice", [][]string{a, take, a}, [][]string{a}},
		{"no list twice though another waited in between", [][]string{a, take, b, a}, [][]string{a}},
		{"a list again after another", [][]string{a, take, b, take, a}, [][]string{a, b, a}},
		{"an empty first list", [][]string{none}, [][]string{none}},
		{"an empty list once", [][]string{none, take, none}, [][]string{none}},
		{"waiting lists that cancel out, then a new one", [][]string{a, take, b, a, b}, [][]string{a, b}},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := make(chan []string, 1)
			var d delivery
			var got [][]string
			for _, step := range test.steps {
				if step != nil {
					d.deliver(changes, step)
					continue
				}
				select {
				case list := <-changes:
					got = append(got, list)
				default:
				}
			}
			if len(changes) > 0 {
				got = append(got, <-changes)
			}
			if !slices.EqualFunc(got, test.want, slices.Equal[[]string]) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDeliveredListsAreFresh(t *testing.T) {
	changes := make(chan []string, 1)
	var d delivery
	list := []string{"a", "b"}
	d.deliver(changes, list)
	clear(<-changes)
	if list[0] != "a" {
		t.Error("the receiver's list is the sender's")
	}
}

// newFeed returns a connection in changes to a server, without a network.
func newFeed() *feed {
	sources := wire.NewSources([]string{"tcp://a:1"})
	s := &Subscriber{changes: make(chan []string, 1), bell: sp.NewBell(), sources: sources, current: make(map[*wire.Source]*feed)}
	f := &feed{s, new(fakeServerConn), sources.All[0]}
	f.Began()
	return f
}

// fakeServerConn is a connection to a server with a beat of a second. It keeps
// what the next connection is told.
type fakeServerConn struct {
	serverConn
	have       *uint64
	distrusted bool
}

func (c *fakeServerConn) Beat() time.Duration    { return time.Second }
func (c *fakeServerConn) Awaited() bool          { return false }
func (c *fakeServerConn) RememberSum(sum uint64) { c.have = &sum }
func (c *fakeServerConn) Distrust()              { c.distrusted = true }

// A subscriber that reconnects says which list it has. After a malformed
// message no connection asks for changes.
func TestFollowingKeepsAccount(t *testing.T) {
	for _, test := range []struct {
		name     string
		messages [][]byte
		wrong    bool     // the last of them
		have     []string // nil for none
	}{
		{"nothing", nil, false, nil},
		{"a list", [][]byte{wiretest.List(false, "a")}, false, []string{"a"}},
		{"a change", [][]byte{wiretest.List(true, "a"), wiretest.Change(true, []string{"a"}, []string{"a"}, []string{"b"})}, false, []string{"b"}},
		{"an empty list", [][]byte{wiretest.List(true)}, false, []string{}},
		{"a wrong beat", [][]byte{wiretest.List(true, "a"), wiretest.Beat(true, "b")}, true, []string{"a"}},
		{"a beat without a list", [][]byte{wiretest.Beat(true)}, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeed()
			var err error
			for _, message := range test.messages {
				err = f.Received(message)
			}
			conn := f.pipe.(*fakeServerConn)
			if (err != nil) != test.wrong || conn.distrusted != test.wrong {
				t.Errorf("got error %v, and distrusted %t, want wrong %t", err, conn.distrusted, test.wrong)
			}
			if got := conn.have; (got == nil) != (test.have == nil) || got != nil && *got != wiretest.Sum(test.have...) {
				t.Errorf("the next connection says that it has %v, want the sum of %q", got, test.have)
			}
		})
	}
}

// Messages that are still read from a connection that has ended change nothing.
func TestFollowingOfAnEndedConnection(t *testing.T) {
	f := newFeed()
	f.Ended()
	if err := f.Received(wiretest.List(true, "a")); err != nil {
		t.Fatal(err)
	}
	if got := f.subscriber.List(); got != nil || f.pipe.(*fakeServerConn).have != nil {
		t.Errorf("got the list %q after the end", got)
	}
}

func TestFollowingIgnoresLaterKinds(t *testing.T) {
	f := newFeed()
	if err := f.Received([]byte{0x80}); err != nil || f.pipe.(*fakeServerConn).distrusted {
		t.Errorf("got error %v, want none", err)
	}
}
