package gopherdiscovery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// A subscriber that does not read for a while costs nothing that grows with the
// number of changes. Then it is sent their net difference.
func TestSlowSubscriberIsSentTheDifference(t *testing.T) {
	const most = 1200 // bytes: what was on its way, and one message
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.client("a", 0)
		changes, plain := w.subscriber("changes", 0), w.plainSubscriber("plain", 0)
		time.Sleep(3 * time.Second)
		w.Freeze("lists0")
		for i := range 100 {
			c := w.client(fmt.Sprintf("%s%d", strings.Repeat("x", 50), i), 0)
			time.Sleep(20 * time.Millisecond)
			c.Close()
		}
		w.client("b", 0)
		time.Sleep(20 * time.Millisecond)
		w.Thaw("lists0")
		synctest.Wait()
		for _, name := range []string{"changes", "plain"} {
			if _, size := w.lastTo(name, 0); size > most {
				t.Errorf("%s: got %d bytes, want at most %d", name, size, most)
			}
		}
		want := []string{"a", "b"}
		if got := changes.List(); !slices.Equal(got, want) {
			t.Errorf("in changes: got the list %v, want %v", got, want)
		}
		if got := plain.List(); !slices.Equal(got, want) {
			t.Errorf("plain: got the list %v, want %v", got, want)
		}
	})
}
