//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// addresses is a template with one address a line.
const addresses = "{{range .Peers}}{{.Address}}\n{{end}}"

// templateOf returns the template in a file, and the path of a file to be
// written from it.
func templateOf(t *testing.T, text string) (spec, file string) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "in.tmpl")
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "out")
	return source + ":" + file, file
}

// awaitFile returns when a file is like this.
func awaitFile(t *testing.T, file, want string) {
	t.Helper()
	testmain.Eventually(t, clitest.Patience, func() string {
		got, _ := os.ReadFile(file)
		if string(got) == want {
			return ""
		}
		return fmt.Sprintf("%s is %q, want %q", file, got, want)
	})
}

func wantFile(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); string(got) != want || err != nil {
		t.Errorf("%s is %q, error %v, want %q", file, got, err, want)
	}
}

func TestWatchWritesFiles(t *testing.T) {
	t.Parallel()
	const hostile = "http://x; } location / {"
	server, pubsub := startServer(t, "10.0.0.3:80", "http://10.0.0.2:80", hostile)
	spec, file := templateOf(t, addresses)
	nginx := filepath.Join(filepath.Dir(file), "nginx.conf")
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-template", "@nginx:"+nginx, "-exec", "echo exec; cat "+nginx)
	awaitFile(t, file, "10.0.0.2:80\n10.0.0.3:80\n")
	p.Stderr.Await(`level=WARN msg="names are left out of the templates" names=1 errors="\[\\"http://x; } location / {\\": not a usable host and port`)
	p.Stderr.Await(`(?s)^exec\n.*?server 10.0.0.3:80;`)
	c := clitest.Join(t, clitest.Quiet, server, "tcp://[::1]:9")
	p.Stderr.Await(`(?s)^exec\n.*?server \[::1\]:9;`)
	wantFile(t, file, "10.0.0.2:80\n10.0.0.3:80\n[::1]:9\n")
	_ = c.Close()
	awaitFile(t, file, "10.0.0.2:80\n10.0.0.3:80\n")
	p.Signal(syscall.SIGTERM)
	stdout, stderr, code := p.Wait()
	if code != 0 || stdout != "" {
		t.Errorf("exit code %d, stdout %q, want 0 and nothing", code, stdout)
	}
	if got := strings.Count(stderr, "are left out"); got != 1 {
		t.Errorf("%d lines that a name is left out, want 1:\n%s", got, stderr)
	}
}

// Others neither write files nor run commands, and do not count for -min.
func TestWatchActsOnMatches(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "http://10.0.0.9:80", "web+http://10.0.0.2:80")
	spec, file := templateOf(t, "{{range .Peers}}{{.Kind}} {{.Scheme}} {{.Address}}\n{{end}}")
	p := startCommand(t, "watch", "-pubsub", pubsub, "-match", "cache+*", "-min", "1", "-template", spec, "--", "cat")
	p.Stderr.Await("fewer peers than -min")
	clitest.Join(t, clitest.Quiet, server, "cache+http://10.0.0.2:80")
	p.Stderr.Await(`"total":1,"list":\["cache\+http://10.0.0.2:80"\]`)
	wantFile(t, file, "cache http 10.0.0.2:80\n")
	web := clitest.Join(t, clitest.Quiet, server, "web+http://10.0.0.3:80")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "cache+http://10.0.0.2:80", "http://10.0.0.9:80", "web+http://10.0.0.2:80", "web+http://10.0.0.3:80")
	_ = web.Close()
	clitest.Join(t, clitest.Quiet, server, "cache+10.0.0.3:80")
	p.Stderr.Await(`\A[^{]*\{"time":"[^"]*","joined":\["cache\+10.0.0.3:80"\],"left":\[\],"total":2`)
	wantFile(t, file, "cache http 10.0.0.2:80\ncache  10.0.0.3:80\n")
}

// Neither the file nor the command is touched when only a name changes that
// does not matter. At each start the file may be news.
func TestWatchLeavesFilesAlone(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	for _, when := range []string{"first", "second"} {
		p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-check", "echo check", "-exec", "echo exec", "--", "sh", "-c", "wc -w; echo done")
		p.Stderr.Await(`done\n`)
		c := clitest.Join(t, clitest.Quiet, server, "no-port")
		p.Stderr.Await(`done\n`)
		_ = c.Close()
		p.Stderr.Await(`done\n`)
		p.Signal(syscall.SIGTERM)
		_, stderr, _ := p.Wait()
		if checks, execs := strings.Count(stderr, "check\n"), strings.Count(stderr, "exec\n"); checks != 1 || execs != 1 {
			t.Errorf("%s run: -check ran %d times and -exec %d times, want once:\n%s", when, checks, execs, stderr)
		}
	}
	wantFile(t, file, "10.0.0.2:80\n")
}

