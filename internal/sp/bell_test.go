package sp

import (
	"testing"
	"testing/synctest"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// A bell that no one listens to rings once, and blocks no one.
func TestBell(t *testing.T) {
	// In a bubble, a ring that blocks is a deadlock, which is reported.
	synctest.Test(t, func(t *testing.T) {
		b := NewBell()
		for range 3 {
			b.Ring()
		}
		if !sptest.Rang(b) {
			t.Error("the bell has not rung")
		}
		if sptest.Rang(b) {
			t.Error("the bell has rung twice")
		}
	})
}
