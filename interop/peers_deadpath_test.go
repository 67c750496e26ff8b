//go:build unix

package interop_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// A peer that is not surveyed any more makes another connection beside the one
// that it has. It keeps the one on which surveys come. When it leaves, a peer
// in Python says goodbye.
func TestDeadPath(t *testing.T) {
	const id = "\x80\x01\x02\x03"
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
				l := sptest.Listen(t, survey)
				lists := sptest.Listen(t, pubsub) // says nothing
				p := startPeer(t, command, announcing("peer", l.URL, lists.URL)...)
				old := accept(t, l, sptest.Surveyor, sptest.Respondent)
				for range 3 {
					ask(t, old, id, id+"peer")
				}
				start := time.Now()
				young := accept(t, l, sptest.Surveyor, sptest.Respondent)
				if took := time.Since(start); took < 4900*time.Millisecond {
					t.Errorf("the peer makes another connection after %v, want 5 s", took)
				}
				ask(t, young, id, id+"peer")
				expectNothing(t, old)
				lost, kept := young, old
				if test.dead {
					lost, kept = old, young
				}
				ask(t, kept, id, id+"peer")
				awaitEnd(t, lost)
				ask(t, kept, id, id+"peer")
				p.end(syscall.SIGTERM)
				if strings.HasSuffix(command[len(command)-1], ".py") {
					if got, want := string(kept.MustReceive(t)), "\x80\x00\x00\x00peer"; got != want {
						t.Errorf("the peer leaves with % x, want % x", got, want)
					}
				}
				awaitEnd(t, kept)
			})
		}
	})
}
