package grpcresolver_test

import (
	"os"
	"testing"

	"github.com/dahernan/gopherdiscovery/integrations/internal/leak"
)

func TestMain(m *testing.M) {
	// Nobody listens there. It is read once in a process.
	if err := os.Setenv("HTTPS_PROXY", "http://127.0.0.1:1"); err != nil {
		panic(err)
	}
	leak.Main(m)
}
