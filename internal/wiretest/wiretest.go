// Package wiretest encodes and describes messages of a subscription in tests,
// by hand and without package wire.
package wiretest

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
)

// nameLength is that of the names that Names returns. They are so long that a
// change is shorter than a list.
const nameLength = 40

// Names returns a long name for each letter. Letters are separated by spaces.
func Names(letters string) []string {
	names := []string{}
	for _, letter := range strings.Fields(letters) {
		names = append(names, strings.Repeat(letter, nameLength))
	}
	return names
}

// Sum returns the sum of a list.
func Sum(names ...string) (sum uint64) {
	for _, name := range names {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(name))
		sum += mix(hash.Sum64())
	}
	return sum
}

func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// List returns a message LIST.
func List(complete bool, names ...string) []byte {
	return append(message(3, complete), strings.Join(names, "|")...)
}

// Change returns a message CHANGE for the list before.
func Change(complete bool, before, removed, added []string) []byte {
	m := binary.BigEndian.AppendUint64(message(4, complete), Sum(before...))
	m = binary.BigEndian.AppendUint64(m, Sum(before...)-Sum(removed...)+Sum(added...))
	return append(m, strings.Join(removed, "|")+"\x00"+strings.Join(added, "|")...)
}

// Beat returns a message BEAT for a list.
func Beat(complete bool, names ...string) []byte {
	return binary.BigEndian.AppendUint64(message(5, complete), Sum(names...))
}

func message(kind byte, complete bool) []byte {
	if complete {
		return []byte{kind, 1}
	}
	return []byte{kind, 0}
}

// Told describes a message about the names of [Names] by their letters, with an
// exclamation mark if the list is complete. Plain says that it is a whole list
// and nothing else.
func Told(t *testing.T, message []byte, plain bool) string {
	t.Helper()
	switch {
	case message == nil:
		return "nothing"
	case plain:
		return "plain" + letters(" ", string(message))
	case slices.Equal(message, []byte{0x80}):
		return "wait"
	case len(message) < 2 || message[0] < 3 || message[0] > 5 || message[1] > 3:
		t.Fatalf("% x is no message", message)
	}
	what := map[byte]string{3: "list", 4: "change", 5: "beat"}[message[0]]
	if message[1]&2 != 0 {
		what = "held"
	}
	if message[1]&1 != 0 {
		what += "!"
	}
	switch rest := string(message[2:]); message[0] {
	case 3:
		return what + letters(" ", rest)
	case 4:
		removed, added, _ := strings.Cut(rest[16:], "\x00")
		return what + letters(" -", removed) + letters(" +", added)
	}
	return what
}

// letters returns the first letters of the names of a list, each behind a
// prefix.
func letters(prefix, joined string) (all string) {
	if joined == "" {
		return ""
	}
	for name := range strings.SplitSeq(joined, "|") {
		all += prefix + name[:1]
	}
	return all
}
