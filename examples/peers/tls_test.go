//go:build unix

package peers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// authority signs certificates, and writes them to files.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.file, _ = a.issue(t, "authority", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue returns the names of the files with a certificate and its key. The first certificate is the authority's own.
func (a *authority) issue(t testing.TB, name string, template *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(suffix, kind string, content []byte) string {
		file := filepath.Join(a.dir, name+suffix)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write(".crt", "CERTIFICATE", der), write(".key", "PRIVATE KEY", secret)
}

// startTLSServer starts a server that wants certificates, and admits those who announce the name in theirs.
func startTLSServer(t *testing.T, a *authority) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	opt := quickOptions
	opt.TLSConfig = &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
	}
	opt.Authorize = func(service string, from gopherdiscovery.Conn) error {
		if service != from.TLS.PeerCertificates[0].Subject.CommonName {
			return errors.New("another's name")
		}
		return nil
	}
	return startServer(t, "tls+tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", opt)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	command := languages["python"](t)
	a := newAuthority(t)
	server := startTLSServer(t, a)
	survey, pubsub := server.URLs()
	cert, key := a.issue(t, "alice", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})

	args := append(announcing("alice", survey, pubsub), "-tls-ca", a.file, "-tls-cert", cert, "-tls-key", key)
	p := startPeer(t, command, args...)
	p.awaitList("alice")
	p.end(syscall.SIGTERM)
	if code, stderr := p.wait(); code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}

	for _, args := range [][]string{
		{"-tls-ca", a.file, "-tls-cert", cert},
		{"-tls-ca", a.file, "-tls-key", key},
		{"-tls-ca", a.file + "-none"},
		{"-tls-cert", cert, "-tls-key", a.file},
	} {
		p := startPeer(t, command, append(announcing("alice", survey, pubsub), args...)...)
		if code, stderr := p.wait(); code != 2 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "peer.py: ") {
			t.Errorf("%q: exit code %d, stderr %q, want 2 and one line", args, code, stderr)
		}
	}
}

// A server whose certificate nobody vouches for learns nothing and is tried again, with one line about it for each connection.
func TestTLSDistrust(t *testing.T) {
	t.Parallel()
	command := languages["python"](t)
	a := newAuthority(t)
	server := startTLSServer(t, a)
	survey, pubsub := server.URLs()
	p := startPeer(t, command, announcing("alice", survey, pubsub)...)
	for deadline := time.Now().Add(patience); server.Stats().Refused < 10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d attempts, want more", server.Stats().Refused)
		}
	}
	p.end(syscall.SIGTERM)
	code, stderr := p.wait()
	lines := strings.Count(stderr, "\n")
	if code != 0 || lines < 1 || lines > 2 || strings.Count(stderr, "certificate verify failed") != lines {
		t.Errorf("exit code %d, stderr %q, want 0 and at most a line for each of two connections", code, stderr)
	}
}
