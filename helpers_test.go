package gopherdiscovery_test

import (
	"bufio"
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
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/respondent"
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
	return joinAtURLs(t, survey, pubsub, service)
}

func joinAtURLs(t testing.TB, survey, pubsub, service string) (*gopherdiscovery.DiscoveryClient, chan []string) {
	t.Helper()
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
	return announceAtURL(t, survey, service)
}

func announceAtURL(t testing.TB, survey, service string) *gopherdiscovery.DiscoveryClient {
	t.Helper()
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
	return subscribeTo(t, quiet, pubsub)
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

// reserve is short for [sptest.Reserve].
var reserve = sptest.Reserve

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

// mangosSocket returns a stock mangos socket, which is closed when the test
// ends.
func mangosSocket(t testing.TB, newSocket func() (mangos.Socket, error)) mangos.Socket {
	t.Helper()
	sock, err := newSocket()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	return sock
}

func listenStock(t *testing.T, sock mangos.Socket, url string) string {
	t.Helper()
	l, err := sock.NewListener(url, nil)
	if err == nil {
		err = l.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.Address()
}

// program starts a program and returns the lines that it prints. The program is
// killed when kill is called or the test ends.
func program(t *testing.T, name string, args ...string) (lines <-chan string, kill func()) {
	t.Helper()
	return programWith(t, os.Stderr, name, args...)
}

// programWith is like program, with a given stderr.
func programWith(t *testing.T, stderr io.Writer, name string, args ...string) (lines <-chan string, kill func()) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI needs it", name)
		}
		t.Skipf("%s is not installed (Debian packages nanomsg-utils and nng-utils)", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case printed <- scan.Text():
			default: // no one reads any more
			}
		}
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return printed, kill
}

func awaitLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	timeout := time.After(patience)
	var got []string
	for {
		select {
		case line := <-lines:
			if line == want {
				return
			}
			got = append(got, line)
		case <-timeout:
			t.Fatalf("got lines %q, want %q", got, want)
		}
	}
}

// The helpers in this file are for tests in fake time over inproc.

const (
	inprocSurvey = "inproc://survey"
	inprocLists  = "inproc://lists"
)

var bubbleOptions = gopherdiscovery.Options{
	SurveyTime: 1 * time.Second,
	PollTime:   2 * time.Second,
	ReturnTime: 2 * time.Second,
	Logger:     slog.New(slog.DiscardHandler),
}

// delivered is a list and the time of its delivery, since the start of the
// bubble.
type delivered struct {
	at   time.Duration
	list string
}

// record keeps the lists that are received from a channel.
type record struct {
	start time.Time
	mu    sync.Mutex
	got   []delivered
}

func newRecord(lists <-chan []string) *record {
	r := &record{start: time.Now()}
	go func() {
		for list := range lists {
			r.mu.Lock()
			r.got = append(r.got, delivered{time.Since(r.start), strings.Join(list, " ")})
			r.mu.Unlock()
		}
	}()
	return r
}

// expect checks the lists delivered since the last call.
func (r *record) expect(t *testing.T, want ...delivered) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.got, want) {
		t.Errorf("%v after the start: delivered %v, want %v", time.Since(r.start), r.got, want)
	}
	r.got = nil
}

func bubbleServer(t *testing.T, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	server := startServerAt(t, inprocSurvey, inprocLists, opt)
	synctest.Wait()
	return server
}

