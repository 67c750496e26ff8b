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

// variable is set in the environment of a child.
const variable = "GOPHERDISCOVERY_CHILD"

// Context returns ctx, or in a child a context that ends with stdin. The stdin
// of a child is a pipe to which nothing is ever written. It ends when the
// parent closes it or is gone, for whatever reason.
func Context(ctx context.Context) context.Context {
	if os.Getenv(variable) == "" {
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

// Process is a running child. Its methods must not be called concurrently.
type Process struct {
	URL string // the first line on its stdout

	cmd    *exec.Cmd
	cancel context.CancelFunc // closes its stdin
	stdout *bufio.Scanner
}

// Start starts this program with other arguments, and returns when it has
// printed its URL. The child shares the stderr of this process. When ctx ends
// the child is told to end.
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
	if p.URL, err = p.Line(); err != nil {
		return nil, errors.Join(fmt.Errorf("%q has not started: %w", args, err), p.Leave())
	}
	return p, nil
}

// Line returns the next line of the child's stdout, or io.EOF when the child
// has ended.
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
	// Any other error says that the child was cancelled.
	if err := p.cmd.Wait(); errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", strings.Join(p.cmd.Args, " "), err)
	}
	return nil
}

// Kill ends the child with SIGKILL, which gives it no time for anything. Leave
// must not be called afterwards.
func (p *Process) Kill() error {
	defer p.cancel()
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.URL, err)
	}
	_ = p.cmd.Wait() // reports the kill
	return nil
}

// All is a group of children that end together.
type All []*Process

// Start is like the function Start.
func (a *All) Start(ctx context.Context, args ...string) (*Process, error) {
	p, err := Start(ctx, args...)
	if err == nil {
		*a = append(*a, p)
	}
	return p, err
}

// Take removes a child from the group, so that it can be ended on its own.
func (a *All) Take(p *Process) *Process {
	*a = slices.DeleteFunc(*a, func(q *Process) bool { return p == q })
	return p
}

// Leave tells all children to end, and returns when they are gone.
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
