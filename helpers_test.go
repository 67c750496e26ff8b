package gopherdiscovery_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// quickOptions make a server poll often, so that the first list comes soon, and
// give answers all the time that a busy machine may need.
var quickOptions = gopherdiscovery.Options{
	SurveyTime: 10 * time.Second,
	PollTime:   50 * time.Millisecond,
	ReturnTime: 500 * time.Millisecond,
	Logger:     slog.New(slog.DiscardHandler),
}

var quiet = &gopherdiscovery.Dialer{Logger: slog.New(slog.DiscardHandler)}

// usualTime is how long a join may take under attack, with the race detector
// and on a busy machine. Otherwise it takes about a millisecond.
const usualTime = 5 * time.Second

const (
	anyPort    = "tcp://127.0.0.1:0"
	anyTLSPort = "tls+tcp://127.0.0.1:0"
)

// startServer starts a server on ports chosen by the system.
func startServer(t testing.TB, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	return startServerAt(t, anyPort, anyPort, opt)
}

func startServerAt(t testing.TB, survey, pubsub string, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	server, err := gopherdiscovery.Server(survey, pubsub, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// join starts a client with a subscription.
func join(t testing.TB, server *gopherdiscovery.DiscoveryServer, service string) (*gopherdiscovery.DiscoveryClient, chan []string) {
	t.Helper()
	survey, pubsub := server.URLs()
	client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	peers, err := client.Peers()
	if err != nil {
		t.Fatal(err)
	}
	return client, peers
}

// announce starts a client without a subscription.
func announce(t testing.TB, server *gopherdiscovery.DiscoveryServer, service string) *gopherdiscovery.DiscoveryClient {
	t.Helper()
	survey, _ := server.URLs()
	client, err := quiet.Client(context.Background(), survey, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// subscribe starts an independent subscriber.
func subscribe(t testing.TB, server *gopherdiscovery.DiscoveryServer) *gopherdiscovery.Subscriber {
	t.Helper()
	_, pubsub := server.URLs()
	sub, err := quiet.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

// await reads lists until the wanted one comes, and returns those that came
// before it.
func await(t testing.TB, lists <-chan []string, want ...string) (before [][]string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case list, open := <-lists:
			if !open {
				t.Fatalf("the channel was closed, want %q", want)
			}
			if slices.Equal(list, want) {
				return before
			}
			before = append(before, list)
		case <-timeout:
			t.Fatalf("got lists %q, want %q", before, want)
		}
	}
}

// awaitClosed reads lists until the channel is closed.
func awaitClosed(t testing.TB, lists <-chan []string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case _, open := <-lists:
			if !open {
				return
			}
		case <-timeout:
			t.Fatal("the channel was not closed")
		}
	}
}

// expectNone fails the test if a list is waiting in the channel.
func expectNone(t testing.TB, lists <-chan []string) {
	t.Helper()
	select {
	case list, open := <-lists:
		if !open {
			t.Fatal("the channel was closed")
		}
		t.Fatalf("got list %q without a change", list)
	default:
	}
}

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so in time: %s", what)
		}
	}
}

// logBook keeps what is logged, one line for each record.
type logBook struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logBook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func newLogger() (*slog.Logger, *logBook) {
	book := new(logBook)
	return slog.New(slog.NewTextHandler(book, nil)), book
}

// reserve returns a URL that can be bound, left and bound again. Where all of
// 127.0.0.0/8 is this machine, on Linux for example, the host is an address
// that nothing else uses: no test, program or connection takes the port while
// nobody listens. The port itself was never bound. A program that is being
// started at that moment could keep it for a while.
func reserve(t testing.TB) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+mathrand.IntN(250), mathrand.IntN(256), 1+mathrand.IntN(254))
	l, err := net.Listen("tcp", host+":0")
	if err == nil {
		l.Close()
		return fmt.Sprintf("tcp://%s:%d", host, 10000+mathrand.IntN(20000))
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String()
}

// ender is the common interface of servers, clients and subscribers.
type ender interface {
	Wait()
	Close() error
}

// expectClosed reads until the connection ends, and fails the test if it stays
// open.
func expectClosed(t testing.TB, name string, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("%s: the connection is still open after %v", name, patience)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// authority issues certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	der, key := a.issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.key = cert, key
	a.pool.AddCert(cert)
	return a
}

func (a *authority) issue(t testing.TB, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// certificate returns a certificate for servers and clients with the given
// name, and for 127.0.0.1.
func (a *authority) certificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return a.certificateUntil(t, name, time.Time{})
}

// certificateUntil is like certificate, with an expiry time. The zero time
// stands for the one that issue chooses.
func (a *authority) certificateUntil(t testing.TB, name string, end time.Time) tls.Certificate {
	t.Helper()
	der, key := a.issue(t, &x509.Certificate{
		NotAfter:     end,
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsPair returns options for a server, and a dialer that trusts that server
// and has a certificate for the given name.
func tlsPair(t testing.TB, a *authority, name string) (gopherdiscovery.Options, *gopherdiscovery.Dialer) {
	t.Helper()
	opt := quickOptions
	opt.TLSConfig = &tls.Config{
		Certificates: []tls.Certificate{a.certificate(t, "server")},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    a.pool,
	}
	return opt, &gopherdiscovery.Dialer{
		TLSConfig: &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{a.certificate(t, name)}},
		Logger:    quiet.Logger,
	}
}
