package sp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
)

func TestThrottle(t *testing.T) {
	var th throttle
	start := time.Now()
	for _, test := range []struct {
		at   time.Duration
		want int // of 25
	}{{0, 10}, {999 * ms, 0}, {1000 * ms, 10}, {4000 * ms, 10}} {
		got := 0
		for range 25 {
			if th.tryCount(start.Add(test.at)) {
				got++
			}
		}
		if got != test.want {
			t.Errorf("after %v: %d of 25 warnings are allowed, want %d", test.at, got, test.want)
		}
	}
}

// A warning is logged once for each remote host and reason, whatever the ports
// are, and again after an hour with the number of repetitions.
func TestThrottleLogsEachCauseOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := logtest.OpenGate()
		th := throttle{log: NewLog(slog.New(lines))}
		expect := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := lines.Take(); !slices.Equal(got, want) {
				t.Errorf("%s: logged %q, want %q", what, got, want)
			}
		}
		slow := func(port int) error {
			return fmt.Errorf("%w: read from port %d", errSlowHandshake, port)
		}
		th.warn("closed", "10.0.0.1:1001", slow(1001))
		expect("the first", "gopherdiscovery: closed from=10.0.0.1:1001 error="+slow(1001).Error())
		for port := range 500 {
			th.warn("closed", fmt.Sprint("10.0.0.1:", 2000+port), slow(2000+port))
			time.Sleep(6 * time.Second)
		}
		expect("the same again")
		th.warn("closed", "10.0.0.1:1001", errNoTLS)
		expect("another reason", "gopherdiscovery: closed from=10.0.0.1:1001 error="+errNoTLS.Error())
		th.warn("closed", "10.0.0.2:1001", errNoTLS)
		expect("another host", "gopherdiscovery: closed from=10.0.0.2:1001 error="+errNoTLS.Error())
		time.Sleep(10 * time.Minute)
		th.warn("closed", "10.0.0.1:1002", slow(1002))
		expect("after an hour", "gopherdiscovery: closed from=10.0.0.1:1002 error="+slow(1002).Error()+" repeated=500")
	})
}

// The texts of some errors differ each time although the reason is the same.
func TestReasonOf(t *testing.T) {
	invalid := func(detail string, reason x509.InvalidReason) error {
		return &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: reason, Detail: detail, Cert: new(x509.Certificate)}}
	}
	dial := func(port int, err error) error {
		return &net.OpError{Op: "read", Source: &net.TCPAddr{Port: port}, Err: err}
	}
	for _, test := range []struct {
		name      string
		one, same error
		other     error
	}{
		{"certificate", invalid("at 1", x509.Expired), invalid("at 2", x509.Expired), invalid("", x509.NotAuthorizedToSign)},
		{"authority", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
			&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{Cert: new(x509.Certificate)}}, invalid("", x509.Expired)},
		{"lookup", &net.DNSError{Err: "port 1", IsTimeout: true}, &net.DNSError{Err: "port 2", IsTimeout: true}, &net.DNSError{IsNotFound: true}},
		{"network", dial(1, ErrnoReset), dial(2, ErrnoReset), dial(1, ErrnoRefused)},
		{"protocol", fmt.Errorf("%w: 1", errNotSP), fmt.Errorf("%w: 2", errNotSP), errTLS},
	} {
		t.Run(test.name, func(t *testing.T) {
			one, same, other := reasonOf(test.one), reasonOf(test.same), reasonOf(test.other)
			if one != same || one == other {
				t.Errorf("got %q, %q and %q, want the same twice and another one", one, same, other)
			}
		})
	}
}

// A warning that is left out because others came too fast is logged when it
// comes again.
func TestThrottleLogsWhatItLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &logtest.Gate{Open: make(chan struct{})}
		close(g.Open)
		th := throttle{log: NewLog(slog.New(g))}
		for i := range warningsPerSecond {
			th.warn("closed", fmt.Sprintf("10.0.0.%d:1", i), errFull)
		}
		th.warn("closed", "10.0.1.1:1", errTLS)
		synctest.Wait()
		g.Take()
		time.Sleep(2 * time.Second)
		th.warn("closed", "10.0.1.1:2", errTLS)
		th.warn("closed", "10.0.1.1:3", errTLS)
		synctest.Wait()
		want := "gopherdiscovery: closed from=10.0.1.1:2 error=" + errTLS.Error() + " omitted=1"
		if got := g.Take(); len(got) != 1 || got[0] != want {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

// What is remembered of warnings is bounded.
func TestThrottleForgets(t *testing.T) {
	var th throttle
	for i := range 2 * maxCauses {
		if _, isDue := th.countRepetition(cause{host: fmt.Sprint(i)}, time.Now()); !isDue {
			t.Fatalf("cause %d is taken for a repetition", i)
		}
		if len(th.repeated) > maxCauses {
			t.Fatalf("%d causes are remembered, want %d at most", len(th.repeated), maxCauses)
		}
	}
}

func TestAsyncLogKeepsOrderAndCountsWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &logtest.Gate{Open: make(chan struct{})}
		l := NewLog(slog.New(g))
		l.add(slog.LevelDebug, "not enabled")
		l.add(slog.LevelInfo, "first")
		synctest.Wait() // the logger has it, and hangs
		for i := range logQueue + 7 {
			l.add(slog.LevelWarn, "more", "i", i)
		}
		l.omit()
		close(g.Open)
		synctest.Wait()
		l.add(slog.LevelInfo, "last")
		l.Close()
		l.add(slog.LevelInfo, "after the end")
		synctest.Wait()
		lines := g.Take()
		if got, want := len(lines), 1+logQueue+1; got != want {
			t.Fatalf("%d lines, want %d: %q", got, want, lines)
		}
		if lines[0] != "gopherdiscovery: first" || lines[1] != "gopherdiscovery: more i=0" {
			t.Errorf("the first lines are %q", lines[:2])
		}
		if got, want := lines[len(lines)-1], fmt.Sprintf("gopherdiscovery: last omitted=%d", 7+1); got != want {
			t.Errorf("the last line is %q, want %q", got, want)
		}
	})
}

func TestAsyncLogDoesNotWaitForALoggerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &logtest.Gate{Open: make(chan struct{})}
		l := NewLog(slog.New(g))
		l.add(slog.LevelInfo, "one")
		l.add(slog.LevelInfo, "two")
		start := time.Now()
		l.Close()
		l.Close()
		if got := time.Since(start); got != 2*callbackGrace {
			t.Errorf("two closes took %v, want %v each", got, callbackGrace)
		}
		close(g.Open)
		synctest.Wait()
		if got := strings.Join(g.Take(), ", "); got != "gopherdiscovery: one" {
			t.Errorf("logged %q, want only what the logger had already", got)
		}
	})
}
