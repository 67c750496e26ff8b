package cli_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
	"github.com/dahernan/gopherdiscovery/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, func() { cli.Main("program", program) }) }

// program is as little of a program as there can be: it runs until its context
// ends, and writes to stdout and stderr before and after.
func program(ctx context.Context, args []string) error {
	flags := cli.NewFlags("program", "Program is for tests.")
	daemon := flags.Bool("daemon", false, "be a daemon")
	if err := flags.Parse(args); err != nil {
		return err
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
