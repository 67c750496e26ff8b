package gopherdiscovery

import "testing"

func TestServerName(t *testing.T) {
	for target, want := range map[string]string{
		"example.com:1":   "example.com",
		"10.0.0.1:1":      "10.0.0.1",
		"[::1]:1":         "::1",
		"[fe80::1%lo]:1":  "fe80::1",
		"[fe80::1%25x]:1": "fe80::1",
		":1":              "",
	} {
		a, err := parseURL("url", "tls+tcp://"+target, 1)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if got := a.serverName(); got != want {
			t.Errorf("%s: got server name %q, want %q", target, got, want)
		}
	}
}
