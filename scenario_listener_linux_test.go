package gopherdiscovery_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	// asPoorServer makes the test binary a server that may have few
	// descriptors.
	asPoorServer = "GOPHERDISCOVERY_POOR_SERVER"
	descriptors  = 64
)

func init() { children[asPoorServer] = serveWithFewDescriptors }

// serveWithFewDescriptors runs a server until stdin ends. It prints the
// server's URLs, and the number of accept errors whenever it reads a line.
func serveWithFewDescriptors() {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: descriptors, Max: descriptors}); err != nil {
		panic(err)
	}
	opt := quickOptions
	opt.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	server, err := gopherdiscovery.Server(anyPort, anyPort, opt)
	if err != nil {
		panic(err)
	}
	defer server.Close()
	fmt.Println(server.URLs())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(server.Stats().AcceptErrors)
	}
}

// A server without a free descriptor closes connections that have sent nothing,
// on either of its URLs, and logs once what is wrong.
func TestOutOfDescriptors(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asPoorServer+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	out := bufio.NewReader(stdout)
	var survey, pubsub string
	if _, err := fmt.Fscanln(out, &survey, &pubsub); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		c, err := net.Dial("tcp", strings.TrimPrefix(pubsub, "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	start := time.Now()
	client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "good")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	peers, _ := client.Peers()
	await(t, peers, "good")
	if took := time.Since(start); took > usualTime {
		t.Errorf("the client was listed after %v, want at most %v", took, usualTime)
	}
	fmt.Fprintln(stdin)
	var acceptErrors int
	if _, err := fmt.Fscanln(out, &acceptErrors); err != nil || acceptErrors == 0 {
		t.Errorf("Stats.AcceptErrors: got %d, %v, want some", acceptErrors, err)
	}
	client.Close()
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server has ended with %v:\n%s", err, &log)
	}
	// Each of the two URLs may have run out of descriptors.
	if got := strings.Count(log.String(), "cannot accept a connection"); got < 1 || got > 2 {
		t.Errorf("logged %d times that connections cannot be accepted, want once for a URL:\n%s", got, &log)
	}
	if !strings.Contains(log.String(), syscall.EMFILE.Error()) {
		t.Errorf("the log does not say why:\n%s", &log)
	}
}

// A client takes no part in it either, even where the program asks for it.
func TestNoMultipathTCPOfClients(t *testing.T) {
	t.Setenv("GODEBUG", "multipathtcp=1")
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes part
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := (&gopherdiscovery.Dialer{Logger: slog.New(slog.DiscardHandler)}).Client(t.Context(), "tcp://"+l.Addr().String(), "one")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if multipath, err := c.(*net.TCPConn).MultipathTCP(); err != nil || multipath {
		t.Errorf("Multipath TCP: got %t, %v, want none", multipath, err)
	}
}

// The addresses of a server that has ended are free, even if a program that is
// being started still has its descriptors.
func TestAddressesAreFreeWhileProgramsStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var starters sync.WaitGroup
	defer starters.Wait()
	defer cancel()
	for range 4 {
		starters.Go(func() {
			for ctx.Err() == nil {
				_, _ = os.StartProcess("/nonexistent", nil, new(os.ProcAttr))
			}
		})
	}
	survey, pubsub := "tcp://127.0.0.1:0", "tcp://127.0.0.1:0"
	for range 500 {
		server, err := gopherdiscovery.Server(survey, pubsub, gopherdiscovery.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		survey, pubsub = server.URLs()
		server.Close()
	}
}
