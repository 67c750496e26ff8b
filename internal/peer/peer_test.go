package peer_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/peer"
)

func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 126) + "a" // 253 characters
	for name, want := range map[string]peer.Peer{
		"http://10.0.0.2:8080":            {Scheme: "http", Host: "10.0.0.2", Port: 8080, Address: "10.0.0.2:8080", IP: true},
		"10.0.0.2:8080":                   {Host: "10.0.0.2", Port: 8080, Address: "10.0.0.2:8080", IP: true},
		"HTTPS://Web-1.Example.COM:443":   {Scheme: "https", Host: "web-1.example.com", Port: 443, Address: "web-1.example.com:443"},
		"http://user:word@h:1/p?q#f":      {Scheme: "http", Host: "h", Port: 1, Address: "h:1"},
		"web_1:65535":                     {Host: "web_1", Port: 65535, Address: "web_1:65535"},
		"absolute.:80":                    {Host: "absolute.", Port: 80, Address: "absolute.:80"},
		"1.2.3.4.example:80":              {Host: "1.2.3.4.example", Port: 80, Address: "1.2.3.4.example:80"},
		"tcp://[2001:DB8:0:0::1]:0080":    {Scheme: "tcp", Host: "2001:db8::1", Port: 80, Address: "[2001:db8::1]:80", IP: true},
		"[::1]:80":                        {Host: "::1", Port: 80, Address: "[::1]:80", IP: true},
		"http://[::ffff:10.0.0.2]:80":     {Scheme: "http", Host: "10.0.0.2", Port: 80, Address: "10.0.0.2:80", IP: true},
		"cache+http://10.0.0.2:8080":      {Kind: "cache", Scheme: "http", Host: "10.0.0.2", Port: 8080, Address: "10.0.0.2:8080", IP: true},
		"Web-1.a+h:1":                     {Kind: "web-1.a", Host: "h", Port: 1, Address: "h:1"},
		"db+tls+tcp://h:1":                {Kind: "db", Scheme: "tls+tcp", Host: "h", Port: 1, Address: "h:1"},
		"tls+tcp://127.0.0.1:1":           {Kind: "tls", Scheme: "tcp", Host: "127.0.0.1", Port: 1, Address: "127.0.0.1:1", IP: true},
		strings.Repeat("a", 63) + ":1":    {Host: strings.Repeat("a", 63), Port: 1, Address: strings.Repeat("a", 63) + ":1"},
		long + ":1":                       {Host: long, Port: 1, Address: long + ":1"},
		"http://xn--bcher-kva.example:80": {Scheme: "http", Host: "xn--bcher-kva.example", Port: 80, Address: "xn--bcher-kva.example:80"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := peer.Parse(name)
			if err != nil || got != want {
				t.Errorf("%+v, error %v, want %+v", got, err, want)
			}
		})
	}
}

// hostile are names that get a list of others into trouble where they are
// taken as they are.
var hostile = []string{
	"http://x; } location / {",
	"http://x;}:80",
	"http://x:80; } location / {",
	"http://x\n:80",
	"http://x%0a:80",
	"http://x%3b:80",
	"http://x:80\n",
	"x:80;",
	"x y:80",
	"x\t:80",
	`x":80`,
	`x':80`,
	"x`id`:80",
	"$(id):80",
	"${x}:80",
	`x\:80`,
	"x#:80",
	"x,y:80",
	"{{x}}:80",
	"<x>:80",
	"x&y:80",
	"x|y:80",
	"unix:/run/x.sock:80",
	"unix@/run/x.sock:80",
	"fd@3:80",
	"x:80:90",
	"b\u00fccher:80",
	"x\u0000:80",
	"x\u2028:80",
	"[::1%eth0]:80",
	"http://[::1%25eth0]:80",
	"[fe80::1%x; } location / {]:80",
	"[10.0.0.1:80",
	"::1:80",
	"ht\ntp://x:80",
	"1http://x:80",
	"x;+http://x:80",
	"x y+http://x:80",
	"x\n+x:80",
	"${x}+x:80",
	"1x+x:80",
	"+x:80",
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Concat(hostile, []string{
		"", "a", "http://", "http://a", "http://a:", "a:", ":80", "http://:80", "/a:80",
		"a:0", "a:65536", "a:-1", "a:+1", "a: 1", "a:1x", "a:0x50", "a:http",
		"-a:80", "a-:80", "a..b:80", ".a:80", ".:80", "*.a:80",
		strings.Repeat("a", 64) + ":1", strings.Repeat("a.", 127) + "a:1", strings.Repeat("a.", 126) + "aa:1",
		"127.1:80", "2130706433:80", "0x7f000001:80", "0x:80", "10.0.0.256:80", "1.2.3.4.5:80", "010.0.0.1:80", "a.1.:80",
		"0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "224.0.0.1:80", "[ff02::1]:80",
	}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := peer.Parse(name); !errors.Is(err, peer.ErrUnusable) || got != (peer.Peer{}) {
				t.Errorf("%+v, error %v, want none and ErrUnusable", got, err)
			}
		})
	}
}

func TestParseAll(t *testing.T) {
	t.Parallel()
	peers, unusable := peer.ParseAll([]string{
		"10.0.0.10:80", "10.0.0.2:9", "10.0.0.2:80", "a", "b:80", "http://10.0.0.2:80/x", "http://[::1]:80", "http://a:80", "https://A:80", "x:0",
		"web+http://a:80", "cache+http://a:80", "Cache+https://a:80", "h2c://b:80", "http://b:80", "https://b:80", "ws://b:80",
	})
	var got []string
	for _, p := range peers {
		got = append(got, p.Kind+" "+p.Scheme+" "+p.Address)
	}
	want := []string{
		" http a:80", "cache http a:80", "web http a:80", " http b:80", "  10.0.0.2:9", " http 10.0.0.2:80", "  10.0.0.10:80", " http [::1]:80",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(unusable) != 2 || !strings.HasPrefix(unusable[0].Error(), `"a": `) || !strings.HasPrefix(unusable[1].Error(), `"x:0": `) {
		t.Errorf("unusable %q, want a and x:0", unusable)
	}
}

// safe are the characters that mean nothing but themselves in the formats of
// the templates, in quotes and without.
var safe = regexp.MustCompile(`^[a-z0-9+._:-]*$`)

func FuzzParse(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Add("http://10.0.0.2:8080")
	f.Add("tcp://[2001:db8::1]:80/path")
	f.Fuzz(func(t *testing.T, name string) {
		p, err := peer.Parse(name)
		if err != nil {
			return
		}
		address := strings.NewReplacer("[", "", "]", "").Replace(p.Address)
		if p.Host == "" || p.Port < 1 || p.Port > 65535 || !safe.MatchString(p.Host) || !safe.MatchString(p.Kind) || !safe.MatchString(p.Scheme) || !safe.MatchString(address) {
			t.Errorf("%q: %+v is not safe", name, p)
		}
		again, err := peer.Parse(p.Address)
		if again.Kind, again.Scheme = p.Kind, p.Scheme; err != nil || again != p {
			t.Errorf("%q: %+v and its address %+v, error %v, want the same", name, p, again, err)
		}
	})
}
