package main

// This file has the parts that a program needs besides its purpose: to begin
// and to end, to have a name and to serve HTTP, and for a demonstration to
// start others of its kind. The samples groupcache and loadbalancer have the
// same file, so that a copy of either needs nothing else.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// runProgram runs a program with its arguments, and exits. The context ends
// with SIGINT or SIGTERM, and in a child with its stdin; a second signal ends a
// program that hangs.
func runProgram(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(childContext(ctx), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// newLogger returns a logger to stderr.
func newLogger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// listen binds the address that a flag gives.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-%s %s: %w", flag, address, err)
	}
	return listener, nil
}

// nameOf returns the name to announce: the value of -name, or else the URL of
// the address on which the program listens.
func nameOf(given string, listening net.Addr) (string, error) {
	if given != "" {
		return given, nil
	}
	if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return "", fmt.Errorf("-http %s names no host by which the others reach this one: it needs a -name", listening)
	}
	return urlOf(listening), nil
}

// urlOf returns a URL in which the % before an IPv6 zone is written as %25.
func urlOf(listening net.Addr) string {
	return (&url.URL{Scheme: "http", Host: listening.String()}).String()
}

// serve serves HTTP until ctx ends. The requests that are under way then have 5
// seconds to finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // more than that of clients
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(graceful) != nil {
		return server.Close() // what has not finished by now is cut off
	}
	return nil
}

// childVariable is set in the environment of a child.
const childVariable = "GOPHERDISCOVERY_CHILD"

// childContext returns ctx, or in a child a context that ends with stdin. The
// stdin of a child is a pipe to which nothing is ever written. It ends when the
// parent closes it or is gone, for whatever reason.
func childContext(ctx context.Context) context.Context {
	if os.Getenv(childVariable) == "" {
		return ctx
	}
	// Ctrl-C in a terminal also reaches the children. They leave it to the
	// parent, which ends them.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx
}

// process is a running child. Its methods must not be called concurrently.
type process struct {
	url string // the first line on its stdout

	cmd    *exec.Cmd
	cancel context.CancelFunc // closes its stdin
	stdout *bufio.Scanner
}

// startProcess starts this program with other arguments, and returns when it
// has printed its URL. The child shares the stderr of this process. When ctx
// ends the child is told to end.
func startProcess(ctx context.Context, args ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := new(process)
	ctx, p.cancel = context.WithCancel(ctx)
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Env = append(os.Environ(), childVariable+"=1")
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.cancel()
		return nil, err
	}
	p.cmd.Cancel = stdin.Close
	p.cmd.WaitDelay = 15 * time.Second // then the child is killed
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.cancel()
		return nil, err
	}
	p.stdout = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		p.cancel()
		return nil, err
	}
	if p.url, err = p.line(); err != nil {
		return nil, errors.Join(fmt.Errorf("%q has not started: %w", args, err), p.leave())
	}
	return p, nil
}

// line returns the next line of the child's stdout, or io.EOF when the child
// has ended.
func (p *process) line() (string, error) {
	if !p.stdout.Scan() {
		if err := p.stdout.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	return p.stdout.Text(), nil
}

// leave tells the child to end, and returns when it is gone.
func (p *process) leave() error {
	p.cancel()
	for p.stdout.Scan() { // a full pipe would hold it up
	}
	var failed *exec.ExitError
	// Any other error says that the child was cancelled.
	if err := p.cmd.Wait(); errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", strings.Join(p.cmd.Args, " "), err)
	}
	return nil
}

// kill ends the child with SIGKILL, which gives it no time for anything. leave
// must not be called afterwards.
func (p *process) kill() error {
	defer p.cancel()
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.url, err)
	}
	_ = p.cmd.Wait() // reports the kill
	return nil
}

// processes are children that end together.
type processes []*process

// start is like startProcess.
func (a *processes) start(ctx context.Context, args ...string) (*process, error) {
	p, err := startProcess(ctx, args...)
	if err == nil {
		*a = append(*a, p)
	}
	return p, err
}

// take removes a child from the group, so that it can be ended on its own.
func (a *processes) take(p *process) *process {
	*a = slices.DeleteFunc(*a, func(q *process) bool { return p == q })
	return p
}

// leave tells all children to end, and returns when they are gone.
func (a *processes) leave() error {
	for _, p := range *a {
		p.cancel()
	}
	var errs []error
	for _, p := range *a {
		errs = append(errs, p.leave())
	}
	*a = nil
	return errors.Join(errs...)
}
