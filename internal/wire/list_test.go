package wire

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var fewNames = strings.Fields("0 1 2 3 4 5 6 7")

// someOf returns some of the names, in order.
func someOf(rng *rand.Rand, names []string) []string {
	some := []string{}
	for _, name := range names {
		if rng.IntN(2) == 0 {
			some = append(some, name)
		}
	}
	return some
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool)
	for _, name := range names {
		set[name] = true
	}
	return set
}

// Compare and Edit agree with set operations, and undo each other.
func TestCompareAndEdit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		before, after := someOf(rng, fewNames), someOf(rng, fewNames)
		kept := slices.Clone(before)
		gone, come := setOf(before), setOf(after)
		for _, name := range before {
			if come[name] {
				delete(gone, name)
				delete(come, name)
			}
		}
		removed, added := Compare(before, after)
		if !slices.Equal(removed, slices.Sorted(maps.Keys(gone))) || !slices.Equal(added, slices.Sorted(maps.Keys(come))) {
			t.Fatalf("from %q to %q: removed %q, added %q", before, after, removed, added)
		}
		got, ok := Edit(before, removed, added)
		if !ok || got == nil || !slices.Equal(got, after) {
			t.Fatalf("from %q to %q: edited to %q, %t", before, after, got, ok)
		}
		clear(got[:cap(got)])
		if !slices.Equal(before, kept) {
			t.Fatalf("the edited list shares memory with the one before, %q", kept)
		}
	}
}

// edit accepts edits that fit the list, and no others.
func TestEditChecks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const edits = 20000
	accepted := 0
	for range edits {
		list := someOf(rng, fewNames)
		removed, added := someOf(rng, fewNames[:rng.IntN(8)]), someOf(rng, fewNames[rng.IntN(8):])
		if rng.IntN(2) == 0 {
			removed = someOf(rng, list)
		}
		set, fits := setOf(list), true
		for _, name := range removed {
			fits = fits && set[name]
			delete(set, name)
		}
		had := setOf(list)
		for _, name := range added {
			fits = fits && !had[name]
			set[name] = true
		}
		got, ok := Edit(list, removed, added)
		if ok != fits || ok && !slices.Equal(got, slices.Sorted(maps.Keys(set))) {
			t.Fatalf("%q without %q, with %q: got %q, %t, want %t", list, removed, added, got, ok, fits)
		}
		if ok {
			accepted++
		}
	}
	if accepted < edits/20 || accepted > edits/2 {
		t.Errorf("%d of %d edits fit their list, want some of each", accepted, edits)
	}
}
