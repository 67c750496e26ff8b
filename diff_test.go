package gopherdiscovery_test

import (
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery"
)

func TestDiff(t *testing.T) {
	for _, test := range []struct{ before, after, joined, left string }{
		{"", "", "", ""},
		{"", "a b", "a b", ""},
		{"a b", "", "", "a b"},
		{"a b c", "b c d", "d", "a"},
		{"c b a", "d c b b", "d", "a"},
		{"a a", "a", "", ""},
	} {
		before, after := strings.Fields(test.before), strings.Fields(test.after)
		joined, left := gopherdiscovery.Diff(before, after)
		if strings.Join(joined, " ") != test.joined || strings.Join(left, " ") != test.left {
			t.Errorf("from %q to %q: got joined %q, left %q", test.before, test.after, joined, left)
		}
		if strings.Join(before, " ") != test.before || strings.Join(after, " ") != test.after {
			t.Errorf("Diff changed its arguments to %q and %q", before, after)
		}
	}
}
