package web

import (
	"testing"
	"time"
)

func TestAcceptHealth(t *testing.T) {
	t.Parallel()
	type look struct {
		at     time.Duration
		errors uint64
		want   bool
	}
	for _, test := range []struct {
		name  string
		looks []look
	}{
		{"never", []look{{0, 0, false}, {time.Hour, 0, false}}},
		{"from the start", []look{{0, 1, true}, {9 * time.Second, 1, true}, {10 * time.Second, 1, false}}},
		{"once", []look{
			{0, 0, false}, {5 * time.Second, 3, true}, {14*time.Second + 999*time.Millisecond, 3, true}, {15 * time.Second, 3, false}, {time.Hour, 3, false},
		}},
		{"still rising", []look{{0, 1, true}, {8 * time.Second, 2, true}, {16 * time.Second, 3, true}, {25 * time.Second, 3, true}, {26 * time.Second, 3, false}}},
		{"again", []look{{0, 1, true}, {time.Minute, 1, false}, {2 * time.Minute, 2, true}, {3 * time.Minute, 2, false}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var h acceptHealth
			start := time.Now()
			for _, look := range test.looks {
				if got := h.check(look.errors, start.Add(look.at)); got != look.want {
					t.Errorf("after %v, with %d errors: failing %t, want %t", look.at, look.errors, got, look.want)
				}
			}
		})
	}
}
