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
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
)

// Authority signs certificates, for loopback and for the length of a test.
type Authority struct {
	// File has its own certificate, for the flag -tls-ca.
	File string

	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority returns an authority that keeps its files in a temporary directory of the test.
func NewAuthority(t *testing.T) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	template := template("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = a.newKey()
	a.File, a.cert = a.sign("authority", template, a.key, template, a.key)
	return a
}

// Issue returns the flags -tls-cert, -tls-key and -tls-ca for one whose common name this is. The certificate is also good for
// the DNS names, and for servers on loopback.
func (a *Authority) Issue(name string, dnsNames ...string) []string {
	a.t.Helper()
	template := template(name)
	template.DNSNames = dnsNames
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	key := a.newKey()
	certFile, _ := a.sign(name, template, key, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return []string{"-tls-cert", certFile, "-tls-key", a.write(name+".key", "PRIVATE KEY", der), "-tls-ca", a.File}
}

// Dialer returns what connects with such a certificate, and trusts the authority.
func (a *Authority) Dialer(name string, dnsNames ...string) *gopherdiscovery.Dialer {
	a.t.Helper()
	config, err := a.flags(name, dnsNames).ClientTLS()
	if err != nil {
		a.t.Fatal(err)
	}
	return &gopherdiscovery.Dialer{TLSConfig: config, Logger: Quiet.Logger}
}

// ServerTLS returns the configuration of a server that wants to see certificates of the authority.
func (a *Authority) ServerTLS(name string) *tls.Config {
	a.t.Helper()
	config, err := a.flags(name, nil).ServerTLS()
	if err != nil {
		a.t.Fatal(err)
	}
	return config
}

func (a *Authority) flags(name string, dnsNames []string) *cli.Flags {
	a.t.Helper()
	flags := cli.NewFlags("test", "")
	if err := flags.Parse(a.Issue(name, dnsNames...)); err != nil {
		a.t.Fatal(err)
	}
	return flags
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
	return a.write(name+".pem", "CERTIFICATE", der), cert
}

func (a *Authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}
