package gopherdiscovery

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.nanomsg.org/mangos/v3"
)

// outageLog is a dialer that does what a test says, and what it has logged.
type outageLog struct {
	*dialer
	lines *gate
}

func newOutageLog(connect func() (mangos.TranPipe, error)) outageLog {
	open := make(chan struct{})
	close(open)
	lines := &gate{open: open}
	s := newSocket(role{lost: "all is lost", found: "found again"}, settings{log: &asyncLog{logger: slog.New(lines)}})
	d := &dialer{sock: s, connect: connect, reported: new(atomic.Bool), outage: &outage{sock: s, url: "url"}}
	return outageLog{d, lines}
}

// expect compares what has been logged since the last call.
func (o outageLog) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := o.lines.take(); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestOutageOfManyErrorsIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := []error{errors.New("one"), fmt.Errorf("%w: two", errNotSP), errMute}
		attempts := 0
		o := newOutageLog(func() (mangos.TranPipe, error) {
			if attempts++; attempts == 300 {
				return nothing{}, nil
			}
			return nil, errs[attempts%len(errs)]
		})
		if _, err := o.Dial(); err != nil {
			t.Fatal(err)
		}
		o.sock.joined()
		o.expect(t, "gopherdiscovery: something else listens where the server should, retrying; all is lost url=url error=the other side does not speak the Scalability Protocols: two")
		time.Sleep(steadyMin)
		o.expect(t, "gopherdiscovery: found again url=url last_error="+errs[299%len(errs)].Error())
		o.sock.close()
	})
}

// A server that comes and goes is one outage until a connection stands for a while, and from one outage to the next for longer.
func TestFlappingServerIsOneOutage(t *testing.T) {
	for _, test := range []struct {
		up, total time.Duration
		most      int // lines
	}{
		{0, time.Minute, 1},
		{400 * ms, time.Minute, 1},
		{1500 * ms, time.Minute, 3},
		{10 * time.Second, time.Hour, 9},
	} {
		t.Run(test.up.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused := false
				o := newOutageLog(func() (mangos.TranPipe, error) {
					if refused = !refused; refused {
						return nil, errors.New("refused")
					}
					return nothing{}, nil
				})
				for start := time.Now(); time.Since(start) < test.total; time.Sleep(test.up) {
					if _, err := o.Dial(); err != nil {
						t.Fatal(err)
					}
					o.sock.joined()
				}
				synctest.Wait()
				if got := o.lines.take(); len(got) < 1 || len(got) > test.most {
					t.Errorf("%d lines, want at most %d:\n%q", len(got), test.most, got)
				}
				// What stands for long ends it, and the next outage is as the first.
				time.Sleep(2 * steadyMax)
				synctest.Wait()
				if got := o.lines.take(); len(got) > 1 {
					t.Errorf("a connection that stands was logged in %d lines, want at most 1: %q", len(got), got)
				}
				for range 2 {
					refused = false
					if _, err := o.Dial(); err != nil {
						t.Fatal(err)
					}
					o.sock.joined()
					time.Sleep(steadyMin)
					synctest.Wait()
				}
				if got := o.lines.take(); len(got) != 3 {
					t.Errorf("two outages after a long time without one are %d lines, want 3: %q", len(got), got)
				}
				o.sock.close()
			})
		})
	}
}

// A server that takes connections and closes them at once is an outage as well.
func TestServerThatClosesConnectionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutageLog(func() (mangos.TranPipe, error) { return nothing{}, nil })
		for range 20 {
			if _, err := o.Dial(); err != nil {
				t.Fatal(err)
			}
			o.sock.joined()
		}
		o.expect(t, "gopherdiscovery: cannot keep a connection to the server, retrying; all is lost url=url error="+errShortLived.Error())
		o.sock.close()
	})
}
