package promcollector_test

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/integrations/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
