//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestWatchOnce(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	_, incomplete := startIncomplete(t, "http://10.0.0.3:80").URLs()
	for _, test := range []struct {
		name    string
		pubsub  string
		args    []string
		code    int
		want    string // on stderr
		written string
	}{
		{"file", pubsub, nil, 0, "", "10.0.0.2:80\n"},
		{"check and exec", pubsub, []string{"-check", "echo check", "-exec", "echo exec"}, 0, "exec\n", "10.0.0.2:80\n"},
		{"check fails", pubsub, []string{"-check", "false", "-exec", "echo exec"}, 1, "gopherdiscovery: -check false: exit status 1\n", ""},
		{"exec fails", pubsub, []string{"-exec", "exit 7"}, 1, "gopherdiscovery: -exec exit 7: exit status 7\n", "10.0.0.2:80\n"},
		{"command", pubsub, []string{"--", "cat"}, 0, `"joined":["http://10.0.0.2:80"],"left":[],"total":1,"list":["http://10.0.0.2:80"]}` + "\n", "10.0.0.2:80\n"},
		{"command fails", pubsub, []string{"--", "false"}, 1, "gopherdiscovery: false: exit status 1\n", "10.0.0.2:80\n"},
		{"enough", pubsub, []string{"-min", "1"}, 0, "", "10.0.0.2:80\n"},
		{"too few", pubsub, []string{"-min", "2"}, 1, "gopherdiscovery: too few peers: 1, -min is 2\n", ""},
		{"incomplete", incomplete, []string{"-timeout", "300ms"}, 1, "no complete list within 300ms\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spec, file := templateOf(t, addresses)
			args := slices.Concat([]string{"-once", "-timeout", clitest.Patience.String(), "-template", spec, "-pubsub", test.pubsub}, test.args)
			for range 2 { // the second time finds what the first has left
				stdout, stderr, code := startCommand(t, "watch", args...).Wait()
				if code != test.code || stdout != "" || !strings.HasSuffix(stderr, test.want) {
					t.Errorf("exit code %d, stdout %q, stderr %q, want %d, nothing and %q", code, stdout, stderr, test.code, test.want)
				}
				if got, _ := os.ReadFile(file); string(got) != test.written {
					t.Errorf("the file is %q, want %q", got, test.written)
				}
			}
		})
	}
}

// SIGHUP makes it log a line, which then gives it SIGPIPE.
func TestWatchOnceOutlivesItsTerminal(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-once", "-timeout", clitest.Patience.String(), "-pubsub", pubsub, "-template", spec,
		"-check", "echo checks; while ! test -e "+file+".go; do sleep 0.01; done", "-exec", "cp "+file+" "+file+".loaded")
	p.Stderr.Await(`^checks\n`)
	p.Stderr.Close()
	p.Signal(syscall.SIGHUP)
	if err := os.WriteFile(file+".go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, code := p.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	wantFile(t, file+".loaded", "10.0.0.2:80\n")
}

func TestWatchDry(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	args := []string{"-dry", "-pubsub", pubsub, "-template", spec, "-check", "echo check", "-exec", "echo exec", "--", "echo", "command"}
	stdout, stderr, code := startCommand(t, "watch", slices.Insert(slices.Clone(args), 0, "-once")...).Wait()
	if code != 0 || stdout != "10.0.0.2:80\n" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the file and nothing", code, stdout, stderr)
	}
	p := startCommand(t, "watch", args...)
	p.Stdout.Await(`\A10.0.0.2:80\n`)
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.3:80")
	p.Stdout.Await(`\A10.0.0.2:80\n10.0.0.3:80\n`)
	p.Signal(syscall.SIGTERM)
	if _, stderr, code := p.Wait(); code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("error %v, want that there is no file", err)
	}
}

