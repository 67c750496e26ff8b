//go:build unix

package interop_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"
)

// survey sends a survey, and checks the answer to it.
func (c *rawConn) survey(t testing.TB, name string) {
	t.Helper()
	const id = "\x80\x01\x02\x03"
	c.SetDeadline(time.Now().Add(patience))
	c.send(t, id)
	if got := c.receive(t); string(got) != id+name {
		t.Errorf("the peer answers % x, want % x", got, id+name)
	}
}

// expectNothing checks that the other side neither sends anything nor closes
// the connection for a while.
func (c *rawConn) expectNothing(t testing.TB) {
	t.Helper()
	c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
		t.Errorf("got %d bytes, %v, want nothing", n, err)
	}
}

// A peer that is not surveyed any more makes another connection beside the one
// that it has. It keeps the one on which surveys come. When it leaves, a peer in
// Python says goodbye.
func TestDeadPath(t *testing.T) {
	onEach(t, func(t *testing.T, command []string, survey, pubsub string) {
		for _, test := range []struct {
			name string
			dead bool // no survey comes on the old connection any more
		}{{"dead", true}, {"slow", false}} {
			t.Run(test.name, func(t *testing.T) {
				survey, pubsub := survey, pubsub
				if strings.HasPrefix(survey, "ipc:") {
					survey, pubsub = survey+test.name, pubsub+test.name
				}
				l := listenRaw(t, survey, protoSurveyor, protoRespondent)
				lists := listenRaw(t, pubsub, protoPub, protoSub) // says nothing
				p := startPeer(t, command, announcing("peer", l.url, lists.url)...)
				old := l.accept(t)
				for range 3 {
					old.survey(t, "peer")
				}
				start := time.Now()
				young := l.accept(t)
				if took := time.Since(start); took < 4900*time.Millisecond {
					t.Errorf("the peer makes another connection after %v, want 5 s", took)
				}
				young.survey(t, "peer")
				old.expectNothing(t)
				lost, kept := young, old
				if test.dead {
					lost, kept = old, young
				}
				kept.survey(t, "peer")
				lost.SetDeadline(time.Now().Add(patience))
				lost.awaitEnd(t)
				kept.survey(t, "peer")
				p.end(syscall.SIGTERM)
				kept.SetDeadline(time.Now().Add(patience))
				if strings.HasSuffix(command[len(command)-1], ".py") {
					if got, want := kept.receive(t), []byte("\x80\x00\x00\x00peer"); !bytes.Equal(got, want) {
						t.Errorf("the peer leaves with % x, want % x", got, want)
					}
				}
				kept.awaitEnd(t)
			})
		}
	})
}
