package wire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// updateSeeds are valid and malformed messages of a server.
var updateSeeds = []string{
	"", "\x03", "\x03\x00", "\x03\x01a|b", "\x03\x00b|a", "\x03\x02a", "\x03\x01|", "\x03\x01\xff",
	"\x04\x01" + zeros + zeros + "\x00", "\x04\x00" + sum1 + sum2 + "a\x00b|c", "\x04\x00" + sum1 + sum2 + "a|b",
	"\x05\x01" + zeros, "\x05\x00" + sum2[1:], "\x80", "\xff\x00", "\x06\x00",
}

// A message that decodes encodes to the same bytes.
func FuzzDecodeUpdate(f *testing.F) {
	for _, seed := range updateSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := DecodeUpdate(body)
		ignored := len(body) > 0 && body[0] >= 0x80
		switch {
		case ignored && err != nil:
			t.Errorf("got %v of a message to ignore", err)
		case (u == nil) == (err == nil):
			t.Errorf("got both of %+v and %v, or neither", u, err)
		case err != nil && !errors.Is(err, ErrMalformed):
			t.Errorf("got error %v, want %v", err, ErrMalformed)
		case err == nil && !bytes.Equal(u.encode(), body):
			t.Errorf("% x encodes to % x", body, u.encode())
		}
	})
}

func FuzzDecodeHave(f *testing.F) {
	for _, seed := range []string{"", "\x02", "\x02\x00", "\x02" + sum2, "\x02" + sum2 + "\x00", "\x01", "\x82"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sum, err := DecodeHave(body)
		switch {
		case err != nil && (sum != nil || !errors.Is(err, ErrMalformed)):
			t.Errorf("got %v, %v, want %v", sum, err, ErrMalformed)
		case err == nil && !bytes.Equal(EncodeHave(sum), body):
			t.Errorf("% x encodes to % x", body, EncodeHave(sum))
		}
	})
}

func FuzzDecodeWelcome(f *testing.F) {
	for _, seed := range []string{"", "\x01", "\x01\x01\x00\x00\x07\xd0", "\x01\x01\x00\x00\x00\x00", "\x01\x02\x00\x00\x00\x01", "\x01\x01\xff\xff\xff\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		beat, err := DecodeWelcome(body)
		switch {
		case err != nil && (beat != 0 || !errors.Is(err, ErrMalformed)):
			t.Errorf("got %v, %v, want %v", beat, err, ErrMalformed)
		case err == nil && (beat <= 0 || !bytes.Equal(EncodeWelcome(beat), body)):
			t.Errorf("% x, a beat of %v, encodes to % x", body, beat, EncodeWelcome(beat))
		}
	})
}

// fuzzedMessage makes a message from the fuzzer's bytes. It uses the bytes as
// they are, or makes a message about the source's list, so that valid messages
// are tried as well.
func fuzzedMessage(src *Source, part string) []byte {
	do, rest := part[0], part[1:]
	names, _ := DecodeList([]byte(rest))
	u := &Update{complete: do&8 != 0, before: src.Sum, sum: src.Sum}
	switch do % 8 {
	case 0:
		u.kind = kindBeat
	case 1, 2, 3:
		// Names that are present are removed, and the others are added.
		u.kind = kindChange
		for _, name := range names {
			if _, found := slices.BinarySearch(src.List, name); found {
				u.removed = append(u.removed, name)
			} else {
				u.added = append(u.added, name)
			}
		}
		u.sum += wiretest.Sum(u.added...) - wiretest.Sum(u.removed...)
	case 4:
		u.kind, u.names = kindList, names
	default:
		return []byte(rest)
	}
	message := u.encode()
	if do >= 0xC0 && len(rest) > 0 {
		// Now the message is malformed, or a different one.
		message[int(rest[0])%len(message)] ^= do
	}
	return message
}

// FuzzReceive feeds a source messages, separated by the byte 1, which is in no
// name. Whatever the messages are, the source's list stays valid, and an error
// changes nothing.
func FuzzReceive(f *testing.F) {
	f.Add(strings.Join(updateSeeds, "\x01"))
	f.Add("\x04a|b|c\x01\x09b|d\x01\x00\x01\xc9d\x01\x0ca\x01\x08")
	f.Add("\x01a|b\x01\x04\x01\x01a|b\x01\x01a|b\x01\xc1b")
	f.Fuzz(func(t *testing.T, script string) {
		s := newTestSources(1)
		src := s.All[0]
		src.Connect(time.Second, false, time.Unix(1, 0))
		for part := range strings.SplitSeq(script, "\x01") {
			if part == "" {
				continue
			}
			before := *src
			u, err := DecodeUpdate(fuzzedMessage(src, part))
			if err == nil {
				err = s.Receive(src, u, time.Unix(2, 0))
			}
			if err != nil && (!slices.Equal(src.List, before.List) || src.Sum != before.Sum || src.counts != before.counts) {
				t.Errorf("%q: after the error %v the list is %q, it was %q", part, err, src.List, before.List)
			}
			if got := wiretest.Sum(src.List...); src.Sum != got {
				t.Errorf("%q: the list %q has sum %#x, want %#x", part, src.List, src.Sum, got)
			}
			for i, name := range src.List {
				if err := CheckName(name); err != nil {
					t.Errorf("%q: the name %q: %v", part, name, err)
				}
				if i > 0 && src.List[i-1] >= name {
					t.Errorf("%q: %q comes before %q", part, src.List[i-1], name)
				}
			}
			if src.List == nil && src.counts {
				t.Errorf("%q: a list counts that there is not", part)
			}
		}
	})
}
