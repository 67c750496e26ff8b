package sp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// fakeHost scripts the outcome of a connection attempt.
type fakeHost struct {
	takes time.Duration
	err   error // nil for success
}

func TestRace(t *testing.T) {
	refused, late := &net.OpError{Op: "dial", Err: errors.New("refused")}, &net.OpError{Op: "dial", Err: errors.New("late")}
	mute, plain := errors.New("mute"), fmt.Errorf("plain: %w", errNoChanges)
	for _, test := range []struct {
		name  string
		hosts []fakeHost
		want  string // the host that wins, or the error
		after time.Duration
		tried int
	}{
		{"one", []fakeHost{{30 * ms, nil}}, "0", 30 * ms, 1},
		{"one that fails", []fakeHost{{30 * ms, refused}}, refused.Error(), 30 * ms, 1},
		{"the first is quick", []fakeHost{{200 * ms, nil}, {0, nil}}, "0", 200 * ms, 1},
		{"the first refuses", []fakeHost{{10 * ms, refused}, {10 * ms, nil}}, "1", 20 * ms, 2},
		{"the first is mute", []fakeHost{{5 * time.Second, late}, {10 * ms, nil}}, "1", 260 * ms, 2},
		{"three have vanished", []fakeHost{{5 * time.Second, late}, {5 * time.Second, late}, {5 * time.Second, late}, {10 * ms, nil}}, "3", 760 * ms, 4},
		{"a slow first wins after all", []fakeHost{{300 * ms, nil}, {time.Second, nil}}, "0", 300 * ms, 2},
		{"one of them is plain", []fakeHost{{0, refused}, {10 * ms, plain}, {0, late}}, plain.Error(), 10 * ms, 3},
		{"no host is there", []fakeHost{{5 * time.Second, late}, {0, refused}}, late.Error(), 5 * time.Second, 2},
		{"one host is mute", []fakeHost{{0, refused}, {5 * time.Second, mute}, {0, late}}, "mute", 5 * time.Second, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conns := make(map[string]*link)
				var targets []string
				for i := range test.hosts {
					targets = append(targets, fmt.Sprint(i))
					conns[fmt.Sprint(i)] = &link{close: func() error { return nil }}
				}
				var mu sync.Mutex
				tried, under := 0, 0
				start := time.Now()
				c, err := race(t.Context(), newEndpoint(Protocol{}, quietSettings), targets, func(ctx context.Context, target string) (*link, error) {
					mu.Lock()
					at := tried
					tried++
					under++
					mu.Unlock()
					defer func() {
						mu.Lock()
						under--
						mu.Unlock()
					}()
					select {
					case <-time.After(test.hosts[at].takes):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					if err := test.hosts[at].err; err != nil {
						return nil, err
					}
					return conns[target], nil
				})
				got := fmt.Sprint(err)
				if err == nil {
					for target := range conns {
						if conns[target] == c {
							got = target
						}
					}
				}
				if got != test.want || time.Since(start) != test.after || tried != test.tried {
					t.Errorf("got %s after %v and %d attempts, want %s after %v and %d", got, time.Since(start), tried, test.want, test.after, test.tried)
				}
				synctest.Wait()
				if under != 0 {
					t.Errorf("%d attempts are still under way", under)
				}
			})
		})
	}
}

// On Windows, ipc of other libraries is something else. The error says so.
func TestExplainIPC(t *testing.T) {
	failed := errors.New("failed")
	for _, test := range []struct {
		network, goos string
		explained     bool
	}{
		{"unix", "windows", true}, {"unix", "linux", false}, {"tcp", "windows", false},
	} {
		err := explainIPC(failed, test.network, test.goos)
		if !errors.Is(err, failed) || errors.Is(err, errNoPipes) != test.explained {
			t.Errorf("%s on %s: got %v, want an explanation: %t", test.network, test.goos, err, test.explained)
		}
	}
}

func TestHistory(t *testing.T) {
	var h history
	targets := []string{"a", "b", "c"}
	for _, want := range []string{"abc", "bca", "cab", "abc"} {
		if got := strings.Join(h.order(targets), ""); got != want {
			t.Errorf("order of an attempt: got %s, want %s", got, want)
		}
	}
	mute := fmt.Errorf("%w: timeout", errSlowHandshake)
	for _, test := range []struct {
		err  error
		want time.Duration
	}{
		{errors.New("refused"), HandshakeTime}, {mute, 2 * HandshakeTime}, {mute, 4 * HandshakeTime}, {mute, 4 * HandshakeTime},
		{nil, HandshakeTime}, {mute, 2 * HandshakeTime}, {errTLS, HandshakeTime},
	} {
		h.record(test.err)
		if got := h.timeout(); got != test.want {
			t.Errorf("after %v: got timeout %v, want %v", test.err, got, test.want)
		}
	}
}

// Of two attempts that succeed at the same moment, one connection is closed.
func TestRaceHasOneWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		c, err := race(t.Context(), newEndpoint(Protocol{}, quietSettings), []string{"a", "b"}, func(_ context.Context, target string) (*link, error) {
			if target == "a" {
				time.Sleep(attemptDelay)
			}
			time.Sleep(10 * ms) // ignores the context
			return &link{close: func() error { closed++; return nil }}, nil
		})
		synctest.Wait()
		if err != nil || c == nil || closed != 1 {
			t.Errorf("got %v, %v with %d closed, want a connection and the other one closed", c, err, closed)
		}
	})
}

// A name is resolved again for each attempt, also of another line to the same
// server, but its addresses are logged only once.
func TestSeveralAddressesAreLoggedOnce(t *testing.T) {
	sptest.FakeDNS(t, "127.0.0.1", "127.0.0.2")
	lines := logtest.OpenGate()
	e := newEndpoint(Protocol{}, Settings{Log: NewLog(slog.New(lines))})
	first := newTestRedialer(e, Address{"tcp", "several.test:1"})
	second := newTestRedialer(e, first.address)
	second.outage = first.outage
	one, other := &connector{redialer: first}, &connector{redialer: second}
	for _, c := range []*connector{one, one, other} {
		if got, err := c.resolve(); err != nil || len(got) != 2 {
			t.Fatalf("got %v, %v, want both addresses", got, err)
		}
	}
	e.shut()
	e.end()
	e.Log.Close()
	if got := lines.Take(); len(got) != 1 || !strings.Contains(got[0], "several addresses") {
		t.Errorf("logged %q, want one line that there are several addresses", got)
	}
}
