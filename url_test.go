package gopherdiscovery

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// anyConfig is sufficient for checking URLs.
var anyConfig = &tls.Config{Certificates: make([]tls.Certificate, 1), ServerName: "any"}

// rooted returns an absolute path as the system writes it. On Windows it begins
// with the drive of the current directory.
func rooted(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.VolumeName(dir) + filepath.FromSlash(path)
}

// TestParseURL tests which URLs are accepted to listen on and to connect to,
// and what becomes of them.
func TestParseURL(t *testing.T) {
	const no = "" // refused
	file := "ipc://" + rooted(t, "/run/a")
	for _, test := range []struct{ url, listen, dial string }{
		{"tcp://127.0.0.1:40007", "tcp://127.0.0.1:40007", "tcp://127.0.0.1:40007"},
		{"tcp://127.0.0.1:040007", "tcp://127.0.0.1:40007", "tcp://127.0.0.1:40007"},
		{"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", no},
		{"tcp://:40007", "tcp://:40007", "tcp://:40007"},
		{"tcp://*:40007", "tcp://:40007", no},
		{"tcp://[::1]:40007", "tcp://[::1]:40007", "tcp://[::1]:40007"},
		{"tcp://[fe80::1%lo]:1", "tcp://[fe80::1%lo]:1", "tcp://[fe80::1%lo]:1"},
		{"tcp://a.example:1", "tcp://a.example:1", "tcp://a.example:1"},
		{"tls+tcp://a.example:1", "tls+tcp://a.example:1", "tls+tcp://a.example:1"},
		{"ipc:///run/a", file, file},
		{"ipc:///run//b/../a", file, file},
		{"inproc://a", "inproc://a", "inproc://a"},
		{"", no, no},
		{"tcp", no, no},
		{"tcp://", no, no},
		{"tcp:/127.0.0.1:1", no, no},
		{"127.0.0.1:1", no, no},
		{"://127.0.0.1:1", no, no},
		{"tcp://127.0.0.1", no, no},
		{"tcp://127.0.0.1:", no, no},
		{"tcp://127.0.0.1:-1", no, no},
		{"tcp://127.0.0.1:65536", no, no},
		{"tcp://127.0.0.1:http", no, no},
		{"tcp://127.0.0.1:80/", no, no},
		{"tcp://::1:80", no, no},
		{"tcp://[::1:80", no, no},
		{"tcp://a b:80", no, no},
		{"tcp://a/b:80", no, no},
		{"tcp://u@h:80", no, no},
		{"tcp://a|b:80", no, no},
		{"TCP://127.0.0.1:80", no, no},
		{"udp://127.0.0.1:80", no, no},
		{"gopherdiscovery://a", no, no},
		{"ipc://", no, no},
		{"ipc:///a\x00b", no, no},
		{"ipc:///" + strings.Repeat("x", 200), no, no},
	} {
		t.Run(test.url, func(t *testing.T) {
			listen, err := Options{TLSConfig: anyConfig}.parse("urlServer", test.url)
			expectURL(t, "to listen on", listen.String(), err, test.listen)
			all, err := (&Dialer{TLSConfig: anyConfig}).parse("urlServer", test.url)
			dial := ""
			if len(all) == 1 {
				dial = all[0].String()
			}
			expectURL(t, "to connect to", dial, err, test.dial)
		})
	}
}

func expectURL(t *testing.T, what, got string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && !errors.Is(err, ErrInvalidURL):
		t.Errorf("%s: got %q and error %v, want one that is %v", what, got, err, ErrInvalidURL)
	case want != "" && (err != nil || got != want):
		t.Errorf("%s: got %q and error %v, want %q", what, got, err, want)
	}
}

func TestParseSeveralURLs(t *testing.T) {
	all, err := new(Dialer).parse("url", "tcp://a:1,ipc:///b,inproc://c")
	var got []string
	for _, a := range all {
		got = append(got, a.String())
	}
	if want := []string{"tcp://a:1", "ipc://" + rooted(t, "/b"), "inproc://c"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, urls := range []string{"tcp://a:1,", ",tcp://a:1", "tcp://a:1,,tcp://b:1", "tcp://a:1, tcp://b:1", "tcp://a:1,tcp://a:01"} {
		if _, err := new(Dialer).parse("url", urls); !errors.Is(err, ErrInvalidURL) {
			t.Errorf("%q: got error %v, want one that is %v", urls, err, ErrInvalidURL)
		}
	}
}