// silentClient connects as a client would. It answers only when the test does.
func silentClient(t *testing.T) mangos.Socket {
	t.Helper()
	sock, err := respondent.NewSocket()
	if err != nil {
		t.Fatal(err)
	}
	if err := sock.Dial(inprocSurvey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	return sock
}

// answerSurvey answers the oldest survey that the client has not read.
func answerSurvey(t *testing.T, client mangos.Socket, name string) {
	t.Helper()
	if _, err := client.Recv(); err != nil {
		t.Error(err)
	}
	if err := client.Send([]byte(name)); err != nil {
		t.Error(err)
	}
}

// fakeCluster is a set of servers, clients and subscribers in fake time,
// connected by a network that can be made to fail. Subscribers ask for changes.
// Servers are numbered.
type fakeCluster struct {
	*gopherdiscovery.Memory
	t      testing.TB
	dialer *gopherdiscovery.Dialer
}

func newFakeCluster(t testing.TB) fakeCluster {
	t.Helper()
	return fakeCluster{gopherdiscovery.NewMemory(t), t, quiet}
}

func survey(n int) string { return fmt.Sprintf("survey%d", n) }
func lists(n int) string  { return fmt.Sprintf("lists%d", n) }

// urls returns the URLs at which the peer with the given name reaches a port of
// the servers.
func (w fakeCluster) urls(port func(int) string, name string, servers []int) string {
	var urls []string
	for _, n := range servers {
		urls = append(urls, w.URL(port(n)+"/"+name))
	}
	return strings.Join(urls, ",")
}

func (w fakeCluster) server(n int) *gopherdiscovery.DiscoveryServer {
	w.t.Helper()
	server := startServerAt(w.t, w.URL(survey(n)), w.URL(lists(n)), bubbleOptions)
	synctest.Wait()
	return server
}

// client starts a client without a subscription.
func (w fakeCluster) client(name string, servers ...int) *gopherdiscovery.DiscoveryClient {
	w.t.Helper()
	client, err := w.dialer.Client(context.Background(), w.urls(survey, name, servers), name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	return client
}

// peer starts a client with a subscription.
func (w fakeCluster) peer(name string, servers ...int) *gopherdiscovery.DiscoveryClient {
	w.t.Helper()
	client, err := w.dialer.ClientWithSub(context.Background(), w.urls(survey, name, servers), w.urls(lists, name, servers), name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	return client
}

func (w fakeCluster) subscriber(name string, servers ...int) *gopherdiscovery.Subscriber {
	w.t.Helper()
	return w.subscribe(w.urls(lists, name, servers))
}

// plainSubscriber starts a subscriber that only meets servers that do not offer
// changes.
func (w fakeCluster) plainSubscriber(name string, servers ...int) *gopherdiscovery.Subscriber {
	w.t.Helper()
	urls := w.urls(lists, name, servers)
	return w.subscribe(strings.ReplaceAll(urls, "memory://", "memory+plain://"))
}

func (w fakeCluster) subscribe(urls string) *gopherdiscovery.Subscriber {
	w.t.Helper()
	sub, err := w.dialer.NewSubscriber(context.Background(), urls)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { sub.Close() })
	return sub
}

// These are the kinds of messages of a subscription in changes, as they are on
// the wire.
const (
	welcome = 0x01
	have    = 0x02
	list    = 0x03
	change  = 0x04
	beat    = 0x05
)

// lastTo returns the kinds of the messages that server n has sent on a
// subscriber's newest connection, and how many bytes they have in total.
func (w fakeCluster) lastTo(name string, n int) (kinds []byte, bytes int) {
	w.t.Helper()
	synctest.Wait()
	conns := w.Conns(lists(n) + "/" + name)
	if len(conns) == 0 {
		w.t.Fatalf("%s was never connected to server %d", name, n)
	}
	for _, m := range conns[len(conns)-1].Down() {
		kinds = append(kinds, m.Body[0])
		bytes += len(m.Body)
	}
	return kinds, bytes
}

// expectState checks what a subscriber reports about its first server.
func expectState(t *testing.T, sub *gopherdiscovery.Subscriber, connected, complete bool) {
	t.Helper()
	synctest.Wait()
	if s := sub.Servers()[0]; s.Connected != connected || s.Complete != complete {
		t.Errorf("Servers: got connected %v and complete %v, want %v and %v", s.Connected, s.Complete, connected, complete)
	}
}
