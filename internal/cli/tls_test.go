package cli_test

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func parse(t *testing.T, args ...string) *cli.Flags {
	t.Helper()
	flags := cli.NewFlags("test", "")
	flags.Server()
	flags.PubSub()
	if err := flags.Parse(append([]string{"-log-level", "error"}, args...)); err != nil {
		t.Fatal(err)
	}
	return flags
}

func serverTLS(t *testing.T, args ...string) *tls.Config {
	t.Helper()
	config, err := parse(t, args...).ServerTLS()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// clientTLS is for a server on this host.
func clientTLS(t *testing.T, host string, args ...string) *tls.Config {
	t.Helper()
	config, err := parse(t, append(args, "-server", "tls+tcp://"+net.JoinHostPort(host, "40007"))...).ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// shake returns what the client has learned, and both errors.
func shake(t *testing.T, client *tls.Config, host string, server *tls.Config) (state tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	// The library does the same.
	client = client.Clone()
	client.ServerName = cmp.Or(client.ServerName, host)
	// A pipe of net has no room for the alert of one side while the other
	// side writes.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		accepted, err := listener.Accept()
		if err == nil {
			defer accepted.Close()
			_ = accepted.SetDeadline(time.Now().Add(clitest.Patience))
			conn := tls.Server(accepted, server)
			if err = conn.Handshake(); err == nil {
				_, err = conn.Write([]byte("x"))
			}
		}
		served <- err
	}()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	_ = dialed.SetDeadline(time.Now().Add(clitest.Patience))
	conn := tls.Client(dialed, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = conn.Read(make([]byte, 1)) // a server refuses a client after its handshake
	}
	_ = dialed.Close()
	return conn.ConnectionState(), clientErr, <-served
}

// A server is trusted with -tls-ca exactly if crypto/tls trusts it.
func TestTrustInServers(t *testing.T) {
	t.Parallel()
	authority, other := clitest.NewAuthority(t), clitest.NewAuthority(t)
	issued, reference := authority.Issue("peer"), authority.Dialer("other peer").TLSConfig
	for _, test := range []struct {
		host  string
		hosts []string // in the certificate
		want  bool
	}{
		{"a.example", []string{"a.example"}, true},
		{"A.Example", []string{"a.example"}, true},
		{"a.example.", []string{"a.example"}, true},
		{"b.a.example", []string{"*.a.example"}, true},
		{"a.example", []string{"*.a.example"}, false},
		{"a.example", []string{"b.example"}, false},
		{"a.example", []string{"127.0.0.1"}, false},
		{"127.0.0.1", []string{"127.0.0.1"}, true},
		{"127.0.0.1", []string{"::1", "127.0.0.1"}, true},
		{"127.0.0.1", []string{"127.0.0.2"}, false},
		{"127.0.0.1", []string{"a.example", "::1"}, false},
		{"::ffff:127.0.0.1", []string{"127.0.0.1"}, true},
		{"::1", []string{"::1"}, true},
		{"0:0:0:0:0:0:0:1", []string{"::1"}, true},
		{"::1", []string{"::2", "127.0.0.1"}, false},
		{"2001:db8::1", []string{"2001:db8::1"}, true},
		{"2001:db8::1", []string{"a.example", "127.0.0.1"}, false},
	} {
		t.Run(test.host, func(t *testing.T) {
			server := authority.ServerTLS("server", test.hosts...)
			ours := clientTLS(t, test.host, issued...)
			_, err, _ := shake(t, ours, test.host, server)
			_, standard, _ := shake(t, reference, test.host, server)
			if (err == nil) != test.want || (standard == nil) != test.want {
				t.Errorf("a certificate for %v: error %v, with RootCAs %v, want none: %t", test.hosts, err, standard, test.want)
			}
			// The library tells this one apart, and logs it as
			// such.
			var distrust *tls.CertificateVerificationError
			if !test.want && !errors.As(err, &distrust) {
				t.Errorf("error %v, want a CertificateVerificationError", err)
			}
			if !test.want {
				return
			}
			stranger := other.ServerTLS("server", test.hosts...)
			stranger.ClientAuth = tls.NoClientCert
			var unknown x509.UnknownAuthorityError
			if _, err, _ := shake(t, ours, test.host, stranger); !errors.As(err, &unknown) {
				t.Errorf("a certificate of another authority: error %v, want an UnknownAuthorityError", err)
			}
		})
	}
}

func TestTrustInSeveralServers(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	config, err := parse(t, slices.Concat(authority.Issue("peer"), []string{
		"-server", "tls+tcp://10.0.0.1:1,tls+tcp://a.example:1,tls+tcp://[fe80::1%lo]:1,tcp://10.0.0.9:1",
		"-pubsub", "tls+tcp://10.0.0.2:2",
	})...).ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host, certified string
		want            bool
	}{
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.2", "10.0.0.2", true},
		{"fe80::1%lo", "fe80::1", true},
		{"10.0.0.1", "10.0.0.3", false},
		{"10.0.0.1", "10.0.0.9", false},
		{"10.0.0.1", "a.example", false},
		{"a.example", "a.example", true},
		{"a.example", "10.0.0.1", false},
	} {
		server := authority.ServerTLS("server", test.certified)
		if _, err, _ := shake(t, config, test.host, server); (err == nil) != test.want {
			t.Errorf("server on %s with a certificate for %s: error %v, want none: %t", test.host, test.certified, err, test.want)
		}
	}
}

