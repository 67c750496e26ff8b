// Package examples_test tests that a copy of a sample is a program of its own.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const module = "github.com/dahernan/gopherdiscovery/examples"

// replaced is a module of the clone that takes the place of a release.
var replaced = regexp.MustCompile(`(?m)=> (\.\./\S*)`)

// copySample copies a sample into a module of its own, without its tests, and
// returns the directory. Each line of a file is changed by edit.
func copySample(t *testing.T, name string, edit *strings.Replacer) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files, err := os.ReadDir(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !file.IsDir() && !strings.HasSuffix(file.Name(), "_test.go") {
			put(t, filepath.Join(dir, file.Name()), edit.Replace(read(t, filepath.Join(name, file.Name()))))
		}
	}
	mod := strings.Replace(read(t, "go.mod"), "module "+module, "module sample.example", 1)
	mod = replaced.ReplaceAllStringFunc(mod, func(s string) string {
		path, err := filepath.Abs(strings.TrimPrefix(s, "=> "))
		if err != nil {
			t.Fatal(err)
		}
		return "=> " + path
	})
	put(t, filepath.Join(dir, "go.mod"), mod)
	put(t, filepath.Join(dir, "go.sum"), read(t, "go.sum"))
	return dir
}

// build builds the program of a directory.
func build(t *testing.T, dir string) (program string) {
	t.Helper()
	program = filepath.Join(dir, "sample.exe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return program
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCopiesAreBuilt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cluster", "groupcache", "loadbalancer"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build(t, copySample(t, name, strings.NewReplacer()))
		})
	}
}

// Copies of the smallest programs find each other, at other URLs than those in
// them, which may be taken.
func TestServerAndClient(t *testing.T) {
	t.Parallel()
	urls := strings.NewReplacer(
		"tcp://127.0.0.1:40007", "ipc://"+filepath.ToSlash(filepath.Join(t.TempDir(), "survey")),
		"tcp://127.0.0.1:50007", "ipc://"+filepath.ToSlash(filepath.Join(t.TempDir(), "pubsub")),
	)
	server, client := build(t, copySample(t, "server", urls)), build(t, copySample(t, "client", urls))
	start(t, server).await("the server is running")
	one := start(t, client, "http://10.0.0.2:8080")
	start(t, client, "http://10.0.0.3:8080")
	one.await("peers: [http://10.0.0.2:8080 http://10.0.0.3:8080]")
	start(t, server, "-h").await("usage: server")
	start(t, client, "-h").await("usage: client NAME, such as http://10.0.0.2:8080")
}

// process is a program that runs. It is killed with the test, or after a
// minute.
type process struct {
	t      *testing.T
	output *bufio.Scanner
}

func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // reports the kill
	return &process{t, bufio.NewScanner(output)}
}

// await reads until a line ends with this one.
func (p *process) await(want string) {
	p.t.Helper()
	var all bytes.Buffer
	for p.output.Scan() {
		all.WriteString(p.output.Text() + "\n")
		if strings.HasSuffix(p.output.Text(), want) {
			return
		}
	}
	p.t.Fatalf("the program has ended, and printed\n%swant %s", &all, want)
}

// Each of the two has the file, so that either can be copied.
func TestProgramsAreTheSame(t *testing.T) {
	t.Parallel()
	if read(t, "groupcache/program.go") != read(t, "loadbalancer/program.go") {
		t.Error("program.go of groupcache and of loadbalancer differ")
	}
}
