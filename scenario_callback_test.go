package gopherdiscovery_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
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

// A client that ends while Authorize hangs leaves when surveys cannot be sent
// to it any more.
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
	testmain.Await(t, "the client is listed", func() bool { return slices.Equal(server.Services(), []string{"one"}) })
	client.Close()
	testmain.Await(t, "the client leaves", func() bool { return server.Stats().Clients == 0 && len(server.Services()) == 0 })
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
	testmain.Await(t, "both are listed", func() bool { return len(server.Services()) == 2 })
	testmain.Await(t, "one is listed", func() bool {
		answer("lives", "refused")
		return slices.Equal(server.Services(), []string{"lives"})
	})
}

// soon is how long an end may take although callbacks hang.
const soon = 5 * time.Second

// closeSoon fails the test if Close waits for callbacks that hang.
func closeSoon(t *testing.T, name string, e ender) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Close()
	}()
	select {
	case <-done:
	case <-time.After(soon):
		t.Errorf("%s has not ended after %v, because of a callback that hangs", name, soon)
	}
}

// hung is a callback that hangs until the end of the test.
type hung struct {
	calls   atomic.Int64
	release chan struct{}
}

func newHung(t *testing.T) *hung {
	h := &hung{release: make(chan struct{})}
	t.Cleanup(func() { close(h.release) })
	return h
}

func (h *hung) hang() {
	h.calls.Add(1)
	<-h.release
}

// usersKey is a key that calls a function before it signs.
type usersKey struct {
	crypto.Signer
	called func()
}

func withUsersKey(cert tls.Certificate, called func()) tls.Certificate {
	cert.PrivateKey = usersKey{cert.PrivateKey.(crypto.Signer), called}
	return cert
}

func (k usersKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.called()
	return k.Signer.Sign(random, digest, opts)
}

// slowCache is empty, and calls a function when it is asked or told.
type slowCache struct{ get, put func() }

func (c slowCache) Get(string) (*tls.ClientSessionState, bool) { c.get(); return nil, false }
func (c slowCache) Put(string, *tls.ClientSessionState)        { c.put() }

// A client hangs in its own callbacks, in more connections than there are
// processors. Others in the same process connect meanwhile, and all of them can
// end.
func TestClientCallbacksThatHang(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*tls.Config, *hung){
		"VerifyConnection": func(c *tls.Config, h *hung) {
			c.VerifyConnection = func(tls.ConnectionState) error { h.hang(); return nil }
		},
		"VerifyPeerCertificate": func(c *tls.Config, h *hung) {
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { h.hang(); return nil }
		},
		"GetClientCertificate": func(c *tls.Config, h *hung) {
			cert := &c.Certificates[0]
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { h.hang(); return cert, nil }
		},
		"a key in hardware": func(c *tls.Config, h *hung) {
			c.Certificates = []tls.Certificate{withUsersKey(c.Certificates[0], h.hang)}
		},
		"a key in hardware of GetClientCertificate": func(c *tls.Config, h *hung) {
			cert := withUsersKey(c.Certificates[0], h.hang)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		},
		"ClientSessionCache":                   func(c *tls.Config, h *hung) { c.ClientSessionCache = slowCache{h.hang, func() {}} },
		"ClientSessionCache after a handshake": func(c *tls.Config, h *hung) { c.ClientSessionCache = slowCache{func() {}, h.hang} },
	} {
		t.Run(name, func(t *testing.T) {
			opt, good := tlsPair(t, newAuthority(t), "peer")
			h := newHung(t)
			bad := &gopherdiscovery.Dialer{TLSConfig: good.TLSConfig.Clone(), Logger: quiet.Logger}
			set(bad.TLSConfig, h)
			var survey, pubsub string
			var surveys []string
			for range runtime.GOMAXPROCS(0) + 2 {
				survey, pubsub = startServerAt(t, anyTLSPort, anyTLSPort, opt).URLs()
				surveys = append(surveys, survey)
			}
			client, err := bad.Client(context.Background(), strings.Join(surveys, ","), "peer")
			if err != nil {
				t.Fatal(err)
			}
			ends := []ender{client}
			testmain.Await(t, "all hang", func() bool { return h.calls.Load() >= int64(len(surveys)) })
			sub, err := good.NewSubscriber(context.Background(), pubsub)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, sub)
			start := time.Now()
			client, err = good.Client(context.Background(), survey, "peer")
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, client)
			await(t, sub.Changes(), "peer")
			if took := time.Since(start); took > soon {
				t.Errorf("another client has joined after %v, want within %v", took, soon)
			}
			for _, e := range ends {
				closeSoon(t, "a client", e)
			}
		})
	}
}

