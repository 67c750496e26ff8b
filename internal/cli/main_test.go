package cli_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, func() { cli.Main("program", program) }) }

// program is as little of a program as there can be: it runs until its context
// ends, and writes to stdout and stderr before and after.
func program(ctx context.Context, args []string) error {
	flags := cli.NewFlags("program", "Program is for tests.")
	daemon := flags.Bool("daemon", false, "be a daemon")
	exit := flags.Int("exit", 0, "end with this `code` at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *exit != 0 {
		return fmt.Errorf("the other program: %w", cli.Exit(*exit))
	}
	if *daemon {
		flags.Daemon()
	}
	logger := flags.Logger()
	logger.Info("running")
	<-ctx.Done()
	fmt.Fprintln(os.Stdout, "bye")
	logger.Info("ended")
	return nil
}

func TestExit(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t, "-exit", "7").Wait()
	if code != 7 || stdout != "" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 7 and nothing", code, stdout, stderr)
	}
}
