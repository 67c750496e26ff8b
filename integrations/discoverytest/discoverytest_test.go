package discoverytest_test

import (
	"slices"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/discoverytest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Main(m, "dahernan/gopherdiscovery", "go.nanomsg.org/mangos/", "google.golang.org/grpc")
}

// The first list that a subscriber gets is that of the cluster, complete.
func TestReadyWhenItReturns(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{}, {"a"}, {"a", "b", "c"}} {
		for range 10 {
			cluster := discoverytest.Start(t, names...)
			sub, err := gopherdiscovery.NewSubscriber(t.Context(), cluster.PubSub)
			if err != nil {
				t.Fatal(err)
			}
			if got := <-sub.Changes(); !slices.Equal(got, names) || !sub.Servers()[0].Complete {
				t.Errorf("the first list is %q of %+v, want %q, complete", got, sub.Servers(), names)
			}
			_ = sub.Close()
		}
	}
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	cluster := discoverytest.Start(t, "a", "b", "c")
	want := func(names ...string) {
		t.Helper()
		sub, err := gopherdiscovery.NewSubscriber(t.Context(), cluster.PubSub)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		if got := <-sub.Changes(); !slices.Equal(got, names) {
			t.Errorf("the list is %q, want %q", got, names)
		}
	}
	cluster.Leave("b", "c")
	want("a")
	cluster.Join("c", "d")
	want("a", "c", "d")
	cluster.Leave("a", "c", "d")
	want()
	cluster.Join("a")
	want("a")
}
