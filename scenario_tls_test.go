package gopherdiscovery_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	opt, d := tlsPair(t, a, "peer")
	server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
	survey, pubsub := server.URLs()
	if !strings.HasPrefix(survey, "tls+tcp://127.0.0.1:") || strings.HasSuffix(survey, ":0") {
		t.Errorf("got URL %s, want the scheme and the port", survey)
	}
	client, err := d.ClientWithSub(context.Background(), survey, pubsub, "peer")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sub, err := d.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	peers, _ := client.Peers()
	await(t, peers, "peer")
	await(t, sub.Changes(), "peer")
	client.Close()
	await(t, sub.Changes())
	server.Close()
	again := startServerAt(t, survey, pubsub, opt)
	defer again.Close()
	if client, err = d.Client(context.Background(), survey, "another"); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	await(t, sub.Changes(), "another")
}

func TestServerCertificateByGetCertificateAlone(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert := a.certificate(t, "server")
	opt := quickOptions
	opt.TLSConfig = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "localhost" {
			return nil, fmt.Errorf("asked for server name %q", hello.ServerName)
		}
		return &cert, nil
	}}
	server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
	_, pubsub := server.URLs()
	verify := func(state tls.ConnectionState) error {
		if state.ServerName != "localhost" {
			return fmt.Errorf("the server name is %q", state.ServerName)
		}
		return nil
	}
	// The host comes from the URL and is not in the certificate, so only
	// VerifyConnection checks here.
	d := &gopherdiscovery.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: verify}}
	sub, err := d.NewSubscriber(context.Background(), strings.Replace(pubsub, "127.0.0.1", "localhost", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	await(t, sub.Changes())
	if d.TLSConfig.ServerName != "" {
		t.Errorf("the caller's configuration was changed: server name %q", d.TLSConfig.ServerName)
	}
}

func TestTLSNeedsAConfiguration(t *testing.T) {
	url := "tls+tcp://127.0.0.1:40007"
	for name, call := range map[string]func() (ender, error){
		"Options.TLSConfig is nil, urlServer": func() (ender, error) { return gopherdiscovery.Server(url, anyPort, quickOptions) },
		"Options.TLSConfig is nil, urlPubSub": func() (ender, error) { return gopherdiscovery.Server(anyPort, url, quickOptions) },
		"Options.TLSConfig has no certificate": func() (ender, error) {
			return gopherdiscovery.Server(url, anyPort, gopherdiscovery.Options{TLSConfig: &tls.Config{}})
		},
		"Dialer.TLSConfig is nil, urlServer": func() (ender, error) { return gopherdiscovery.Client(url, "name") },
		"Dialer.TLSConfig is nil, urlPubSub": func() (ender, error) { return gopherdiscovery.ClientWithSub(reserve(t), url, "name") },
		"Dialer.TLSConfig is nil, url":       func() (ender, error) { return gopherdiscovery.NewSubscriber(context.Background(), url) },
	} {
		e, err := call()
		if err == nil {
			e.Close()
		}
		if !errors.Is(err, gopherdiscovery.ErrInvalidArgument) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), url) {
			t.Errorf("got error %v, want one with %q and the URL", err, name)
		}
	}
}

// Both sides log why they cannot connect.
func TestConnectionsThatDoNotFit(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	withTLS, good := tlsPair(t, a, "peer")
	_, unknown := tlsPair(t, stranger, "peer")
	noCertificate := &gopherdiscovery.Dialer{TLSConfig: &tls.Config{RootCAs: a.pool}}
	for _, test := range []struct {
		name               string
		server, client     string // schemes
		dialer             *gopherdiscovery.Dialer
		toPubsub           bool
		serverLog, dialLog string
	}{
		{"plain client, TLS server", "tls+tcp", "tcp", quiet, false, "does not speak TLS", "the other side speaks TLS"},
		{"TLS client, plain server", "tcp", "tls+tcp", good, false, "the other side speaks TLS", "does not speak TLS"},
		{"unknown server certificate", "tls+tcp", "tls+tcp", unknown, false, "bad certificate", "certificate is not trusted"},
		{"no client certificate", "tls+tcp", "tls+tcp", noCertificate, false, "didn't provide a certificate", "refuses the TLS connection"},
		{"wrong one of two ports", "tcp", "tcp", quiet, true, "want 0x21 (sub); the survey and the pub/sub URL may be exchanged", "want 0x62 (surveyor); the survey and the pub/sub URL may be exchanged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opt := quickOptions
			if test.server == "tls+tcp" {
				opt = withTLS
			}
			serverLogger, serverBook := newLogger()
			opt.Logger = serverLogger
			server := startServerAt(t, test.server+"://127.0.0.1:0", test.server+"://127.0.0.1:0", opt)
			url, pubsub := server.URLs()
			if test.toPubsub {
				url = pubsub
			}
			dialLogger, dialBook := newLogger()
			d := &gopherdiscovery.Dialer{TLSConfig: test.dialer.TLSConfig, Logger: dialLogger}
			client, err := d.Client(context.Background(), test.client+strings.TrimPrefix(url, test.server), "peer")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			testmain.Await(t, "both sides have logged why", func() bool {
				return strings.Contains(serverBook.String(), test.serverLog) && strings.Contains(dialBook.String(), test.dialLog)
			})
			if stats := server.Stats(); stats.Refused == 0 || stats.Services != 0 || stats.Clients != 0 {
				t.Errorf("got stats %+v, want a refused connection and no name listed", stats)
			}
			if t.Failed() {
				t.Logf("server:\n%s\nclient:\n%s", serverBook, dialBook)
			}
		})
	}
}

