package gopherdiscovery_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

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
			eventually(t, "all hang", func() bool { return h.calls.Load() >= int64(len(surveys)) })
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
			eventually(t, "all hang", func() bool { return h.calls.Load() >= int64(many) })
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
		eventually(t, "the client is listed", func() bool { return len(server.Services()) == 1 })
		client.Close()
		eventually(t, "the client has left", func() bool { return len(server.Services()) == 0 })
	}
	if resumed.Load() == 0 || unwrapped.Load() == 0 {
		t.Errorf("%d sessions were unwrapped, and %d resumed, want one", unwrapped.Load(), resumed.Load())
	}
}
