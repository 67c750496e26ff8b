package wire

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Compare returns the names that are only in before, and those that are only
// in after. All lists are sorted and without duplicates. The results may share
// memory with the arguments.
func Compare(before, after []string) (removed, added []string) {
	if len(before) == 0 {
		return nil, after[:len(after):len(after)]
	}
	for len(before) > 0 && len(after) > 0 {
		switch {
		case before[0] == after[0]:
			before, after = before[1:], after[1:]
		case before[0] < after[0]:
			removed, before = append(removed, before[0]), before[1:]
		default:
			added, after = append(added, after[0]), after[1:]
		}
	}
	return append(removed, before...), append(added, after...)
}

// Edit returns a copy of list without the names in removed and with those in
// added. All lists are sorted and without duplicates. It returns false if a
// name to remove is absent, a name to add is present, or a name is both removed
// and added.
func Edit(list, removed, added []string) (edited []string, ok bool) {
	edited = make([]string, 0, max(len(list)-len(removed), 0)+len(added))
	for len(removed)+len(added) > 0 {
		remove := len(added) == 0 || len(removed) > 0 && removed[0] <= added[0]
		next := &added
		if remove {
			next = &removed
		}
		if len(removed) > 0 && len(added) > 0 && removed[0] == added[0] {
			return nil, false
		}
		name := (*next)[0]
		*next = (*next)[1:]
		at, found := slices.BinarySearch(list, name)
		if found != remove {
			return nil, false
		}
		edited = append(edited, list[:at]...)
		list = list[at:]
		if remove {
			list = list[1:]
		} else {
			edited = append(edited, name)
		}
	}
	return append(edited, list...), true
}

// wireSize returns the size of names in a list, in bytes, each with a
// separator.
func wireSize(names []string) int {
	size := len(separator) * len(names)
	for _, name := range names {
		size += len(name)
	}
	return size
}

// countNames returns the largest number of names that an encoded list can have.
func countNames(joined string) int {
	if joined == "" {
		return 0
	}
	return strings.Count(joined, separator) + 1
}

func encodeList(names []string) []byte {
	return []byte(strings.Join(names, separator))
}

// DecodeList returns the valid names of a list, sorted and without duplicates,
// and the number of names left out as invalid. The names share one string, and
// no memory with body.
func DecodeList(body []byte) (names []string, invalid int) {
	if len(body) == 0 {
		return []string{}, 0
	}
	list := string(body)
	// In a clean list only the length of a name can be wrong.
	clean := utf8.ValidString(list) && !hasControl(list)
	// There may be far fewer valid names than separators.
	names = make([]string, 0, min(countNames(list), maxPreallocatedNames))
	for name := range strings.SplitSeq(list, separator) {
		if (clean && name != "" && len(name) <= MaxServiceLen) || CheckName(name) == nil {
			names = append(names, name)
		} else {
			invalid++
		}
	}
	slices.Sort(names)
	return slices.Compact(names), invalid
}