// A client that starts before its server says first that it cannot reach it,
// and then that it does not trust its certificate. The server says once why it
// refuses the client.
func TestReasonAfterAnother(t *testing.T) {
	t.Parallel()
	withTLS, _ := tlsPair(t, newAuthority(t), "peer")
	_, unknown := tlsPair(t, newAuthority(t), "peer")
	serverLogger, serverBook := newLogger()
	withTLS.Logger = serverLogger
	logger, book := newLogger()
	d := &gopherdiscovery.Dialer{TLSConfig: unknown.TLSConfig, Logger: logger}
	survey := strings.Replace(reserve(t), "tcp", "tls+tcp", 1)
	client, err := d.Client(context.Background(), survey, "peer")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	testmain.Await(t, "nobody listens", func() bool { return strings.Contains(book.String(), "cannot reach the server") })
	server := startServerAt(t, survey, strings.Replace(reserve(t), "tcp", "tls+tcp", 1), withTLS)
	testmain.Await(t, "the client has come five times", func() bool { return server.Stats().Refused >= 5 })
	for _, want := range []string{"cannot reach the server", "the server's certificate is not trusted"} {
		if got := strings.Count(book.String(), want); got != 1 {
			t.Errorf("the client has said %d times that %s, want once", got, want)
		}
	}
	if got := strings.Count(serverBook.String(), "bad certificate"); got != 1 {
		t.Errorf("the server has said %d times why it refuses the client, want once", got)
	}
	state := client.Servers()[0]
	var untrusted *tls.CertificateVerificationError
	if state.URL != survey || state.Connected || !state.Surveyed.IsZero() || !errors.As(state.LastError, &untrusted) {
		t.Errorf("the client says of its server %+v, want that it does not trust the certificate", state)
	}
}

// A name is bound to the certificate of the client that announces it.
func TestAuthorizeByCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	opt, alice := tlsPair(t, a, "alice")
	_, mallory := tlsPair(t, a, "mallory")
	logger, book := newLogger()
	opt.Logger = logger
	opt.Authorize = func(service string, from gopherdiscovery.Conn) error {
		if from.RemoteAddr == nil || !strings.HasPrefix(from.RemoteAddr.String(), "127.0.0.1:") {
			return fmt.Errorf("the remote address is %v", from.RemoteAddr)
		}
		if owner := from.TLS.PeerCertificates[0].Subject.CommonName; service != owner {
			return fmt.Errorf("belongs to somebody else than %s", owner)
		}
		return nil
	}
	server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
	survey, pubsub := server.URLs()
	sub, err := alice.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for d, names := range map[*gopherdiscovery.Dialer][]string{alice: {"alice"}, mallory: {"mallory", "alice", "admin"}} {
		for _, name := range names {
			client, err := d.Client(context.Background(), survey, name)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
		}
	}
	for _, list := range await(t, sub.Changes(), "alice", "mallory") {
		for _, name := range list {
			if name == "admin" {
				t.Errorf("got list %q with a name that was refused", list)
			}
		}
	}
	testmain.Await(t, "both refused names have been counted", func() bool { return server.Stats().Rejected >= 2 })
	testmain.Await(t, "both refused names have been logged", func() bool {
		return strings.Contains(book.String(), `\"admin\": belongs to somebody else`) && strings.Contains(book.String(), `\"alice\": belongs to somebody else`)
	})
	if got := server.Services(); len(got) != 2 {
		t.Errorf("Services: got %q", got)
	}
}