func TestWatchBadFlags(t *testing.T) {
	t.Parallel()
	spec, file := templateOf(t, addresses)
	// There is no room in this name for those of its siblings.
	unwritable := filepath.Join(t.TempDir(), strings.Repeat("x", 250))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-template", "@nginx:" + unwritable}, "-template: "},
		{[]string{"-once", "-template", "@nginx:" + unwritable}, "-template: "},
		{[]string{"-template", "nonsense"}, "-template: invalid template nonsense: want SRC:DST"},
		{[]string{"-template", "@nonsense:x"}, "@nonsense"},
		{[]string{"-template", spec, "-template", spec}, file},
		{[]string{"-template", spec, "-json"}, "-json"},
		{[]string{"-json", "--", "true"}, "-json"},
		{[]string{"-check", "true"}, "-check needs -template;"},
		{[]string{"-check", "true", "--", "true"}, "-check needs -template"},
		{[]string{"-exec", "true", "--", "true"}, "-exec needs -template;"},
		{[]string{"-dry", "--", "true"}, "-dry needs -template"},
		{[]string{"-once", "-min", "1"}, "-min needs -template or a command"},
		{[]string{"-min", "1"}, "-min needs -template or a command"},
		{[]string{"-wait", "1s"}, "-wait needs -template or a command"},
		{[]string{"-exec-timeout", "1s"}, "-exec-timeout needs -template or a command"},
		{[]string{"GOPHERDISCOVERY_WATCH_MIN=1"}, "-min needs -template or a command"},
		{[]string{"-template", spec, "-min", "-1"}, "-min -1"},
		{[]string{"-template", spec, "-timeout", "0s"}, "-timeout 0s"},
		{[]string{"-template", spec, "-exec-timeout", "0s"}, "-exec-timeout 0s"},
		{[]string{"-template", spec, "-wait", "2s:1s"}, `"2s:1s" for flag -wait: want QUIET:MAX`},
		{[]string{"--", ""}, `COMMAND ""`},
		{[]string{"--", "/missing"}, `COMMAND "/missing": `},
		{[]string{"tcp://host:50007"}, "COMMAND tcp://host:50007 is a URL, want -pubsub tcp://host:50007"},
	} {
		t.Run(fmt.Sprint(test.args), func(t *testing.T) {
			t.Parallel()
			startCommand(t, "watch", test.args...).WantFailure(2, "gopherdiscovery: ", test.want)
		})
	}
}

// It is found before anything is written. A mount is seen by this process and
// those that it starts alone.
func TestWatchWithoutShell(t *testing.T) {
	t.Parallel()
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("needs root, and unshare of util-linux")
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	spec, _ := templateOf(t, addresses)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"-check", "-exec"} {
		cmd := exec.Command(unshare, "--mount", "sh", "-c", `mount --bind "$1" /bin/sh && shift && exec "$@"`, "sh",
			empty, self, "watch", "-once", "-timeout", "100ms", "-pubsub", closedPort, "-template", spec, flag, "true")
		cmd.Env = append(os.Environ(), "GOPHERDISCOVERY_TEST_PROGRAM=child")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), "/bin/sh") {
			t.Errorf("%s: exit code %d, output %q, want 2 and /bin/sh", flag, code, out)
		}
	}
}

func TestWatchFlagsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	_, stderr, code := startCommand(t, "watch", "GOPHERDISCOVERY_WATCH_TEMPLATE="+spec, "GOPHERDISCOVERY_WATCH_EXEC=echo exec", "GOPHERDISCOVERY_WATCH_ONCE=true",
		"GOPHERDISCOVERY_WATCH_WAIT=1s:2s", "GOPHERDISCOVERY_WATCH_EXEC_TIMEOUT=1m", "GOPHERDISCOVERY_CHECK=false", "GOPHERDISCOVERY_ANNOUNCE_CHECK=http://a/", "GOPHERDISCOVERY_WATCH_PUBSUB="+pubsub).Wait()
	if code != 0 || !strings.HasSuffix(stderr, "exec\n") {
		t.Errorf("exit code %d, stderr %q, want 0 and exec", code, stderr)
	}
	wantFile(t, file, "10.0.0.2:80\n")
}
