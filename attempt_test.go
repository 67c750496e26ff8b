package gopherdiscovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
				c, err := race(t.Context(), newEndpoint(side{}, quietSettings), targets, func(ctx context.Context, target string) (*link, error) {
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
		{errors.New("refused"), handshakeTime}, {mute, 2 * handshakeTime}, {mute, 4 * handshakeTime}, {mute, 4 * handshakeTime},
		{nil, handshakeTime}, {mute, 2 * handshakeTime}, {errTLS, handshakeTime},
	} {
		h.record(test.err)
		if got := h.patience(); got != test.want {
			t.Errorf("after %v: got patience %v, want %v", test.err, got, test.want)
		}
	}
}

// Of two attempts that succeed at the same moment, one connection is closed.
func TestRaceHasOneWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		c, err := race(t.Context(), newEndpoint(side{}, quietSettings), []string{"a", "b"}, func(_ context.Context, target string) (*link, error) {
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

// fakeDNS answers every question about a name with the same addresses until the
// test ends.
func fakeDNS(t *testing.T, addresses ...string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		server.Close()
	})
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answerDNS(question[:n], addresses), from)
		}
	}()
}

// answerDNS answers a question (RFC 1035, section 4) with IPv4 addresses. It
// has no IPv6 addresses.
func answerDNS(question []byte, addresses []string) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the zero, the type and the class
	isA := question[end-3] == 1
	if !isA {
		addresses = nil
	}
	answer := append([]byte(nil), question[:end]...)
	answer[2], answer[3] = 0x85, 0x80 // authoritative, no error
	copy(answer[6:12], []byte{0, byte(len(addresses)), 0, 0, 0, 0})
	for _, address := range addresses {
		answer = append(answer, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, net.ParseIP(address).To4()...)
	}
	return answer
}

// The name has several addresses. Only the last one has a server; the first one
// accepts connections and sends nothing.
func TestNameWithSeveralAddresses(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Skip(err) // not all systems have the address
	}
	probe.Close()
	server, err := Server("tcp://127.0.0.3:0", "tcp://127.0.0.3:0", Options{PollTime: 50 * ms, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, pubsub := server.URLs()
	port := pubsub[strings.LastIndex(pubsub, ":"):]
	mute, err := net.Listen("tcp", "127.0.0.1"+port)
	if err != nil {
		t.Skip("the port is taken at another address")
	}
	defer mute.Close()
	fakeDNS(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	lines := openGate()
	d := &Dialer{Logger: slog.New(lines)}
	sub, err := d.NewSubscriber(t.Context(), "tcp://several.test"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	select {
	case list := <-sub.Changes():
		if len(list) != 0 {
			t.Errorf("got list %q", list)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no list in time")
	}
	sub.Close()
	if got := strings.Join(lines.take(), "\n"); strings.Count(got, "several addresses") != 1 || strings.Count(got, "\n") != 0 {
		t.Errorf("logged:\n%s\nwant one line, that the name has several addresses", got)
	}
}

// A name is resolved again for each attempt, but its addresses are logged only
// once.
func TestSeveralAddressesAreLoggedOnce(t *testing.T) {
	fakeDNS(t, "127.0.0.1", "127.0.0.2")
	lines := openGate()
	e := newEndpoint(side{}, settings{log: &asyncLog{logger: slog.New(lines)}})
	c := &connector{redialer: newTestRedialer(e, address{"tcp", "several.test:1"})}
	for range 3 {
		if got, err := c.resolve(); err != nil || len(got) != 2 {
			t.Fatalf("got %v, %v, want both addresses", got, err)
		}
	}
	e.shut()
	e.end()
	e.log.close()
	if got := lines.take(); len(got) != 1 || !strings.Contains(got[0], "several addresses") {
		t.Errorf("logged %q, want one line that there are several addresses", got)
	}
}

// An old publisher serves one of the addresses of a name, and the other refuses
// connections. The subscriber falls back to the plain form at once and misses
// nothing.
func TestOldPublisherBehindAName(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err) // not all systems have the address
	}
	defer old.Close()
	fakeDNS(t, "127.0.0.3", "127.0.0.2")
	lines := openGate()
	d := &Dialer{Logger: slog.New(lines)}
	port := old.Addr().String()[strings.LastIndex(old.Addr().String(), ":"):]
	sub, err := d.NewSubscriber(t.Context(), "tcp://several.test"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, want := range []byte{0x51, 0x21} {
		c, err := old.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var hello [8]byte
		_, _ = c.Write(sptest.Hello(sptest.Pub))
		if _, err := io.ReadFull(c, hello[:]); err != nil || hello[5] != want {
			t.Fatalf("the subscriber says % x, %v, want protocol % x", hello, err, want)
		}
		if want == 0x51 {
			c.Close()
		} else {
			_, _ = c.Write(append([]byte{0, 0, 0, 0, 0, 0, 0, 3}, "a|b"...))
		}
	}
	if got := <-sub.Changes(); len(got) != 2 {
		t.Errorf("got the list %q, want a and b", got)
	}
	sub.Close()
	if got := lines.take(); len(got) != 1 || !strings.Contains(got[0], "several addresses") {
		t.Errorf("logged %q, want one line that the name has several addresses", got)
	}
}