// The same on a server.
func TestServerCallbacksThatHang(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*tls.Config, func(name string)){
		"GetCertificate": func(c *tls.Config, called func(name string)) {
			cert := &c.Certificates[0]
			c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				called(hello.ServerName)
				return cert, nil
			}
		},
		"GetConfigForClient": func(c *tls.Config, called func(name string)) {
			c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				called(hello.ServerName)
				return nil, nil
			}
		},
		"a key in hardware": func(c *tls.Config, called func(name string)) {
			good, bad := &c.Certificates[0], withUsersKey(c.Certificates[0], func() { called("hang") })
			c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName == "hang" {
					return &bad, nil
				}
				return good, nil
			}
		},
		"WrapSession": func(c *tls.Config, called func(name string)) {
			plain := c.Clone()
			c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
				called(state.ServerName)
				return plain.EncryptTicket(state, session)
			}
		},
		"VerifyConnection of a chosen configuration": func(c *tls.Config, called func(name string)) {
			plain := c.Clone()
			c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				chosen := plain.Clone()
				chosen.VerifyConnection = func(tls.ConnectionState) error { called(hello.ServerName); return nil }
				return chosen, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			opt, good := tlsPair(t, newAuthority(t), "peer")
			h := newHung(t)
			set(opt.TLSConfig, func(name string) {
				if name == "hang" {
					h.hang()
				}
			})
			server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
			survey, pubsub := server.URLs()
			bad := &gopherdiscovery.Dialer{TLSConfig: good.TLSConfig.Clone(), Logger: quiet.Logger}
			bad.TLSConfig.ServerName, bad.TLSConfig.InsecureSkipVerify = "hang", true
			// Without a cache there are no sessions.
			bad.TLSConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			many := runtime.GOMAXPROCS(0) + 2
			for range many {
				client, err := bad.Client(context.Background(), survey, "peer")
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
			}
			testmain.Await(t, "all hang", func() bool { return h.calls.Load() >= int64(many) })
			start := time.Now()
			client, err := good.ClientWithSub(context.Background(), survey, pubsub, "peer")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			peers, _ := client.Peers()
			await(t, peers, "peer")
			if took := time.Since(start); took > soon {
				t.Errorf("another client has joined after %v, want within %v", took, soon)
			}
			closeSoon(t, "the server", server)
		})
	}
}

// Callbacks do not keep clients from resuming sessions, which saves the server
// most of the work of a handshake.
func TestSessionsAreResumedDespiteCallbacks(t *testing.T) {
	opt, good := tlsPair(t, newAuthority(t), "peer")
	opt.TLSConfig.VerifyConnection = func(tls.ConnectionState) error { return nil }
	plain := opt.TLSConfig.Clone()
	opt.TLSConfig.WrapSession = plain.EncryptTicket
	var unwrapped, resumed atomic.Int64
	opt.TLSConfig.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		unwrapped.Add(1)
		return plain.DecryptTicket(ticket, state)
	}
	good.TLSConfig.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	good.TLSConfig.VerifyConnection = func(state tls.ConnectionState) error {
		if state.DidResume {
			resumed.Add(1)
		}
		return nil
	}
	server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
	survey, _ := server.URLs()
	for range 2 {
		client, err := good.Client(context.Background(), survey, "peer")
		if err != nil {
			t.Fatal(err)
		}
		testmain.Await(t, "the client is listed", func() bool { return len(server.Services()) == 1 })
		client.Close()
		testmain.Await(t, "the client has left", func() bool { return len(server.Services()) == 0 })
	}
	if resumed.Load() == 0 || unwrapped.Load() == 0 {
		t.Errorf("%d sessions were unwrapped, and %d resumed, want one", unwrapped.Load(), resumed.Load())
	}
}
