package discoverytest_test

import (
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/discoverytest"
)

// The test of the documents. The subscriber stands for what a test is about.
func TestPeers(t *testing.T) {
	cluster := discoverytest.Start(t, "http://10.0.0.2:8080", "http://10.0.0.3:8080")
	sub, err := gopherdiscovery.NewSubscriber(t.Context(), cluster.PubSub)
	if err != nil {
		t.Fatal(err)
	}
	if list := <-sub.Changes(); len(list) != 2 {
		t.Errorf("the peers are %q, want two", list)
	}
	cluster.Leave("http://10.0.0.2:8080")
	if list := <-sub.Changes(); len(list) != 1 {
		t.Errorf("the peers are %q after a leave, want one", list)
	}
}
