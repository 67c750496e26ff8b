package sp

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestMain(m *testing.M) { testmain.Main(m) }
