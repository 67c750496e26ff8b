package render_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
	"github.com/dahernan/gopherdiscovery/internal/peer"
)

// peersOf returns the peers of names, all of which must be usable.
func peersOf(t *testing.T, names ...string) []peer.Peer {
	t.Helper()
	peers, errs := peer.ParseAll(names)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return peers
}

// put writes a file into a directory, and returns its path.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// print returns what a set makes of peers.
func print(t *testing.T, set *render.Set, peers []peer.Peer) string {
	t.Helper()
	var out strings.Builder
	if err := set.Print(&out, peers); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func parse(t *testing.T, specs ...string) *render.Set {
	t.Helper()
	set, err := render.ParseSet(specs)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := put(t, dir, "all.tmpl", `{{range .Addresses}}{{.Kind}} {{.Scheme}} {{.Address}}; {{end}}`)
	set := parse(t, source+":"+filepath.Join(dir, "all"))
	peers := peersOf(t, "a:1", "x+https://a:1", "http://a:2", "x+https://a:2", "x+a:3", "y+ws://a:3", "b:1")
	if got, want := print(t, set, peers), "x https a:1;  http a:2; x  a:3;   b:1; "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTemplateGetsPeers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := put(t, dir, "all.tmpl", `{{len .Peers}}{{range .Peers}} {{.Scheme}},{{.Host}},{{.Port}},{{.Address}},{{.IP}}{{else}} none{{end}}`)
	set := parse(t, source+":"+filepath.Join(dir, "all"))
	peers := peersOf(t, "http://10.0.0.2:8080", "[::1]:9", "tcp://web:80")
	if got, want := print(t, set, peers), "3 tcp,web,80,web:80,false http,10.0.0.2,8080,10.0.0.2:8080,true ,::1,9,[::1]:9,true"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := print(t, set, nil), "0 none"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPrintSeveral(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := put(t, dir, "n.tmpl", "{{len .Peers}}\n")
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	got := print(t, parse(t, source+":"+a, source+":"+b), peersOf(t, "a:1"))
	if want := "==> " + a + " <==\n1\n\n==> " + b + " <==\n1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, file := range []string{a, b} {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: error %v, want that there is no such file", file, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := put(t, dir, "good", "")
	to := ":" + filepath.Join(dir, "out")
	for name, test := range map[string]struct {
		specs []string
		want  string
	}{
		"nothing":        {[]string{""}, "SRC:DST"},
		"no colon":       {[]string{good}, "SRC:DST"},
		"no source":      {[]string{to}, "SRC:DST"},
		"no destination": {[]string{good + ":"}, "SRC:DST"},
		"three parts":    {[]string{good + to + ":nginx -t"}, "SRC:DST"},
		"missing":        {[]string{filepath.Join(dir, "missing") + to}, "no such file"},
		"not shipped":    {[]string{"@apache" + to}, "@apache is not shipped, want @envoy, @haproxy, @nginx, @prometheus, @traefik"},
		"no path":        {[]string{"@../nginx" + to}, "@../nginx is not shipped"},
		"syntax":         {[]string{put(t, dir, "syntax", "{{range .Peers}}") + to}, "unexpected EOF"},
		"field":          {[]string{put(t, dir, "field", "{{range .Peers}}{{.Name}}{{end}}") + to}, "Name"},
		"without peers":  {[]string{put(t, dir, "first", "{{(index .Peers 0).Host}}") + to}, "out of range"},
		"directory":      {[]string{good + ":" + filepath.Join(dir, "missing", "out")}, "no such file"},
		"no file":        {[]string{good + ":" + dir}, "not a regular file"},
		"twice":          {[]string{good + to, good + to}, "writes that file too"},
		"twice by links": {[]string{good + to, good + ":" + link(t, "out", dir, "link")}, "writes that file too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := render.ParseSet(test.specs)
			if !errors.Is(err, render.ErrInvalid) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.specs[0]) {
				t.Errorf("error %v, want ErrInvalid, the specification and %q", err, test.want)
			}
		})
	}
}

// A path may begin with the letter of a drive.
func TestDrives(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("C:", 0o755); err != nil {
		t.Skipf("not a name of a directory in this system: %v", err)
	}
	put(t, dir, `C:\n`, "")
	put(t, dir, `C:/n`, "")
	put(t, dir, "n", "")
	for spec, want := range map[string]string{
		`n:out`:       `out`,
		`n:C:\out`:    `C:\out`,
		`n:/out`:      `/out`,
		`C:\n:out`:    `out`,
		`C:/n:out`:    `out`,
		`C:\n:C:\out`: `C:\out`,
		`C:/n:C:/out`: `C:/out`,
	} {
		parsed, err := render.Parse(spec)
		if err != nil {
			t.Error(err)
		} else if parsed.File != want {
			t.Errorf("%s: file %s, want %s", spec, parsed.File, want)
		}
	}
}

// link makes a symbolic link in a directory, and returns its path.
func link(t *testing.T, target, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// some returns so many peers.
func some(t *testing.T, n int) []peer.Peer {
	t.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("http://10.0.0.2:%d", 8080+i))
	}
	return peersOf(t, names...)
}

func wantText(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); string(got) != want || err != nil {
		t.Errorf("%s is %q, error %v, want %q", file, got, err, want)
	}
}