func TestTrustInChains(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	server := authority.Subordinate().ServerTLS("server", "a.example")
	server.ClientAuth = tls.NoClientCert
	client := clientTLS(t, "a.example", authority.Issue("peer")...)
	if _, err, _ := shake(t, client, "a.example", server); err != nil {
		t.Error(err)
	}
	server.Certificates[0].Certificate = server.Certificates[0].Certificate[:1]
	if _, err, _ := shake(t, client, "a.example", server); err == nil {
		t.Error("no error without the certificate in between, want one")
	}
}

// A server that asks for certificates of other authorities gets none.
func TestCertificateOfNoUse(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	server := authority.ServerTLS("server", "a.example")
	other, err := x509.ParseCertificate(server.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	server.ClientAuth, server.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	server.ClientCAs.AddCert(other)
	client := clientTLS(t, "a.example", authority.Issue("peer")...)
	if _, clientErr, serverErr := shake(t, client, "a.example", server); clientErr != nil || serverErr != nil {
		t.Errorf("error %v, and %v of the server, want none", clientErr, serverErr)
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.1"
	before, after := clitest.NewAuthority(t), clitest.NewAuthority(t)
	serverDir, clientDir := t.TempDir(), t.TempDir()
	server := serverTLS(t, clitest.Mount(t, serverDir, before.Issue("server"))...)
	client := clientTLS(t, host, clitest.Mount(t, clientDir, before.Issue("client"))...)
	left := before.Dialer("left behind").TLSConfig
	// The sessions of a client that keeps them end with its authority.
	left.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	want := func(step string, config *tls.Config, want bool) {
		t.Helper()
		state, clientErr, serverErr := shake(t, config, host, server)
		if state.DidResume {
			t.Errorf("%s: a session was resumed, want none", step)
		}
		if (clientErr == nil) != want || (serverErr == nil) != want {
			t.Errorf("%s: error %v, and %v of the server, want none: %t", step, clientErr, serverErr, want)
		}
	}
	want("before", client, true)
	want("before", left, true)
	want("before, again", left, true)
	clitest.Mount(t, clientDir, after.Issue("client"))
	want("after the client's change", client, false)
	clitest.Mount(t, serverDir, after.Issue("server"))
	want("after the change", client, true)
	want("after the change", after.Dialer("new").TLSConfig, true)
	left.InsecureSkipVerify = true // the server's refusal is the point
	want("after the change", left, false)
}

func TestFilesOfNoUse(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.1"
	authority := clitest.NewAuthority(t)
	first, second := clitest.Mount(t, t.TempDir(), authority.Issue("first")), authority.Issue("second")
	served := filepath.Join(t.TempDir(), "served")
	files := []string{"-tls-cert", served + ".pem", "-tls-key", served + ".key", "-tls-ca", served + ".ca"}
	replace := func(at int, issued []string) { clitest.Copy(t, files[at], issued[at]) }
	for _, at := range []int{1, 3, 5} {
		replace(at, first)
	}
	server := serverTLS(t, files...)
	client := authority.Dialer("client").TLSConfig
	want := func(name string) {
		t.Helper()
		state, err, _ := shake(t, client, host, server)
		if err != nil {
			t.Fatal(err)
		}
		if got := state.PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("the certificate of %s, want that of %s", got, name)
		}
	}
	write := func(at int, text string) {
		t.Helper()
		if err := os.WriteFile(files[at], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want("first")
	write(1, "")
	want("first")
	replace(1, second) // but not its key
	want("first")
	if err := os.Remove(files[3]); err != nil {
		t.Fatal(err)
	}
	want("first")
	write(5, "-----BEGIN CERTIFICATE-----")
	replace(3, second)
	want("second")
	if err := os.Remove(files[5]); err != nil {
		t.Fatal(err)
	}
	replace(1, first)
	want("second")
	replace(3, first)
	want("first")
}
