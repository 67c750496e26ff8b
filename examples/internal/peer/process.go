package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// This variable is set in the environment of a child.
const variable = "GOPHERDISCOVERY_CHILD"

// Context returns ctx, or in a child one that ends with stdin. Nothing is ever written to the stdin of a child, a pipe: it ends
// when the parent closes it, and also when the parent is gone, however it went.
func Context(ctx context.Context) context.Context {
	if os.Getenv(variable) == "" {
		return ctx
	}
	// Ctrl-C in a terminal reaches the children too. It is for the parent, which ends them.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx
}

// Process is a child that is running. Its methods are for one goroutine at a time.
type Process struct {
	URL string // the first line on its stdout

	cmd    *exec.Cmd
	cancel context.CancelFunc // closes its stdin
	stdout *bufio.Scanner
}

// Start starts this same program with other arguments, and returns when it has printed its URL. The child shares our stderr.
// At the end of ctx it is told to end.
func Start(ctx context.Context, args ...string) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := new(Process)
	ctx, p.cancel = context.WithCancel(ctx)
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Env = append(os.Environ(), variable+"=1")
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.cancel()
		return nil, err
	}
	p.cmd.Cancel = stdin.Close
	p.cmd.WaitDelay = 15 * time.Second // then it is killed
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
	if p.URL, err = p.Line(); err != nil {
		return nil, errors.Join(fmt.Errorf("%q has not started: %w", args, err), p.Leave())
	}
	return p, nil
}

// Line returns the next line of its stdout, and io.EOF when it has ended.
func (p *Process) Line() (string, error) {
	if !p.stdout.Scan() {
		if err := p.stdout.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	return p.stdout.Text(), nil
}

// Leave tells the child to end, and returns when it is gone.
func (p *Process) Leave() error {
	p.cancel()
	for p.stdout.Scan() { // a full pipe would hold it up
	}
	var failed *exec.ExitError
	if err := p.cmd.Wait(); errors.As(err, &failed) { // any other error says that it was cancelled
		return fmt.Errorf("%s: %w", strings.Join(p.cmd.Args, " "), err)
	}
	return nil
}

// Kill leaves the child no time for anything, as SIGKILL does. After it Leave must not be called.
func (p *Process) Kill() error {
	defer p.cancel()
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.URL, err)
	}
	_ = p.cmd.Wait() // tells that it was killed
	return nil
}

// All are children that end together.
type All []*Process

// Start is like the function Start.
func (a *All) Start(ctx context.Context, args ...string) (*Process, error) {
	p, err := Start(ctx, args...)
	if err == nil {
		*a = append(*a, p)
	}
	return p, err
}

// Take removes a child that is to leave or to be killed by itself.
func (a *All) Take(p *Process) *Process {
	*a = slices.DeleteFunc(*a, func(q *Process) bool { return p == q })
	return p
}

// Leave tells all to end, and returns when they are gone.
func (a *All) Leave() error {
	for _, p := range *a {
		p.cancel()
	}
	var errs []error
	for _, p := range *a {
		errs = append(errs, p.Leave())
	}
	*a = nil
	return errors.Join(errs...)
}
