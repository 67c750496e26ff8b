package gopherdiscovery_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
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

// expectSoon checks that Close returns soon although a function of the user's
// hangs.
func expectSoon(t *testing.T, what string, e ender) {
	t.Helper()
	start := time.Now()
	e.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close of the %s took %v, want at most half a second", what, took)
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
