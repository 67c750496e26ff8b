//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// A server restarts while its clients are alive, more of them than it can let
// in within the time to return. It waits for those that are coming in: no
// subscriber loses a name, and in the end the list is complete and has all.
func TestHerdReturns(t *testing.T) {
	for _, test := range []struct {
		name    string
		bits    int // of an RSA key; zero without TLS
		clients int
		long    bool
	}{
		{"RSA-2048", 2048, 1200, false},
		{"RSA-4096", 4096, 500, true},
		{"tcp", 0, 4000, true},
	} {
		// These are not parallel: a herd needs the machine for itself.
		t.Run(test.name, func(t *testing.T) {
			if test.long {
				long(t)
			}
			clients := test.clients
			if testmain.IsRace() {
				clients /= 4
			}
			host := newHost("127.250")
			// The herd must not be faster than this.
			o := order{Timing: timing{ReturnTime: time.Second}}
			if test.bits > 0 {
				o.Certificate = writeCertificate(t, newCertificate(t, test.bits, host))
			}
			s := newSiteAt(t, host, nil, o)
			all := names("herd", clients)
			watcher := s.launch("watcher", s.peers(order{Subscribers: 10}))
			herd := s.launch("herd", s.peers(order{Announcers: all, Subscribers: 10}))
			s.await(t, all, 2*patience, nil)
			s.declare(alive, all, nil)
			s.settle(all, watcher, herd)

			killed := time.Now()
			started := s.restart(0)
			listed := s.completes(clients).Sub(started)
			s.settle(all, watcher, herd)
			s.checkToldNothing(killed)
			s.finish(fmt.Sprintf("server restarted, %d clients with %s in one process", clients, test.name),
				"no list; complete with all names", after("complete", listed))
		})
	}
}

// completes returns when the server is first seen to be complete. It fails the
// test if the server lists fewer names then.
func (s *site) completes(names int) time.Time {
	s.t.Helper()
	listed := 0
	s.eventually(func() string {
		state := s.server.state()
		listed = len(state.Services)
		if state.Complete {
			return ""
		}
		return fmt.Sprintf("the server lists %d names and is not complete", listed)
	})
	if listed < names {
		s.t.Errorf("the server was complete with %d names, want %d", listed, names)
	}
	return time.Now()
}
