package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

var tlsURLs = []string{"-server", "tls+tcp://127.0.0.1:0", "-pubsub", "tls+tcp://127.0.0.1:0"}

func TestServeMutualTLS(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	p, server, pubsub, _ := startServe(t, slices.Concat(tlsURLs, authority.Issue("server"), []string{"-require-cert-name"})...)

	peer := authority.Dialer("peer", "a.example", "b.example")
	clitest.Join(t, peer, server, "https://c.example:8443")
	p.Stderr.Await(`level=WARN .*c\.example`)
	clitest.Join(t, peer, server, "https://a.example:8443")
	clitest.Join(t, peer, server, "b.example")
	clitest.Join(t, peer, server, "peer")
	clitest.AwaitList(t, peer, pubsub, "b.example", "https://a.example:8443", "peer")

	stranger := clitest.NewAuthority(t).Dialer("peer")
	stranger.TLSConfig.RootCAs = peer.TLSConfig.RootCAs
	clitest.Join(t, stranger, server, "peer")
	p.Stderr.Await(`level=WARN .*certificate signed by unknown authority`)
}

func TestServeServerTLSOnly(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	_, server, pubsub, _ := startServe(t, slices.Concat(tlsURLs, authority.Issue("server")[:4])...)
	anyone := authority.Dialer("any")
	anyone.TLSConfig.Certificates = nil
	clitest.Join(t, anyone, server, "a")
	clitest.AwaitList(t, anyone, pubsub, "a")
}

// dialer returns that of a program with these flags.
func dialer(t *testing.T, server, pubsub string, args []string) *gopherdiscovery.Dialer {
	t.Helper()
	flags := cli.NewFlags("peer", "")
	flags.Server()
	flags.PubSub()
	if err := flags.Parse(append([]string{"-log-level", "error", "-server", server, "-pubsub", pubsub}, args...)); err != nil {
		t.Fatal(err)
	}
	d, err := flags.Dialer()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// All certificates and their authority are replaced while the server and a peer
// run.
func TestServeRotation(t *testing.T) {
	t.Parallel()
	before, after := clitest.NewAuthority(t), clitest.NewAuthority(t)
	serverDir, peerDir := t.TempDir(), t.TempDir()
	p, server, pubsub, _ := startServe(t, slices.Concat(tlsURLs, clitest.Mount(t, serverDir, before.Issue("server")))...)
	peer := dialer(t, server, pubsub, clitest.Mount(t, peerDir, before.Issue("peer")))
	clitest.Join(t, peer, server, "before")
	clitest.AwaitList(t, peer, pubsub, "before")

	clitest.Mount(t, serverDir, after.Issue("server"))
	clitest.Mount(t, peerDir, after.Issue("peer"))
	clitest.Join(t, peer, server, "after")
	p.Stderr.Await(`level=INFO msg="the files have changed and were read again" files=.*tls\.key`)
	p.Stderr.Await(`level=INFO msg="the files have changed and were read again" files=.*ca\.crt`)
	clitest.AwaitList(t, peer, pubsub, "after", "before")

	left := before.Dialer("left behind")
	left.TLSConfig.InsecureSkipVerify = true // the server's refusal is the point
	clitest.Join(t, left, server, "left behind")
	p.Stderr.Await(`level=WARN .*certificate signed by unknown authority`)
}

func TestServeBadTLSArguments(t *testing.T) {
	t.Parallel()
	issued := clitest.NewAuthority(t).Issue("server")
	cert, key, ca := issued[1], issued[3], issued[5]
	other := clitest.NewAuthority(t).Issue("other")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := []string{"-server", "tcp://127.0.0.1:0", "-pubsub", "tcp://127.0.0.1:0"}
	for _, test := range []struct {
		name string
		urls []string
		args []string
		want []string
	}{
		{"no key", tlsURLs, []string{"-tls-cert", cert}, []string{"-tls-key", cert}},
		{"no cert", tlsURLs, []string{"-tls-key", key}, []string{"-tls-cert", key}},
		{"only ca", tlsURLs, []string{"-tls-ca", ca}, []string{"-tls-cert", ca}},
		{"missing", tlsURLs, []string{"-tls-cert", missing, "-tls-key", key}, []string{"-tls-cert", missing}},
		{"other key", tlsURLs, []string{"-tls-cert", cert, "-tls-key", other[3]}, []string{"-tls-key", other[3]}},
		{"missing ca", tlsURLs, slices.Concat(issued[:4], []string{"-tls-ca", missing}), []string{"-tls-ca", missing}},
		{"empty ca", tlsURLs, slices.Concat(issued[:4], []string{"-tls-ca", empty}), []string{"-tls-ca", empty}},
		{"plain URLs", plain, issued, []string{"-tls-cert", "tls+tcp://"}},
		{"names without ca", tlsURLs, slices.Concat(issued[:4], []string{"-require-cert-name"}), []string{"-require-cert-name", "-tls-ca"}},
		{"names on plain URL", []string{"-pubsub", "tls+tcp://127.0.0.1:0"}, slices.Concat(issued, []string{"-require-cert-name"}), []string{"-require-cert-name", "tcp://127.0.0.1:0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			startCommand(t, "serve", slices.Concat(anyPorts, test.urls, test.args)...).WantFailure(2, test.want...)
		})
	}
}

func TestOwnsName(t *testing.T) {
	t.Parallel()
	cert := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "worker 1"},
		DNSNames:    []string{"a.example", "*.pool.example"},
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 2), net.ParseIP("2001:db8::2")},
	}
	from := gopherdiscovery.Conn{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}}
	for service, want := range map[string]bool{
		"worker 1":                         true,
		"a.example":                        true,
		"a.example:8080":                   true,
		"https://a.example":                true,
		"https://A.example:8443/path":      true,
		"tcp://n7.pool.example:1":          true,
		"http://10.0.0.2:8080":             true,
		"http://[2001:db8::2]:8080":        true,
		"[2001:db8::2]:8080":               true,
		"cache+https://a.example:8443":     true,
		"cache+a.example:8080":             true,
		"worker 2":                         false,
		"b.example":                        false,
		"https://b.example":                false,
		"https://a.example@b.example":      false,
		"https://b.example/a.example":      false,
		"https://b.example#@a.example":     false,
		`https://b.example\@a.example`:     false,
		"https://a.example.b.example":      false,
		"https://x.n7.pool.example":        false,
		"http://10.0.0.3:8080":             false,
		"":                                 false,
		"https://":                         false,
		"a.example,b.example":              false,
		"a.example+https://b.example":      false,
		"a.example:1+b.example:1":          false,
		"cache+b.example:8080":             false,
		"https://a.example,https://b.test": false,
	} {
		if err := ownsName(service, from); (err == nil) != want {
			t.Errorf("%q: error %v, want admitted %v", service, err, want)
		}
	}
	if err := ownsName("a.example", gopherdiscovery.Conn{}); err == nil {
		t.Error("admitted without a certificate")
	}
}
