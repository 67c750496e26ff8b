package gopherdiscovery

import (
	"slices"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// Diff compares two lists. It returns the names that are only in after as
// joined, and the names that are only in before as left. Both results are
// sorted and without duplicates, and nil if they are empty. The arguments may
// be unsorted and may contain duplicates. They are not modified. A nil list is
// an empty one.
func Diff(before, after []string) (joined, left []string) {
	left, joined = wire.Compare(sorted(before), sorted(after))
	return joined, left
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