func TestWatchCheckFails(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-exec", "echo exec with $(wc -l <"+file+")",
		"-check", `! grep bad `+file)
	p.Stderr.Await(`exec with 0\n`)
	clitest.Join(t, clitest.Quiet, server, "http://good:1")
	p.Stderr.Await(`exec with 1\n`)
	bad := clitest.Join(t, clitest.Quiet, server, "http://bad:1")
	p.Stderr.Await(`bad:1\n.*level=ERROR msg=failed error="-check ! grep bad .*: exit status 1" repeated=true\n`)
	wantFile(t, file, "good:1\n")
	p.Stderr.Await(`level=ERROR`) // again, without a change
	_ = bad.Close()
	clitest.Join(t, clitest.Quiet, server, "http://fine:1")
	p.Stderr.Await(`exec with 2\n`)
	wantFile(t, file, "fine:1\ngood:1\n")
}

// The file is good, and so the command is repeated until it succeeds.
func TestWatchExecFails(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-exec", "test -e "+file+".go && echo succeeded")
	p.Stderr.Await(`error="-exec test .*: exit status 1"`)
	wantFile(t, file, "10.0.0.2:80\n")
	if err := os.WriteFile(file+".go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.Stderr.Await(`^succeeded\n`)
}

// What is due stays so when nothing can come of newer lists.
func TestWatchExecIsDue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ flag, value, logged string }{
		{"-check", "! grep bad FILE", "-check .*exit status 1"},
		{"-min", "1", "too few"},
	} {
		t.Run(test.flag, func(t *testing.T) {
			t.Parallel()
			server, pubsub := startServer(t)
			spec, file := templateOf(t, addresses)
			good := clitest.Join(t, clitest.Quiet, server, "http://good:1")
			clitest.AwaitList(t, clitest.Quiet, pubsub, "http://good:1")
			p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, test.flag, strings.ReplaceAll(test.value, "FILE", file),
				"-exec", "test -e "+file+".go && echo told of $(cat "+file+")")
			p.Stderr.Await(`error="-exec test .*: exit status 1"`)
			if test.flag == "-check" {
				clitest.Join(t, clitest.Quiet, server, "http://bad:1")
			} else {
				_ = good.Close()
			}
			p.Stderr.Await(test.logged)
			if err := os.WriteFile(file+".go", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p.Stderr.Await(`^told of good:1\n`)
		})
	}
}