// Without TLS, Conn has no TLS state. A name that is refused later leaves at
// once, with its connection.
func TestAuthorizeIsAskedAgain(t *testing.T) {
	logger, book := newLogger()
	// A survey lasts 10 s, so no client is dropped for its silence in this
	// test.
	opt := quickOptions
	opt.Logger = logger
	refused := make(chan struct{})
	opt.Authorize = func(service string, from gopherdiscovery.Conn) error {
		if from.TLS != nil {
			t.Errorf("got TLS state %v without TLS", from.TLS)
		}
		select {
		case <-refused:
			return errors.New("not any more")
		default:
			return nil
		}
	}
	server := startServer(t, opt)
	survey, _ := server.URLs()
	sub := subscribe(t, server)
	raw := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	go raw.Answer("client1")
	await(t, sub.Changes(), "client1")
	close(refused)
	await(t, sub.Changes())
	testmain.Await(t, "the connection is closed", func() bool { return server.Stats().Clients == 0 })
	if stats := server.Stats(); stats.Missed != 0 || stats.Rejected == 0 {
		t.Errorf("got stats %+v, want a rejected answer and no missed survey", stats)
	}
	testmain.Await(t, "it is logged why", func() bool { return strings.Contains(book.String(), "not any more") })
	server.Close()
	if got := strings.Count(book.String(), "not any more"); got != 1 {
		t.Errorf("logged %d times why, want once:\n%s", got, book)
	}
}

// A name that was never admitted does not cost its connection anything, because
// there may be other clients behind a device.
func TestNameThatIsRefusedFromTheStart(t *testing.T) {
	opt := quickOptions
	opt.Authorize = func(service string, _ gopherdiscovery.Conn) error {
		if service == "bad" {
			return errors.New("no")
		}
		return nil
	}
	server := startServer(t, opt)
	survey, _ := server.URLs()
	sub := subscribe(t, server)
	device := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	for range 5 {
		id := device.MustReceive(t)
		for _, name := range []string{"bad", "good"} {
			if err := device.Send(append(id[:len(id):len(id)], name...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	await(t, sub.Changes(), "good")
	testmain.Await(t, "five answers are rejected", func() bool { return server.Stats().Rejected == 5 })
	if got := server.Stats().Clients; got != 1 {
		t.Errorf("%d clients are connected, want 1", got)
	}
}

// No connection outlives the certificate with which it was made.
func TestExpiredCertificateEndsConnections(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	opt, d := tlsPair(t, a, "peer")
	logger, book := newLogger()
	opt.Logger = logger
	server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
	survey, pubsub := server.URLs()
	witness, err := d.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	defer witness.Close()
	end := time.Now().Add(3 * time.Second).Truncate(time.Second)
	brief := &gopherdiscovery.Dialer{Logger: quiet.Logger, TLSConfig: &tls.Config{
		RootCAs: a.pool, Certificates: []tls.Certificate{a.certificateUntil(t, "brief", end)},
	}}
	client, err := brief.ClientWithSub(context.Background(), survey, pubsub, "brief")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	await(t, witness.Changes(), "brief")
	await(t, witness.Changes())
	if now := time.Now(); now.Before(end) {
		t.Errorf("it has left %v before the end of its certificate", end.Sub(now))
	}
	testmain.Await(t, "both of its connections are closed", func() bool {
		return server.Stats().Clients == 0 && server.Stats().Subscribers == 1
	})
	server.Close() // the log is complete now
	if got := strings.Count(book.String(), "certificate of the other side has expired"); got != 2 {
		t.Errorf("logged %d times that a certificate has expired, want once for a connection:\n%s", got, book)
	}
}

func TestTLSWithoutAHost(t *testing.T) {
	for name, test := range map[string]struct {
		config *tls.Config
		works  bool
	}{
		"nothing":     {&tls.Config{}, false},
		"server name": {&tls.Config{ServerName: "server"}, true},
		"no checks":   {&tls.Config{InsecureSkipVerify: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &gopherdiscovery.Dialer{TLSConfig: test.config, Logger: quiet.Logger}
			sub, err := d.NewSubscriber(context.Background(), "tls+tcp://:1")
			if err == nil {
				sub.Close()
			}
			if test.works && err != nil || !test.works && (!errors.Is(err, gopherdiscovery.ErrInvalidURL) || !strings.Contains(err.Error(), `url "tls+tcp://:1"`)) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestNNGPeerOverTLS(t *testing.T) {
	a := newAuthority(t)
	cert := a.certificate(t, "localhost")
	opt := quickOptions
	opt.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	server := startServerAt(t, "tls+tcp://localhost:0", "tls+tcp://localhost:0", opt)
	survey, pubsub := server.URLs()
	ca := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	named := func(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }
	lines, _ := program(t, "nngcat", "--sub", "--dial", named(pubsub), "--cacert", ca, "--quoted")
	program(t, "nngcat", "--respondent", "--dial", named(survey), "--cacert", ca, "--data", "cat")
	awaitLine(t, lines, `"cat"`)
}
