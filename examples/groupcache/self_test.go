package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/golang/groupcache/consistenthash"
)

func TestWithSelf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ list, want []string }{
		{nil, []string{"m"}},
		{[]string{}, []string{"m"}},
		{[]string{"m"}, []string{"m"}},
		{[]string{"a", "b"}, []string{"a", "b", "m"}},
		{[]string{"x", "y"}, []string{"m", "x", "y"}},
		{[]string{"a", "x"}, []string{"a", "m", "x"}},
		{[]string{"a", "m", "x"}, []string{"a", "m", "x"}},
	} {
		if got := withSelf(slices.Clone(test.list), "m"); !slices.Equal(got, test.want) {
			t.Errorf("withSelf(%q, m) = %q, want %q", test.list, got, test.want)
		}
	}
}

// However the lists of caches differ, a request ends at a cache that loads the
// value.
func TestNoCircles(t *testing.T) {
	t.Parallel()
	const caches, rounds, keys = 10, 50, 50
	for range rounds {
		rings := make(map[string]*consistenthash.Map)
		for n := range caches {
			self := fmt.Sprintf("http://10.0.0.%d:20008", n)
			var list []string
			for m := range caches {
				if rand.IntN(3) == 0 {
					list = append(list, fmt.Sprintf("http://10.0.0.%d:20008", m))
				}
			}
			rings[self] = consistenthash.New(50, nil)
			rings[self].Add(withSelf(list, self)...)
		}
		for n := range keys {
			key := fmt.Sprintf("key-%d", n)
			for at := range rings {
				path := []string{at}
				for owner := rings[at].Get(key); owner != at; owner = rings[at].Get(key) {
					if slices.Contains(path, owner) {
						t.Fatalf("%s is asked for by %q and then by %s again", key, path, owner)
					}
					at, path = owner, append(path, owner)
				}
			}
		}
	}
}