// Whatever kept watch from telling of its files, it does so when it is started
// again, even if nothing can come of the list.
func TestWatchTellsOfFilesFromBefore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ flag, value, want string }{
		{"-check", "! grep bad FILE", "gopherdiscovery: -check ! grep bad FILE: exit status 1\n"},
		{"-min", "2", "gopherdiscovery: too few peers: 1, -min is 2\n"},
	} {
		t.Run(test.flag, func(t *testing.T) {
			t.Parallel()
			_, pubsub := startServer(t, "http://bad:1")
			spec, file := templateOf(t, addresses)
			args := []string{"-once", "-timeout", clitest.Patience.String(), "-pubsub", pubsub, "-template", spec, test.flag, strings.ReplaceAll(test.value, "FILE", file)}
			want := strings.ReplaceAll(test.want, "FILE", file)
			// Of no file there is nothing to tell.
			_, stderr, code := startCommand(t, "watch", append(args, "-exec", "exit 7")...).Wait()
			if code != 1 || !strings.HasSuffix(stderr, want) {
				t.Errorf("exit code %d, stderr %q, want 1 and %q", code, stderr, want)
			}
			if err := os.WriteFile(file, []byte("good:1\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, stderr, code = startCommand(t, "watch", append(args, "-exec", "echo told of $(cat "+file+")")...).Wait()
			if code != 1 || !strings.HasSuffix(stderr, "told of good:1\n"+want) {
				t.Errorf("exit code %d, stderr %q, want 1, told of good:1 and %q", code, stderr, want)
			}
			_, stderr, code = startCommand(t, "watch", append(args, "-dry", "-exec", "exit 7")...).Wait()
			if strings.Contains(stderr, "-exec") {
				t.Errorf("exit code %d, stderr %q, want that nothing runs", code, stderr)
			}
			wantFile(t, file, "good:1\n")
		})
	}
}

// The check takes away the old file, in the place of which a directory is.
func TestWatchTellsNothingUnchecked(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	spec, file := templateOf(t, addresses)
	dir := filepath.Dir(file)
	old, kept := filepath.Join(dir, ".out.before"), filepath.Join(dir, "kept")
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-exec", "echo told of $(cat "+file+"); false",
		"-check", `! grep bad `+file+` || { test -e `+kept+` || { mv `+old+` `+kept+` && mkdir `+old+`; }; false; }`)
	p.Stderr.Await(`^told of\n`)
	clitest.Join(t, clitest.Quiet, server, "http://bad:1")
	p.Stderr.Await(`the old file does not come back`)
	p.Stderr.Await(`the old file does not come back`)
	wantFile(t, file, "bad:1\n")
	// Then it does, and its reader may have met the other one.
	if err := errors.Join(os.Remove(old), os.Link(kept, old)); err != nil {
		t.Fatal(err)
	}
	p.Stderr.Await(`^told of\n`)
	wantFile(t, file, "")
	p.Signal(syscall.SIGTERM)
	if _, stderr, _ := p.Wait(); strings.Contains(stderr, "told of bad") {
		t.Errorf("told of a file that was not checked:\n%s", stderr)
	}
}

// When watch is started again, it leaves nothing that was not checked.
func TestWatchKilled(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "http://good:1")
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec,
		"-check", "! grep bad "+file+" || { echo checks; while ! test -e "+file+".end; do sleep 0.01; done; }")
	awaitFile(t, file, "good:1\n")
	clitest.Join(t, clitest.Quiet, server, "http://bad:1")
	p.Stderr.Await(`^checks\n`)
	p.Signal(syscall.SIGKILL)
	if err := os.WriteFile(file+".end", nil, 0o644); err != nil { // ends the check
		t.Fatal(err)
	}
	p.Wait()
	wantFile(t, file, "bad:1\ngood:1\n")

	p = startCommand(t, "watch", "-pubsub", closedPort, "-template", spec)
	p.Stderr.Await(`level=WARN msg="files that were not checked are again as they were before" files=\[` + file)
	wantFile(t, file, "good:1\n")
	p.Signal(syscall.SIGTERM)
	p.Wait()
	p = startCommand(t, "watch", "-once", "-pubsub", pubsub, "-template", spec, "-check", "! grep bad "+file, "-exec", "echo told of $(cat "+file+")")
	if _, stderr, code := p.Wait(); code != 1 || !strings.Contains(stderr, "\ntold of good:1\n") {
		t.Errorf("exit code %d, stderr %q, want 1 and told of good:1", code, stderr)
	}
	wantFile(t, file, "good:1\n")
}

func TestWatchHangup(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	source, _, _ := strings.Cut(spec, ":")
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-exec", "echo exec", "--", "echo", "command")
	p.Stderr.Await(`^exec\ncommand\n`)
	hangup := func(text, logged string) {
		t.Helper()
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGHUP)
		p.Stderr.Await(logged)
	}
	hangup("{{nonsense}}", `level=WARN msg="SIGHUP: keeping what was in the files before" error="invalid template .*nonsense`)
	wantFile(t, file, "10.0.0.2:80\n")
	hangup("{{len .Peers}}", `(?s)level=INFO msg="SIGHUP: the files were read again".*?^exec\n`)
	wantFile(t, file, "1")
	p.Signal(syscall.SIGTERM)
	if _, stderr, _ := p.Wait(); strings.Count(stderr, "command\n") != 1 {
		t.Errorf("the command ran again without a change:\n%s", stderr)
	}
}

func TestWatchExecTakesTooLong(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-exec-timeout", "100ms", "-exec", "! test -s "+file+" || sleep 60; echo ended")
	p.Stderr.Await(`^ended\n`)
	c := clitest.Join(t, clitest.Quiet, server, "http://10.0.0.2:80")
	p.Stderr.Await(`level=ERROR.*ended because it took longer than 100ms`)
	_ = c.Close()
	p.Stderr.Await(`^ended\n`) // the watcher goes on
}

