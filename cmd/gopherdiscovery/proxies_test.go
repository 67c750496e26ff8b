//go:build unix

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// proxy is a proxy of Debian in front of the backends in a file that watch
// writes.
type proxy struct {
	program  string   // and the package
	template string   // the shipped one
	config   string   // of the proxy, in its directory
	args     []string // to run it in the foreground
	check    string
	reload   string
	none     int // status when there is no backend
}

// In these DIR stands for the directory of the proxy, and ADDRESS for where it
// listens.
var proxies = []proxy{
	{
		program:  "nginx",
		template: "@nginx",
		config: `
			daemon off;
			pid DIR/pid;
			error_log stderr;
			worker_processes 1;
			events {}
			http {
				access_log off;
				client_body_temp_path DIR/body;
				proxy_temp_path DIR/proxy;
				fastcgi_temp_path DIR/fastcgi;
				uwsgi_temp_path DIR/uwsgi;
				scgi_temp_path DIR/scgi;
				include DIR/backends;
				server {
					listen ADDRESS;
					location / { proxy_pass http://backends; }
				}
			}`,
		args:   []string{"-e", "stderr", "-p", "DIR", "-c", "DIR/config"},
		check:  "nginx -t -q -e stderr -p DIR -c DIR/config",
		reload: "nginx -s reload -e stderr -p DIR -c DIR/config",
		none:   http.StatusBadGateway,
	},
	{
		program:  "haproxy",
		template: "@haproxy",
		config: `
			defaults
				mode http
				timeout connect 5s
				timeout client 30s
				timeout server 30s
			frontend web
				bind ADDRESS
				default_backend backends
			`,
		args:  []string{"-W", "-db", "-S", "DIR/master", "-f", "DIR/config", "-f", "DIR/backends"},
		check: "haproxy -c -q -f DIR/config -f DIR/backends",
		// SIGUSR2 is lost while HAProxy starts. Its master refuses
		// connections then, and the next attempt is not lost.
		reload: `python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("DIR/master"); s.sendall(b"reload\n"); s.recv(1)'`,
		none:   http.StatusServiceUnavailable,
	},
}

func TestProxies(t *testing.T) {
	t.Parallel()
	for _, p := range proxies {
		t.Run(p.program, func(t *testing.T) {
			t.Parallel()
			need(t, p.program, p.program)
			need(t, "python3", "python3")
			testProxy(t, p)
		})
	}
}

func testProxy(t *testing.T, p proxy) {
	server, pubsub := clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{}).URLs()
	dir, address := t.TempDir(), freeAddress(t)
	replace := strings.NewReplacer("DIR", dir, "ADDRESS", address).Replace
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(replace(p.config)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	watching := []string{
		"-pubsub", pubsub, "-template", p.template + ":" + filepath.Join(dir, "backends"),
		"-check", replace(p.check), "-exec", replace(p.reload),
	}

	// Nobody is there. The proxy takes that, and says so.
	once := append(slices.Clone(watching[:6]), "-once", "-timeout", clitest.Patience.String())
	if _, stderr, code := startCommand(t, "watch", once...).Wait(); code != 0 {
		t.Fatalf("watch -once: exit code %d, want 0:\n%s", code, stderr)
	}
	var args []string
	for _, arg := range p.args {
		args = append(args, replace(arg))
	}
	startProgram(t, p.program, args...)
	site := &site{t, "http://" + address + "/name"}
	site.await(func(status int, _ string) bool { return status == p.none })

	watch := startCommand(t, "watch", watching...)
	a, b := startBackend(t, server, "a"), startBackend(t, server, "b")
	site.awaitAnswerOf("a")
	site.awaitAnswerOf("b")
	site.awaitSteady()

	load := site.load()
	c := startBackend(t, server, "c")
	site.awaitAnswerOf("c")
	a.announce.Signal(syscall.SIGTERM) // leaves the list, and then has time
	load.awaitNoneTo("a")
	a.announce.Signal(syscall.SIGTERM) // which may end now
	a.announce.Wait()
	load.wantFailures("when c has joined and a has left", 0)
	b.kill(t)
	awaitWithout(t, filepath.Join(dir, "backends"), b.address)
	load.awaitRequests(100)
	load.wantFailures("when b was killed", 2*workers) // what each had there, and sent while it died
	load.stop()

	c.kill(t)
	site.await(func(status int, _ string) bool { return status == p.none })
	// It may still be about to tell the proxy, and waits for the commands.
	watch.Signal(syscall.SIGTERM)
	watch.Wait()
}

// backend is an announced web server that is not written in Go.
type backend struct {
	announce *clitest.Program
	address  string
	pidFile  string
}

// startBackend starts a backend that answers requests of /name with its name.
// It stays on the list even if the machine is too busy for its checks.
func startBackend(t *testing.T, server, name string) backend {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	if err := os.WriteFile(filepath.Join(dir, "name"), []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
	b := backend{address: address, pidFile: filepath.Join(dir, "pid")}
	host, port, _ := strings.Cut(address, ":")
	b.announce = startCommand(t, "announce", "-server", server, "-name", "http://"+address,
		"-check", "http://"+address+"/name", "-interval", "300ms", "-fall", "1000", "-grace", clitest.Patience.String(), "--",
		"sh", "-c", `echo $$ >"$0" && exec python3 -m http.server --bind "$1" --directory "$2" "$3"`, b.pidFile, host, dir, port)
	return b
}

// kill kills the web server without a warning.
func (b backend) kill(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(b.pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.announce.Wait()
}

// awaitWithout returns when a file does not have a text in it.
func awaitWithout(t *testing.T, file, text string) {
	t.Helper()
	testmain.Eventually(t, clitest.Patience, func() string {
		got, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(got), text) {
			return ""
		}
		return fmt.Sprintf("error %v, or %s is in %s:\n%s", err, text, file, got)
	})
}

// need skips a test on a machine without a program, but not where everything
// is checked.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not in the PATH, and CI needs it", program)
	}
	t.Skipf("%s is not in the PATH (Debian package %s)", program, debian)
}
