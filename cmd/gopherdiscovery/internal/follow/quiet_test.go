package follow_test

import (
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/follow"
)

func TestQuietSet(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]follow.Quiet{
		"500ms:5s": {For: 500 * time.Millisecond, AtMost: 5 * time.Second},
		"2s":       {For: 2 * time.Second, AtMost: 8 * time.Second},
		"1s:1s":    {For: time.Second, AtMost: time.Second},
		"0":        {},
		"0s:0s":    {},
	} {
		var got, again follow.Quiet
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q is %+v, error %v, want %+v", text, got, err, want)
		}
		if err := again.Set(got.String()); err != nil || again != want {
			t.Errorf("%q, which %q prints, is %+v, error %v, want %+v", got.String(), text, again, err, want)
		}
	}
	for _, text := range []string{"", "1", "soon", "1s:", ":1s", "2s:1s", "-1s", "-1s:1s", "1s:2s:3s"} {
		got := follow.Quiet{For: 1, AtMost: 2}
		if err := got.Set(text); err == nil || got != (follow.Quiet{For: 1, AtMost: 2}) {
			t.Errorf("%q is %+v, error %v, want an error and no change", text, got, err)
		}
	}
}