func TestWatchMin(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "http://10.0.0.2:80", "no-port")
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-min", "2", "--", "wc", "-l")
	p.Stderr.Await(`level=WARN msg="the list has fewer peers than -min, all stays as it is" error="too few peers: 1, -min is 2"\n`)
	clitest.Join(t, clitest.Quiet, server, "no-port-either")
	p.Stderr.Await(`names are left out.*no-port-either`)
	c := clitest.Join(t, clitest.Quiet, server, "http://10.0.0.3:80")
	p.Stderr.Await(`^1\n`)
	wantFile(t, file, "10.0.0.2:80\n10.0.0.3:80\n")
	_ = c.Close()
	p.Stderr.Await(`too few`)
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.4:80")
	p.Stderr.Await(`^1\n`)
	wantFile(t, file, "10.0.0.2:80\n10.0.0.4:80\n")
	p.Signal(syscall.SIGTERM)
	if _, stderr, _ := p.Wait(); strings.Count(stderr, "too few") != 2 {
		t.Errorf("%d lines that there are too few, want 2:\n%s", strings.Count(stderr, "too few"), stderr)
	}
}

func TestWatchWait(t *testing.T) {
	t.Parallel()
	s := clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	server, pubsub := s.URLs()
	clitest.Join(t, clitest.Quiet, server, "a")
	p := startCommand(t, "watch", "-pubsub", pubsub, "-wait", "1h:1h", "--", "cat")
	awaitSubscriber(t, s)
	clitest.Join(t, clitest.Quiet, server, "b")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "a", "b")
	p.Signal(syscall.SIGTERM)
	if stdout, stderr, code := p.Wait(); code != 0 || stdout != "" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0 and nothing: an hour is not over", code, stdout, stderr)
	}
	p = startCommand(t, "watch", "-pubsub", pubsub, "-wait", "10ms", "--", "cat")
	p.Stderr.Await(`"list":\["a","b"\]}\n`)
}

// awaitSubscriber returns when a server has a subscriber.
func awaitSubscriber(t *testing.T, s *gopherdiscovery.DiscoveryServer) {
	t.Helper()
	testmain.Await(t, "somebody has subscribed", func() bool { return s.Stats().Subscribers > 0 })
}

// The server says what it knows, and never has a complete list.
func TestWatchIgnoresIncompleteLists(t *testing.T) {
	t.Parallel()
	s := startIncomplete(t, "http://10.0.0.2:80")
	_, pubsub := s.URLs()
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-timeout", "10ms")
	awaitSubscriber(t, s)
	// This takes longer than that timeout.
	startCommand(t, "watch", "-pubsub", pubsub).Stdout.Await(`total 1\n`)
	p.Signal(syscall.SIGTERM)
	if stdout, stderr, code := p.Wait(); code != 0 || stdout != "" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0 and nothing", code, stdout, stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("error %v, want that there is no file", err)
	}
}

func TestWatchWaitsForEachServer(t *testing.T) {
	t.Parallel()
	s := startIncomplete(t, "http://10.0.0.2:80")
	_, incomplete := s.URLs()
	_, complete := startServer(t, "http://10.0.0.3:80")
	both := incomplete + "," + complete
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", both, "-template", spec, "-timeout", "1h")
	awaitSubscriber(t, s)
	startCommand(t, "watch", "-pubsub", both).Stdout.Await(`total 2\n`)
	p.Signal(syscall.SIGTERM)
	p.Wait()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("error %v, want that there is no file: an hour is not over", err)
	}
	startCommand(t, "watch", "-pubsub", both, "-template", spec, "-timeout", "10ms")
	awaitFile(t, file, "10.0.0.2:80\n10.0.0.3:80\n")
}

// startIncomplete starts a server that knows one name, and is incomplete for an
// hour.
func startIncomplete(t *testing.T, name string) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	s, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
		ReturnTime: time.Hour,
		Logger:     clitest.Quiet.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	server, pubsub := s.URLs()
	clitest.Join(t, clitest.Quiet, server, name)
	clitest.AwaitList(t, clitest.Quiet, pubsub, name)
	testmain.Await(t, "nobody is subscribed any more", func() bool { return s.Stats().Subscribers == 0 })
	return s
}
