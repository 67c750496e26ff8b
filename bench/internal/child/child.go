// Package child runs parts of a program in processes of their own. Parent and
// child speak net/rpc on the child's standard input and output.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"time"
)

// roleVariable tells a process that it is a child, and its role.
const roleVariable = "GOPHERDISCOVERY_BENCH_ROLE"

// grace is how long a child may take to end before it is killed.
const grace = 10 * time.Second

// Role returns the role of this process, or "" if it is not a child.
func Role() string { return os.Getenv(roleVariable) }

// Serve serves the exported methods of the receiver until standard input ends.
// It then ends the process, even during a call.
func Serve(receiver any) error {
	server := rpc.NewServer()
	if err := server.RegisterName(Role(), receiver); err != nil {
		return err
	}
	server.ServeConn(stdio{os.Stdin, os.Stdout})
	return nil
}

// stdio is the connection to the parent. When it ends, the process ends.
type stdio struct {
	io.Reader
	io.WriteCloser
}

func (s stdio) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil {
		os.Exit(0)
	}
	return n, nil
}

// Process is a child.
type Process struct {
	role   string
	cmd    *exec.Cmd
	client *rpc.Client
}

// Start starts this program as a child with the given role, and adds env to its
// environment.
func Start(role string, env ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return StartCommand(exec.Command(self), role, env...)
}

// StartCommand is like Start, but starts another program. The child shares the
// standard error of this process.
func StartCommand(cmd *exec.Cmd, role string, env ...string) (*Process, error) {
	cmd.Env = append(append(cmd.Environ(), env...), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = grace
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return &Process{role: role, cmd: cmd, client: rpc.NewClient(pipes{stdout, stdin})}, nil
}

// pipes is the connection to a child.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// Call calls a method of the child's receiver. It returns early when ctx ends.
func (p *Process) Call(ctx context.Context, method string, args, reply any) error {
	call := p.client.Go(p.role+"."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return fmt.Errorf("%s: %s: %w", p.role, method, call.Error)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the child and waits until it has ended.
func (p *Process) Close() error {
	err := p.client.Close()
	if errors.Is(err, rpc.ErrShutdown) {
		err = nil // the child has ended already, and Wait says why
	}
	kill := time.AfterFunc(grace, func() {
		_ = p.cmd.Process.Kill() // fails if the child has just ended
	})
	defer kill.Stop()
	if wait := p.cmd.Wait(); wait != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", p.role, wait))
	}
	return err
}
