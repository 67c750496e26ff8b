package run

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// grace is how long a command that has not ended in time has for its end.
const grace = 2 * time.Second

// Command is a command that is expected to end.
type Command struct {
	// Args are the program and its arguments. See [Shell] for a line of the
	// shell.
	Args []string

	// Timeout is how long the command may run. When it is over, the process
	// group of the command is ended.
	Timeout time.Duration

	// Stdin is what the command reads from its standard input.
	Stdin []byte

	// Output takes its standard output and standard error.
	Output io.Writer
}

// Run runs the command, and returns when it has ended. It returns an error
// that names the command if it cannot be started, its exit code is not 0, or
// its time was over. Run may be called again.
func (c Command) Run() error {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.Stdout, cmd.Stderr = c.Output, c.Output
	p, err := Start(cmd)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	timer := time.NewTimer(c.Timeout)
	defer timer.Stop()
	select {
	case <-p.Done():
	case <-timer.C:
		p.Stop(grace)
		return fmt.Errorf("%s: ended because it took longer than %v", c, c.Timeout)
	}
	if err := p.Wait(); err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	return nil
}

// String returns the line that was given to [Shell], or the arguments.
func (c Command) String() string {
	if last := c.Args[len(c.Args)-1]; slices.Equal(c.Args, Shell(last)) {
		return last
	}
	return strings.Join(c.Args, " ")
}
