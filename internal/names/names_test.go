package names_test

import (
	"flag"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/names"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"cache+http://10.0.0.2:8080":     {"cache", "http://10.0.0.2:8080"},
		"orders+10.0.0.3:50051":          {"orders", "10.0.0.3:50051"},
		"db+tls+tcp://10.0.0.2:1":        {"db", "tls+tcp://10.0.0.2:1"},
		"Web-1.a+x":                      {"Web-1.a", "x"},
		"http://10.0.0.2:8080":           {"", "http://10.0.0.2:8080"},
		"http://10.0.0.2:8080/a+b?c=d+e": {"", "http://10.0.0.2:8080/a+b?c=d+e"},
		"10.0.0.2:8080+a":                {"", "10.0.0.2:8080+a"},
		"1cache+http://a:1":              {"", "1cache+http://a:1"},
		"my cache+http://a:1":            {"", "my cache+http://a:1"},
		"a;}\ncache+http://a:1":          {"", "a;}\ncache+http://a:1"},
		"cache+":                         {"cache", ""},
		"+http://a:1":                    {"", "+http://a:1"},
		"":                               {"", ""},
	} {
		if kind, rest := names.Split(name); kind != want[0] || rest != want[1] {
			t.Errorf("Split(%q) = %q, %q, want %q", name, kind, rest, want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const name = "cache+http://[2001:db8::1]:8080/a"
	for pattern, want := range map[names.Pattern]bool{
		"":                     true,
		"*":                    true,
		"**":                   true,
		name:                   true,
		name + "*":             true,
		"*" + name:             true,
		"cache+*":              true,
		"*+http://*":           true,
		"*:8080/a":             true,
		"*[2001:db8::1]:*":     true,
		"c*h*a":                true,
		"*a*":                  true,
		"cache+*8080*/a":       true,
		"cache":                false,
		"Cache+*":              false,
		"ache+*":               false,
		"*:8080":               false,
		"cache+*https*":        false,
		"*/a*/a":               false,
		"cache+http*http*":     false,
		"cache+http://*:8080":  false,
		"cache?http*":          false,
		"[bc]ache+*":           false,
		name + "a":             false,
		"cache+*1]:8080/a/a/a": false,
	} {
		if got := pattern.Match(name); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, name, got, want)
		}
	}
	if !names.Pattern("aa*aa").Match("aaaa") || names.Pattern("aa*aa").Match("aaa") {
		t.Error("aa*aa is to match aaaa, and not aaa")
	}
}

// A regular expression means the same.
func FuzzMatch(f *testing.F) {
	f.Add("cache+*", "cache+http://10.0.0.2:8080")
	f.Add("*a*b", "aab")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p := names.Pattern(pattern)
		if p == "" || p.Check() != nil {
			return
		}
		same := regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `$`)
		if got, want := p.Match(name), same.MatchString(name); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, name, got, want)
		}
	})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	list := []string{"cache+a", "cache+b", "web+a"}
	if got, want := names.Pattern("cache+*").Filter(list), []string{"cache+a", "cache+b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	all := names.Pattern("").Filter(list)
	if all[0] = ""; list[0] == "" || len(all) != 3 {
		t.Errorf("all are %q of %q, want a copy", all, list)
	}
	if got := names.Pattern("none").Filter(list); got == nil || len(got) > 0 {
		t.Errorf("%#v, want an empty list", got)
	}
	if got := names.Pattern("*").Filter(nil); got != nil {
		t.Errorf("%#v of no list, want none", got)
	}
}

func TestFlag(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"": true, "cache+*": true, strings.Repeat("a", 512): true,
		"cache+*|web+*": false, "a\n": false, "\xff": false, strings.Repeat("a", 513): false,
	} {
		var p names.Pattern
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		flags.TextVar(&p, "match", p, "")
		if err := flags.Parse([]string{"-match", text}); (err == nil) != ok || ok && p != names.Pattern(text) {
			t.Errorf("-match %q is %q, error %v, want that it is good: %t", text, p, err, ok)
		} else if err != nil && !strings.Contains(err.Error(), "-match") {
			t.Errorf("error %q does not name the flag", err)
		}
	}
}

func TestFromQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]names.Pattern{
		"":                                 "",
		"wait=30s":                         "",
		"match=cache+*":                    "cache+*",
		"match=cache%2B%2A&wait=30s":       "cache+*",
		"wait=1s&match=a%20b":              "a b",
		"match=cache+http://10.0.0.*:8080": "cache+http://10.0.0.*:8080",
	} {
		if got, err := names.FromQuery(query); got != want || err != nil {
			t.Errorf("FromQuery(%q) = %q, error %v, want %q", query, got, err, want)
		}
	}
	for _, query := range []string{"match=a|b", "match=%zz", "match=%00", "match=a&match=b"} {
		if got, err := names.FromQuery(query); got != "" || err == nil {
			t.Errorf("FromQuery(%q) = %q, error %v, want one", query, got, err)
		}
	}
}
