//go:build linux

package faults

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// site is a server, and peers that a test adds.
type site struct {
	*monitor
	t      *testing.T
	order  order  // of the server
	space  *space // of the server, nil for this machine
	server *process
}

// newSite starts a server on an address of its own, without a network.
func newSite(t *testing.T, timing timing) *site {
	t.Helper()
	return newSiteAt(t, newHost("127.253"), nil, order{Timing: timing})
}

// newHost returns an address of this machine that nothing else uses. Like all
// of 127.0.0.0/8 it needs no configuration.
func newHost(prefix string) string {
	return fmt.Sprintf("%s.%d.%d", prefix, os.Getpid()%256, lastHost.Add(1))
}

// newSiteAt starts a server on an address, with the timing and the certificate
// of an order.
func newSiteAt(t *testing.T, host string, in *space, o order) *site {
	t.Helper()
	scheme := "tcp"
	if o.Certificate != "" {
		scheme = "tls+tcp"
	}
	o.Server = true
	o.Survey, o.PubSub = fmt.Sprintf("%s://%s:10000", scheme, host), fmt.Sprintf("%s://%s:20000", scheme, host)
	s := &site{monitor: newMonitor(), t: t, order: o, space: in}
	s.start(in)
	return s
}

// start starts the server, and returns the time when that was asked for. The
// server is bound when start returns.
func (s *site) start(in *space) time.Time {
	s.t.Helper()
	now := time.Now()
	s.space = in
	s.server = s.launchIn("server", s.order, in)
	s.server.state()
	return now
}

// restart kills the server and starts it again when it has been away for the
// given time.
func (s *site) restart(pause time.Duration) time.Time {
	s.t.Helper()
	killed := time.Now()
	s.server.kill()
	time.Sleep(time.Until(killed.Add(pause)))
	return s.start(s.space)
}

// launch starts a process that ends with the test.
func (s *site) launch(name string, o order) *process {
	s.t.Helper()
	return s.launchIn(name, o, nil)
}

func (s *site) launchIn(name string, o order, in *space) *process {
	s.t.Helper()
	p := launch(s.t, name, o, in, s.monitor)
	s.t.Cleanup(p.end)
	return p
}

// peers returns an order for peers of the server.
func (s *site) peers(o order) order {
	o.Survey, o.PubSub, o.Certificate = s.order.Survey, s.order.PubSub, s.order.Certificate
	return o
}

// names returns n names.
func names(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%04d", prefix, i))
	}
	return all
}

// awaitListed returns when the server lists exactly these names.
func (s *site) awaitListed(names []string) {
	s.t.Helper()
	s.eventually(func() string {
		services := s.server.state().Services
		if slices.Equal(services, names) {
			return ""
		}
		joined, left := gopherdiscovery.Diff(names, services)
		return fmt.Sprintf("the server lists %d names, not %d; too many: %s; missing: %s",
			len(services), len(names), few(joined), few(left))
	})
}

// awaitListedWithin returns how long after an event the server lists exactly
// these names. It fails the test if that takes longer than promised.
func (s *site) awaitListedWithin(names []string, event time.Time, promised time.Duration) time.Duration {
	s.t.Helper()
	s.awaitListed(names)
	took := time.Since(event)
	if took > promised+margin {
		s.t.Errorf("all were listed after %v, want it within %v and a margin of %v", took, promised, margin)
	}
	return took
}

func few(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%v and %d more", names[:5], len(names)-5)
	}
	return fmt.Sprint(names)
}

// awaitConnections returns when the server has the given number of connections
// of clients.
func (s *site) awaitConnections(want int) {
	s.t.Helper()
	s.eventually(func() string {
		if clients := s.server.state().Clients; clients != want {
			return fmt.Sprintf("the server has %d connections of clients, not %d", clients, want)
		}
		return ""
	})
}

// awaitComplete returns when the server is complete.
func (s *site) awaitComplete() {
	s.t.Helper()
	s.eventually(func() string {
		if s.server.state().Complete {
			return ""
		}
		return "the server is not complete"
	})
}

// settle returns when the server lists exactly these names and is complete, and
// has then sent something to all the given processes of peers on every
// connection. A subscriber with this list has then been told whatever it was to
// be told.
func (s *site) settle(names []string, peers ...*process) {
	s.t.Helper()
	s.awaitListed(names)
	s.awaitComplete()
	begin := time.Now()
	for _, p := range peers {
		s.eventually(func() string {
			if heard := p.state().Heard; !heard.After(begin) {
				return fmt.Sprintf("%s has not heard the server since %s, but since %s", p.id, begin.Format(clock), heard.Format(clock))
			}
			return ""
		})
	}
}

func (s *site) eventually(look func() (missing string)) {
	s.t.Helper()
	testmain.Eventually(s.t, 2*patience, look)
}

// checkToldNothing fails the test if a reader was delivered a list after an
// event.
func (s *site) checkToldNothing(event time.Time) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var told []string
	for id, r := range s.readers {
		if r.at.After(event) {
			told = append(told, fmt.Sprintf("%s: a list of %d names after %v", id, len(r.list), r.at.Sub(event)))
		}
	}
	reportAll(s.t, "lists without a change", told)
}

func (s *site) finish(fault, promise string, measured ...string) {
	s.t.Helper()
	results.add(row{fault, 1, promise, strings.Join(measured, "; "), s.falseLeaves(s.t)})
}
