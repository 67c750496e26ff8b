package wire

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"time"
)

// Kinds of messages in a subscription in changes. The kind is the first byte of
// a message.
const (
	kindWelcome = 0x01 // server: format, beat
	kindHave    = 0x02 // subscriber: nothing, or the sum of the list it holds
	kindList    = 0x03 // server: flags, names
	kindChange  = 0x04 // server: flags, sums before and after, names
	kindBeat    = 0x05 // server: flags, sum
	kindWait    = 0x80 // server: nothing; there is no list yet
	kindIgnored = 0x80 // this and higher kinds may be ignored
)

const (
	changesFormat = 1 // the version of the format of these messages

	// Flags of LIST, CHANGE and BEAT. Only BEAT may have flagHeld.
	flagComplete = 1 << 0 // the start of the server is over
	flagHeld     = 1 << 1 // the server does not say yet which list is current
)

// Update is a message that the server sends after WELCOME.
type Update struct {
	kind     byte
	complete bool
	held     bool   // the sum is that of the subscriber's own list
	sum      uint64 // of the list after a change, or at a beat
	before   uint64 // the sum of the list that a change applies to
	names    []string
	removed  []string
	added    []string
	ignored  []byte // what follows a kind that may be ignored
}

// sumOf returns the sum modulo 2^64 of the mixed FNV-1a hashes of the names.
// Two lists that are met in practice have different sums, but a peer that may
// choose names can construct two with the same.
func sumOf(names []string) (sum uint64) {
	hash := fnv.New64a()
	var buffer [MaxServiceLen]byte
	for _, name := range names {
		hash.Reset()
		_, _ = hash.Write(append(buffer[:0], name...))
		sum += mix(hash.Sum64())
	}
	return sum
}

// mix is the finalizer of MurmurHash3. Without it, the hashes of names that
// differ only in a digit or two often add up to the same sum.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// BeatFor returns the beat of a server that polls its clients every pollTime.
func BeatFor(pollTime time.Duration) time.Duration { return min(max(pollTime, MinBeat), MaxBeat) }

// EncodeWelcome returns WELCOME, which announces the beat of a server.
func EncodeWelcome(beat time.Duration) []byte {
	ms := min(max(beat.Milliseconds(), 1), math.MaxUint32)
	return binary.BigEndian.AppendUint32([]byte{kindWelcome, changesFormat}, uint32(ms))
}

// DecodeWelcome returns the beat in WELCOME, which is never zero.
func DecodeWelcome(body []byte) (beat time.Duration, err error) {
	if len(body) != 6 || body[0] != kindWelcome || body[1] != changesFormat {
		return 0, ErrMalformed
	}
	beat = time.Duration(binary.BigEndian.Uint32(body[2:])) * time.Millisecond
	if beat == 0 {
		return 0, ErrMalformed
	}
	return beat, nil
}

// EncodeHave returns HAVE with the sum of the list that the subscriber holds.
// The sum is nil if it holds none.
func EncodeHave(sum *uint64) []byte {
	if sum == nil {
		return []byte{kindHave}
	}
	return binary.BigEndian.AppendUint64([]byte{kindHave}, *sum)
}

// DecodeHave returns the sum in HAVE, or nil if it has none.
func DecodeHave(body []byte) (sum *uint64, err error) {
	switch {
	case len(body) == 0 || body[0] != kindHave:
		return nil, ErrMalformed
	case len(body) == 1:
		return nil, nil
	case len(body) != 9:
		return nil, ErrMalformed
	}
	n := binary.BigEndian.Uint64(body[1:])
	return &n, nil
}

func (u *Update) flags() (flags byte) {
	if u.complete {
		flags |= flagComplete
	}
	if u.held {
		flags |= flagHeld
	}
	return flags
}

func (u *Update) encode() []byte {
	if u.kind >= kindIgnored {
		return append([]byte{u.kind}, u.ignored...)
	}
	message := []byte{u.kind, u.flags()}
	switch u.kind {
	case kindList:
		message = append(message, encodeList(u.names)...)
	case kindChange:
		message = binary.BigEndian.AppendUint64(message, u.before)
		message = binary.BigEndian.AppendUint64(message, u.sum)
		message = append(message, encodeList(u.removed)...)
		message = append(message, 0)
		message = append(message, encodeList(u.added)...)
	case kindBeat:
		message = binary.BigEndian.AppendUint64(message, u.sum)
	}
	return message
}

// DecodeUpdate returns the update in a message. The update shares no memory
// with it, except for what is ignored.
func DecodeUpdate(body []byte) (*Update, error) {
	switch {
	case len(body) > 0 && body[0] >= kindIgnored:
		return &Update{kind: body[0], ignored: body[1:]}, nil
	case len(body) < 2 || body[1]&^(flagComplete|flagHeld) != 0:
		return nil, ErrMalformed
	}
	u := &Update{kind: body[0], complete: body[1]&flagComplete != 0, held: body[1]&flagHeld != 0}
	rest := body[2:]
	var err error
	switch {
	case u.held && u.kind != kindBeat:
		return nil, ErrMalformed
	case u.kind == kindList:
		u.names, err = decodeNames(string(rest))
	case u.kind == kindBeat && len(rest) == 8:
		u.sum = binary.BigEndian.Uint64(rest)
	case u.kind == kindChange && len(rest) > 16:
		u.before, u.sum = binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])
		removed, added, found := strings.Cut(string(rest[16:]), "\x00")
		if !found {
			return nil, ErrMalformed
		}
		if u.removed, err = decodeNames(removed); err == nil {
			u.added, err = decodeNames(added)
		}
		for i, name := range u.added {
			// The name may stay on the list when all others have gone. It must
			// not keep the whole message in memory.
			u.added[i] = strings.Clone(name)
		}
	default:
		return nil, ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// decodeNames returns an error unless all names are valid and ascending.
func decodeNames(joined string) ([]string, error) {
	names := make([]string, 0, min(countNames(joined), maxPreallocatedNames))
	for at := ""; joined != ""; {
		name, rest, more := strings.Cut(joined, separator)
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%w: name %.100q: %w", ErrMalformed, name, err)
		}
		if name <= at {
			return nil, fmt.Errorf("%w: name %.100q out of order", ErrMalformed, name)
		}
		if more && rest == "" {
			return nil, ErrMalformed
		}
		names = append(names, name)
		at, joined = name, rest
	}
	return names, nil
}
