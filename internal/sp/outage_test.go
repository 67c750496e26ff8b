package sp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
)

// outageLog is a redialer whose attempts are scripted by the test, with the
// lines that it has logged.
type outageLog struct {
	*redialer
	lines *logtest.Gate
}

func newOutageLog() outageLog {
	lines := logtest.OpenGate()
	e := newEndpoint(Protocol{}, Settings{Log: NewLog(slog.New(lines)), Lost: func() string { return "all is lost" }, Found: "found again"})
	return outageLog{newTestRedialer(e, Address{"tcp", "x:1"}), lines}
}

// dial repeats try until it succeeds.
func (o outageLog) dial(try func() error) {
	for o.wait() {
		err := try()
		if err == nil {
			o.succeed()
			return
		}
		o.fail(err)
	}
}

func (o outageLog) end() {
	o.endpoint.shut()
	o.endpoint.end()
}

// expect compares the lines logged since the last call.
func (o outageLog) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := o.lines.Take(); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// However many errors there are, each reason is logged once, and one that comes
// later is logged too.
func TestOutageIsALineForEachReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := []error{errors.New("one"), fmt.Errorf("%w: two", errNotSP)}
		attempts := 0
		o := newOutageLog()
		o.dial(func() error {
			if attempts++; attempts == 300 {
				return nil
			}
			if attempts > 150 {
				return &net.DNSError{Err: fmt.Sprint("read udp 127.0.0.1:", attempts), Name: "x", IsTimeout: true}
			}
			return errs[attempts%len(errs)]
		})
		o.expect(t,
			"gopherdiscovery: something else listens where the server should, retrying; all is lost url=tcp://x:1 error=the other side does not speak the Scalability Protocols: two",
			"gopherdiscovery: cannot reach the server, retrying url=tcp://x:1 error=one",
			"gopherdiscovery: cannot reach the server, retrying url=tcp://x:1 error=lookup x: read udp 127.0.0.1:151")
		time.Sleep(steadyMin)
		o.expect(t, "gopherdiscovery: found again url=tcp://x:1 last_error=lookup x: read udp 127.0.0.1:299")
		attempts = 0
		o.dial(func() error {
			if attempts++; attempts == 2 {
				return nil
			}
			return errs[0]
		})
		o.expect(t, "gopherdiscovery: cannot reach the server, retrying; all is lost url=tcp://x:1 error=one")
		o.end()
	})
}

// A server that comes and goes counts as one outage until a connection has
// stood for a while. That while grows from one outage to the next.
func TestFlappingServerIsOneOutage(t *testing.T) {
	for _, test := range []struct {
		up, total time.Duration
		most      int // lines
	}{
		{0, time.Minute, 2},
		{400 * ms, time.Minute, 2},
		{1500 * ms, time.Minute, 3},
		{10 * time.Second, time.Hour, 9},
	} {
		t.Run(test.up.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused := false
				refuseOnce := func() error {
					if refused = !refused; refused {
						return errors.New("refused")
					}
					return nil
				}
				o := newOutageLog()
				for start := time.Now(); time.Since(start) < test.total; time.Sleep(test.up) {
					o.dial(refuseOnce)
				}
				synctest.Wait()
				if got := o.lines.Take(); len(got) < 1 || len(got) > test.most {
					t.Errorf("%d lines, want at most %d:\n%q", len(got), test.most, got)
				}
				// A connection that stands for long ends the outage, and the
				// next outage is logged like the first.
				time.Sleep(2 * steadyMax)
				synctest.Wait()
				if got := o.lines.Take(); len(got) > 1 {
					t.Errorf("a connection that stands was logged in %d lines, want at most 1: %q", len(got), got)
				}
				for range 2 {
					refused = false
					o.dial(refuseOnce)
					time.Sleep(steadyMin)
					synctest.Wait()
				}
				if got := o.lines.Take(); len(got) != 3 {
					t.Errorf("two outages after a long time without one are %d lines, want 3: %q", len(got), got)
				}
				o.end()
			})
		})
	}
}

// A server that accepts connections and closes them at once is an outage too.
func TestServerThatClosesConnectionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutageLog()
		connect := func() error { return nil }
		for range maxShortLived {
			o.dial(connect)
		}
		o.expect(t) // fewer may have met the end of the server
		for range 20 {
			o.dial(connect)
		}
		o.expect(t, "gopherdiscovery: cannot keep a connection to the server, retrying; all is lost url=tcp://x:1 error="+errShortLived.Error())
		o.end()
	})
}
