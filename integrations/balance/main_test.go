package balance_test

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Main(m, "dahernan/gopherdiscovery", "go.nanomsg.org/mangos/", "google.golang.org/grpc")
}
