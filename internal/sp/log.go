package sp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// A Log passes records to the user's logger in a separate goroutine, so that
// a logger that hangs delays nothing else. The goroutine runs only while there
// are records.
type Log struct {
	logger *slog.Logger

	mu      sync.Mutex // guards the fields below
	records []slog.Record
	omitted int           // records left out since the last one queued
	idle    chan struct{} // closed when the goroutine ends; nil if not running
	closed  bool
}

// NewLog returns a log to a logger. The caller must close it.
func NewLog(logger *slog.Logger) *Log { return &Log{logger: logger} }

// add queues a record. It never blocks.
func (l *Log) add(level slog.Level, msg string, args ...any) {
	var caller [1]uintptr
	runtime.Callers(2, caller[:])
	r := slog.NewRecord(time.Now(), level, "gopherdiscovery: "+msg, caller[0])
	r.Add(args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return
	case len(l.records) == logQueue:
		l.omitted++
		return
	}
	if l.omitted > 0 {
		r.Add("omitted", l.omitted)
		l.omitted = 0
	}
	l.records = append(l.records, r)
	if l.idle == nil {
		l.idle = make(chan struct{})
		go l.run()
	}
}

// omit counts a record that is left out.
func (l *Log) omit() {
	l.mu.Lock()
	l.omitted++
	l.mu.Unlock()
}

func (l *Log) run() {
	for {
		r, ok := l.next()
		if !ok {
			return
		}
		if handler := l.logger.Handler(); handler.Enabled(context.Background(), r.Level) {
			// There is nowhere to report an error.
			_ = handler.Handle(context.Background(), r)
		}
	}
}

func (l *Log) next() (r slog.Record, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) == 0 {
		l.records = nil
		close(l.idle)
		l.idle = nil
		return r, false
	}
	r = l.records[0]
	l.records = l.records[1:]
	return r, true
}

// Close waits until all records are logged, but at most callbackGrace. Records
// that are added later are discarded.
func (l *Log) Close() {
	l.mu.Lock()
	l.closed = true
	idle := l.idle
	l.mu.Unlock()
	if idle == nil {
		return
	}
	grace := time.NewTimer(callbackGrace)
	defer grace.Stop()
	select {
	case <-idle:
	case <-grace.C:
		l.mu.Lock()
		l.records = nil
		l.mu.Unlock()
	}
}

// throttle logs warnings that the network causes. It logs one for each remote
// host and reason, and then, after a while, how often it came again. It also
// leaves some out if they come too fast. The next record says how many were
// left out.
type throttle struct {
	log *Log

	mu          sync.Mutex // guards the fields below
	windowStart time.Time  // of the second in which warnings are counted
	count       int        // warnings since then
	repeated    map[cause]*repetition
}

// cause is what makes a warning: a remote host and a reason.
type cause struct{ host, reason string }

// repetition counts the warnings with one cause.
type repetition struct {
	logged time.Time // when one was last logged
	count  int       // since then
}

// warn logs a warning about a remote address.
func (t *throttle) warn(msg, from string, err error, args ...any) {
	now := time.Now()
	c := cause{hostOf(from), msg + reasonOf(err)}
	var refused *Refusal
	if errors.As(err, &refused) {
		// Names do not count, and a host may have clients of several kinds.
		c = cause{from, refused.Reason.Error()}
	}
	repeats, isDue := t.countRepetition(c, now)
	switch {
	case !isDue:
		return
	case !t.tryCount(now):
		t.forget(c) // the next one is logged, if there is room for it then
		t.log.omit()
		return
	case repeats > 0:
		args = append(args, "repeated", repeats)
	}
	t.log.add(slog.LevelWarn, msg, append([]any{"from", from, "error", err}, args...)...)
}

// countRepetition counts a warning. It returns true if the warning is to be
// logged, and how many with the same cause were not logged since the last one.
func (t *throttle) countRepetition(c cause, now time.Time) (count int, isDue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.repeated[c]
	switch {
	case r == nil:
		if len(t.repeated) == maxCauses || t.repeated == nil {
			t.repeated = make(map[cause]*repetition)
		}
		t.repeated[c] = &repetition{logged: now}
		return 0, true
	case now.Sub(r.logged) < repeatAfter:
		r.count++
		return 0, false
	}
	count = r.count
	*r = repetition{logged: now}
	return count, true
}

func (t *throttle) forget(c cause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.repeated, c)
}

// hostOf returns the host of an address, or all of it if it has no port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// reasonOf returns what an error has in common with others of its kind. The
// texts of errors may have ports and times, which differ.
func reasonOf(err error) string {
	var (
		reason      *wire.Reason
		lookup      *net.DNSError
		network     *net.OpError
		certificate *tls.CertificateVerificationError
		invalid     x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &reason):
		return reason.Error()
	case errors.As(err, &lookup):
		return fmt.Sprintf("lookup: not found %t, timeout %t", lookup.IsNotFound, lookup.IsTimeout)
	case errors.As(err, &network):
		return network.Err.Error()
	case errors.As(err, &invalid):
		return fmt.Sprintf("certificate invalid: %d", invalid.Reason)
	case errors.As(err, &certificate):
		return fmt.Sprintf("certificate: %T", certificate.Err)
	}
	return err.Error()
}

// loggedReasons remembers reasons that were logged, up to maxReasons. The zero
// value is ready to use.
type loggedReasons map[string]bool

// add adds a reason. It returns false if the reason is not to be logged: it
// was before, or there are too many.
func (t *loggedReasons) add(reason string) (isNew bool) {
	if (*t)[reason] || len(*t) == maxReasons {
		return false
	}
	if *t == nil {
		*t = make(loggedReasons)
	}
	(*t)[reason] = true
	return true
}

// tryCount counts a warning. It returns true if the warning may be logged now.
func (t *throttle) tryCount(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.windowStart) >= time.Second {
		t.windowStart, t.count = now, 0
	}
	if t.count == warningsPerSecond {
		return false
	}
	t.count++
	return true
}
