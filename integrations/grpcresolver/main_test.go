package grpcresolver_test

import (
	"os"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestMain(m *testing.M) {
	// Nobody listens there. It is read once in a process.
	if err := os.Setenv("HTTPS_PROXY", "http://127.0.0.1:1"); err != nil {
		panic(err)
	}
	testmain.Main(m, "dahernan/gopherdiscovery", "go.nanomsg.org/mangos/", "google.golang.org/grpc")
}
