package gopherdiscovery_test

import (
	"os"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// patience is how long a test waits for something that must happen.
const patience = testmain.Patience

// children are the programs that the test binary can be instead of running
// tests, by the environment variable that selects each.
var children = make(map[string]func())

func TestMain(m *testing.M) {
	for variable, run := range children {
		if os.Getenv(variable) != "" {
			run()
			return
		}
	}
	testmain.Main(m, ours...)
}

// ours are in the stacks of goroutines of the library and of mangos.
var ours = []string{"dahernan/gopherdiscovery.", "dahernan/gopherdiscovery/internal/sp.", "go.nanomsg.org/mangos/"}

func leftGoroutines() string { return testmain.LeftGoroutines(ours...) }
