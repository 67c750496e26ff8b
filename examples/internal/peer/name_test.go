package peer_test

import (
	"net"
	"testing"

	"github.com/dahernan/gopherdiscovery/examples/internal/peer"
)

func TestNameOfAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address  string // of -http
		ip, zone string // of the listener
		want     string // empty for an error
	}{
		{"127.0.0.1:0", "127.0.0.1", "", "http://127.0.0.1:20008"},
		{"localhost:http", "127.0.0.1", "", "http://127.0.0.1:20008"},
		{"[2001:db8::2]:0", "2001:db8::2", "", "http://[2001:db8::2]:20008"},
		{"[fe80::1%lo]:0", "fe80::1", "lo", "http://[fe80::1%25lo]:20008"},
		{"[fe80::1%lo]:0", "fe80::1", "", "http://[fe80::1%25lo]:20008"},
		{"[fe80::1%1]:0", "fe80::1", "lo", "http://[fe80::1%25lo]:20008"},
		{"[fe80::1%br-1_a.2]:0", "fe80::1", "", "http://[fe80::1%25br-1_a.2]:20008"},
		{"a.example:0", "fe80::1", "lo", "http://[fe80::1%25lo]:20008"},
		{"0.0.0.0:0", "0.0.0.0", "", ""},
		{":0", "::", "", ""},
	} {
		listening := &net.TCPAddr{IP: net.ParseIP(test.ip), Zone: test.zone, Port: 20008}
		got, err := peer.Name("", test.address, listening)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Name of -http %s at %s = %q, %v, want %q", test.address, listening, got, err, test.want)
		}
		if got == "" {
			continue
		}
		if given, err := peer.Name(got, test.address, listening); given != got || err != nil {
			t.Errorf("Name(%q) = %q, %v, want it as it is", got, given, err)
		}
	}
}

func TestGivenName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"http://10.0.0.2:8080":           true,
		"https://10.0.0.2":               true,
		"http://a.example:8080":          true,
		"http://ü.example:8080":          true,
		"http://[2001:db8::2]:8080":      true,
		"http://[fe80::1%25eth0]:8080":   true,
		"https://[fe80::1%25eth0]":       true,
		"http://[fe80::1%eth0]:8080":     false,
		"http://[fe80::1]:8080%25eth0":   false,
		"http://[fe80::1%25eth0]:8080/":  false,
		"http://[fe80::1%25eth0]:8080?":  false,
		"http://[fe80::1%25eth0]:8080#":  false,
		"http://u@[fe80::1%25eth0]:8080": false,
		"ftp://[fe80::1%25eth0]:8080":    false,
		"[fe80::1%25eth0]:8080":          false,
		"http://10.0.0.2:8080/path":      false,
		"http://user:pass@10.0.0.2:8080": false,
		"http://":                        false,
		"10.0.0.2:8080":                  false,
		"http://[fe80::1%25eth0:8080":    false,
		"http://[fe80::1%25eth0]:8080\n": false,
		"http://[fe80::1%25%65th0]:8080": false,
	} {
		got, err := peer.Name(name, "", &net.TCPAddr{})
		if (err == nil) != want || want && got != name {
			t.Errorf("Name(%q) = %q, %v, want it to be accepted: %t", name, got, err, want)
		}
	}
}
