package gopherdiscovery_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// stuck is a log handler that hangs until it is released.
type stuck struct{ released chan struct{} }

func (s stuck) Enabled(context.Context, slog.Level) bool { <-s.released; return false }
func (stuck) Handle(context.Context, slog.Record) error  { return nil }
func (s stuck) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s stuck) WithGroup(string) slog.Handler            { return s }

// stuckLogger returns a logger that hangs until the test ends.
func stuckLogger(t *testing.T) *slog.Logger {
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	return slog.New(stuck{released})
}

// expectSoon checks that Close returns soon although users' functions hang.
func expectSoon(t *testing.T, what string, e ender) {
	t.Helper()
	start := time.Now()
	e.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close of the %s took %v, want at most a second", what, took)
	}
}

// A logger that hangs does not keep a client from dialling, a list from a
// subscriber, or Close from returning.
func TestLoggerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &gopherdiscovery.Dialer{Logger: stuckLogger(t)}
		client, err := d.ClientWithSub(context.Background(), inprocSurvey, inprocLists, "one")
		if err != nil {
			t.Fatal(err)
		}
		sub, err := d.NewSubscriber(context.Background(), inprocLists)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // an outage, and lines about it
		opt := bubbleOptions
		opt.Logger = d.Logger
		for range 3 {
			server, err := gopherdiscovery.Server(inprocSurvey, inprocLists, opt)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := server.Stats(); got.Services != 1 || got.Subscribers != 2 {
				t.Errorf("got %+v, want the client and both subscriptions", got)
			}
			expectSoon(t, "server", server)
		}
		peers, _ := client.Peers()
		await(t, peers, "one")
		await(t, sub.Changes(), "one")
		expectSoon(t, "client", client)
		expectSoon(t, "subscriber", sub)
		awaitClosed(t, peers)
	})
}

// An Authorize that hangs delays only the client that it was asked about.
func TestAuthorizeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		t.Cleanup(func() { close(hung) })
		opt := bubbleOptions
		opt.Authorize = func(service string, _ gopherdiscovery.Conn) error {
			if service == "doubtful" {
				<-hung
			}
			return nil
		}
		server := bubbleServer(t, opt)
		sub := newRecord(subscribe(t, server).Changes())
		announce(t, server, "doubtful")
		time.Sleep(10 * time.Second)
		announce(t, server, "good")
		time.Sleep(10 * time.Second)
		sub.expect(t, delivered{2 * time.Second, ""}, delivered{10 * time.Second, "good"})
		expectSoon(t, "server", server)
	})
}

// The backend of an Authorize does not answer for two minutes. Clients that it
// has admitted before stay on the list, although nothing else of them is read
// in the meantime.
func TestAuthorizeThatHangsForAll(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		hung := make(chan struct{})
		var hangs atomic.Bool
		opt := bubbleOptions
		opt.SurveyTime = 900 * time.Millisecond // a poll must not end when a3 dials again
		opt.Authorize = func(string, gopherdiscovery.Conn) error {
			if hangs.Load() {
				<-hung
			}
			return nil
		}
		w, _, lists := crowdedWith(t, opt)
		hangs.Store(true)
		time.Sleep(2 * time.Minute)
		lists.expect(t)
		hangs.Store(false)
		close(hung)
		time.Sleep(10 * time.Second)
		lists.expect(t)
		// From now on silence is silence again.
		w.Freeze("survey0/a3")
		time.Sleep(10 * time.Second)
		lists.expect(t, delivered{143800 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
	})
}

// A client that ends while Authorize hangs leaves when surveys cannot be sent to
// it any more.
func TestEndOfAClientWhileAuthorizeHangs(t *testing.T) {
	t.Parallel()
	hung, asked := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(hung) })
	var calls atomic.Int32
	opt := quickOptions
	opt.Authorize = func(string, gopherdiscovery.Conn) error {
		if calls.Add(1) > 1 {
			close(asked)
			<-hung
		}
		return nil
	}
	server := startServer(t, opt)
	survey, _ := server.URLs()
	client := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	for range 2 {
		if err := client.Send(append(client.MustReceive(t), "one"...)); err != nil {
			t.Fatal(err)
		}
	}
	<-asked
	if got := server.Services(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("got %q, want the client listed", got)
	}
	client.Close()
	eventually(t, "the client leaves", func() bool { return server.Stats().Clients == 0 && len(server.Services()) == 0 })
}

// Names that Authorize withdraws leave at once, however many there are.
func TestWithdrawnNamesLeaveAtOnce(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		var withdrawn atomic.Bool
		opt := bubbleOptions
		opt.Authorize = func(string, gopherdiscovery.Conn) error {
			if withdrawn.Load() {
				return errors.New("withdrawn")
			}
			return nil
		}
		_, _, lists := crowdedWith(t, opt)
		withdrawn.Store(true)
		time.Sleep(time.Second) // the next survey is at 10 s
		synctest.Wait()
		lists.mu.Lock()
		defer lists.mu.Unlock()
		if n := len(lists.got); n == 0 || lists.got[n-1] != (delivered{10 * time.Second, ""}) {
			t.Errorf("delivered %v, want an empty list at 10 s", lists.got)
		}
	})
}

// A client that was stopped for many surveys answers all of them when it goes
// on. That is nothing bad, and is not logged.
func TestStoppedClientAnswersOldSurveys(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		logger, book := newLogger()
		opt := bubbleOptions
		opt.Logger = logger
		w := newFakeCluster(t)
		server := startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), opt)
		w.client("a", 0)
		time.Sleep(9 * time.Second)
		w.Freeze("survey0/a")
		time.Sleep(3 * time.Minute)
		w.Thaw("survey0/a")
		time.Sleep(time.Minute)
		if got := server.Stats(); got.Services != 1 || got.Rejected != 0 {
			t.Errorf("got %+v, want one service and nothing rejected", got)
		}
		if strings.Contains(book.String(), "dropped") {
			t.Errorf("logged %q", book)
		}
	})
}

// Authorize is asked about each name behind a device. Names that are announced,
// or refused, keep no other listed.
func TestAuthorizeOfADevice(t *testing.T) {
	opt := quickOptions
	opt.SurveyTime = 50 * time.Millisecond
	opt.Authorize = func(service string, _ gopherdiscovery.Conn) error {
		if service == "refused" {
			return errors.New("refused")
		}
		return nil
	}
	server := startServer(t, opt)
	survey, _ := server.URLs()
	device := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	answer := func(names ...string) {
		id := device.MustReceive(t)
		for _, name := range names {
			if err := device.Send(append(slices.Clone(id), name...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	answer("hangs", "lives")
	eventually(t, "both are listed", func() bool { return len(server.Services()) == 2 })
	eventually(t, "one is listed", func() bool {
		answer("lives", "refused")
		return slices.Equal(server.Services(), []string{"lives"})
	})
}
