package web

import (
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	type note struct {
		at     time.Duration
		peers  int
		begins bool
	}
	for name, test := range map[string]struct {
		notes []note
		want  past
	}{
		"one":    {[]note{{0, 0, false}}, past{0, 0, "M59 98V98V98V98h1"}},
		"steady": {[]note{{0, 4, false}, {59 * time.Second, 4, false}, {time.Minute, 4, true}}, past{4, 4, "M58 2V2V2V2h1V2V2V2h1"}},
		"a short dip": {
			[]note{{0, 4, false}, {time.Second, 1, false}, {2 * time.Second, 4, false}, {2 * time.Minute, 4, true}},
			past{1, 4, "M57 74V74V2V2h1V2V2V2h1V2V2V2h1"},
		},
		"what is long ago": {[]note{{0, 100, false}, {time.Second, 2, false}, {2 * time.Hour, 2, true}}, past{2, 2, "M0 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h history
			for _, n := range test.notes {
				if got := h.note(n.peers, start.Add(n.at)); got != n.begins {
					t.Errorf("after %v: %t, want %t", n.at, got, n.begins)
				}
			}
			got := h.past()
			if len(h.slots) == historySlots {
				got.Path = got.Path[:len(test.want.Path)]
			}
			if got != test.want || len(h.slots) > historySlots || cap(h.slots) > 4*historySlots {
				t.Errorf("%+v of %d slots, room for %d, want %+v", got, len(h.slots), cap(h.slots), test.want)
			}
		})
	}
}
