package sp

import "testing"

func TestPathOf(t *testing.T) {
	for _, test := range []struct{ target, goos, want string }{
		{"/C:/run/a", "windows", "C:/run/a"},
		{"/C:", "windows", "C:"},
		{`C:\run\a`, "windows", `C:\run\a`},
		{"/run/a", "windows", "/run/a"},
		{"/a", "windows", "/a"},
		{"a", "windows", "a"},
		{"/C:/run/a", "linux", "/C:/run/a"},
	} {
		if got := pathOf(test.target, test.goos); got != test.want {
			t.Errorf("%s on %s: got %s, want %s", test.target, test.goos, got, test.want)
		}
	}
}

func TestServerName(t *testing.T) {
	for target, want := range map[string]string{
		"example.com:1":   "example.com",
		"10.0.0.1:1":      "10.0.0.1",
		"[::1]:1":         "::1",
		"[fe80::1%lo]:1":  "fe80::1",
		"[fe80::1%25x]:1": "fe80::1",
		":1":              "",
	} {
		if got := (Address{"tls+tcp", target}).ServerName(); got != want {
			t.Errorf("%s: got server name %q, want %q", target, got, want)
		}
	}
}
