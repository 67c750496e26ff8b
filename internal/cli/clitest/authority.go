package clitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// Authority signs certificates for the length of a test.
type Authority struct {
	// File has its own certificate, for the flag -tls-ca.
	File string

	t     *testing.T
	dir   string
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain []byte // PEM, of a subordinate: what comes after a certificate that it signs
}

// NewAuthority returns an authority that keeps its files in a temporary
// directory of the test.
func NewAuthority(t *testing.T) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	template := authorityTemplate("authority")
	a.key = a.newKey()
	a.File, a.cert = a.sign("authority", template, a.key, template, a.key)
	return a
}

// Subordinate returns an authority that is trusted because this one is.
func (a *Authority) Subordinate() *Authority {
	a.t.Helper()
	sub := &Authority{File: a.File, t: a.t, dir: a.t.TempDir(), key: a.newKey()}
	_, sub.cert = a.sign("subordinate", authorityTemplate("subordinate"), sub.key, a.cert, a.key)
	sub.chain = encode("CERTIFICATE", sub.cert.Raw)
	return sub
}

// Issue returns the flags -tls-cert, -tls-key and -tls-ca for one whose common
// name this is. The certificate is also good for the hosts, DNS names or IP
// addresses, and for servers on 127.0.0.1 if none of them is an address. One
// with the same name replaces the files of the last.
func (a *Authority) Issue(name string, hosts ...string) []string {
	a.t.Helper()
	template := template(name)
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if template.IPAddresses == nil {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	key := a.newKey()
	certFile, _ := a.sign(name, template, key, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return []string{"-tls-cert", certFile, "-tls-key", a.write(name+".key", encode("PRIVATE KEY", der)), "-tls-ca", a.File}
}

// Dialer returns what connects with such a certificate, and trusts the
// authority.
func (a *Authority) Dialer(name string, hosts ...string) *gopherdiscovery.Dialer {
	a.t.Helper()
	config := &tls.Config{Certificates: a.pair(name, hosts...), RootCAs: a.pool()}
	return &gopherdiscovery.Dialer{TLSConfig: config, Logger: Quiet.Logger}
}

// ServerTLS returns the configuration of a server that wants to see
// certificates of the authority.
func (a *Authority) ServerTLS(name string, hosts ...string) *tls.Config {
	a.t.Helper()
	return &tls.Config{
		Certificates: a.pair(name, hosts...),
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    a.pool(),
	}
}

func (a *Authority) pair(name string, hosts ...string) []tls.Certificate {
	a.t.Helper()
	issued := a.Issue(name, hosts...)
	pair, err := tls.LoadX509KeyPair(issued[1], issued[3])
	if err != nil {
		a.t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

func (a *Authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Mount puts the files of flags that Issue has returned into a directory, and
// returns the flags for the files there. It does so as Kubernetes mounts a
// secret: with the names behind a symbolic link, so that the files of the last
// Mount are replaced all at once.
func Mount(t *testing.T, dir string, issued []string) []string {
	t.Helper()
	secret, err := os.MkdirTemp(dir, "..")
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "..new")
	if err := os.Symlink(filepath.Base(secret), link); err != nil {
		t.Fatal(err)
	}
	names := []string{1: "tls.crt", 3: "tls.key", 5: "ca.crt"}
	flags := slices.Clone(issued)
	for i := 1; i < len(flags); i += 2 {
		Copy(t, filepath.Join(secret, names[i]), issued[i])
		flags[i] = filepath.Join(dir, names[i])
		_ = os.Symlink(filepath.Join("..data", names[i]), flags[i]) // may be there
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	return flags
}

// Copy replaces what is in a file.
func Copy(t *testing.T, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func authorityTemplate(name string) *x509.Certificate {
	template := template(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	return template
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *Authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (string, *x509.Certificate) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", append(encode("CERTIFICATE", der), a.chain...)), cert
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *Authority) write(name string, text []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}
