package gopherdiscovery

import "slices"

// Diff returns the names that are only in after and those that are only in before, sorted and without duplicates. The
// arguments may be in any order and are not changed; nil is an empty list.
func Diff(before, after []string) (joined, left []string) {
	before, after = sorted(before), sorted(after)
	return without(after, before), without(before, after)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// without returns what is in list but not in other; both are sorted.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool {
		_, found := slices.BinarySearch(other, name)
		return found
	})
}
