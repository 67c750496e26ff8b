package main

import (
	"bytes"
	"fmt"
	"strings"
)

// Form is how a light peer subscribes.
type Form string

// These are the two forms of a subscription.
const (
	inChanges Form = "in changes"
	inLists   Form = "in plain lists"
)

// separator separates the names in a list.
const separator = '|'

// value returns what a light peer knows of a list that it does not keep: the
// sum for a subscription in changes, and the length for one in plain lists.
func (f Form) value(names ...string) uint64 {
	list := strings.Join(names, string(separator))
	if f == inLists {
		return uint64(len(list))
	}
	return sumOf([]byte(list))
}

// These are the constants of the 64-bit FNV-1a hash.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// mix is the finalizer of MurmurHash3, of 64 bits.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// sumOf returns the sum of a list, which is the sum of the mixed hashes of its
// names. The empty list has 0.
func sumOf(list []byte) (sum uint64) {
	for name := range bytes.FieldsFuncSeq(list, func(r rune) bool { return r == separator }) {
		hash := uint64(fnvOffset)
		for _, b := range name {
			hash = (hash ^ uint64(b)) * fnvPrime
		}
		sum += mix(hash)
	}
	return sum
}

// netSum returns what the names of a CHANGE add to a sum. The names are those
// removed, a zero byte, and those added.
func netSum(names []byte) (uint64, error) {
	removed, added, found := bytes.Cut(names, []byte{0})
	if !found {
		return 0, fmt.Errorf("a change without a zero byte: %q", names)
	}
	return sumOf(added) - sumOf(removed), nil
}
