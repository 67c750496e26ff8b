package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

func TestSumOf(t *testing.T) {
	long := strings.Repeat("x", MaxServiceLen)
	for _, names := range [][]string{nil, {}, {"a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {long, "ü"}} {
		if got, want := sumOf(names), wiretest.Sum(names...); got != want {
			t.Errorf("%.40q: got %#x, want %#x", names, got, want)
		}
	}
	// The FNV-1a hash of "a" is 0xaf63dc4c8601ec8c.
	if got, want := sumOf([]string{"a"}), uint64(0x82a2a958a9bece5b); got != want {
		t.Errorf("a: got %#x, want %#x", got, want)
	}
	if sumOf([]string{"a", "b"}) == sumOf([]string{"ab"}) {
		t.Error("the sum does not tell where a name ends")
	}
}

func TestWelcome(t *testing.T) {
	for _, test := range []struct {
		beat time.Duration
		want string
		back time.Duration
	}{
		{2 * time.Second, "\x01\x01\x00\x00\x07\xd0", 2 * time.Second},
		{50 * ms, "\x01\x01\x00\x00\x00\x32", 50 * ms},
		{1500 * time.Microsecond, "\x01\x01\x00\x00\x00\x01", ms},
		{1, "\x01\x01\x00\x00\x00\x01", ms}, // never zero
		{math.MaxInt64, "\x01\x01\xff\xff\xff\xff", math.MaxUint32 * ms},
	} {
		got := EncodeWelcome(test.beat)
		if string(got) != test.want {
			t.Errorf("%v: encoded % x, want % x", test.beat, got, test.want)
		}
		if back, err := DecodeWelcome(got); back != test.back || err != nil {
			t.Errorf("%v: decoded %v, %v, want %v", test.beat, back, err, test.back)
		}
	}
	for name, body := range map[string]string{
		"empty":          "",
		"short":          "\x01\x01\x00\x00\x07",
		"long":           "\x01\x01\x00\x00\x07\xd0\x00",
		"another kind":   "\x02\x01\x00\x00\x07\xd0",
		"another format": "\x01\x02\x00\x00\x07\xd0",
		"no beat":        "\x01\x01\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			if beat, err := DecodeWelcome([]byte(body)); beat != 0 || !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, %v, want %v", beat, err, ErrMalformed)
			}
		})
	}
}

func TestHave(t *testing.T) {
	sum, zero := uint64(0x0102030405060708), uint64(0)
	for _, test := range []struct {
		sum  *uint64
		want string
	}{
		{nil, "\x02"},
		{&zero, "\x02\x00\x00\x00\x00\x00\x00\x00\x00"},
		{&sum, "\x02\x01\x02\x03\x04\x05\x06\x07\x08"},
	} {
		got := EncodeHave(test.sum)
		if string(got) != test.want {
			t.Errorf("encoded % x, want % x", got, test.want)
		}
		if back, err := DecodeHave(got); err != nil || !reflect.DeepEqual(back, test.sum) {
			t.Errorf("% x: decoded %v, %v, want the sum as it was", got, back, err)
		}
	}
	for name, body := range map[string]string{
		"empty":        "",
		"short":        "\x02\x01\x02\x03\x04\x05\x06\x07",
		"long":         "\x02\x01\x02\x03\x04\x05\x06\x07\x08\x09",
		"another kind": "\x01",
	} {
		t.Run(name, func(t *testing.T) {
			if have, err := DecodeHave([]byte(body)); have != nil || !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, %v, want %v", have, err, ErrMalformed)
			}
		})
	}
}

const (
	zeros = "\x00\x00\x00\x00\x00\x00\x00\x00"
	sum1  = "\x00\x00\x00\x00\x00\x00\x00\x01"
	sum2  = "\x80\x00\x00\x00\x00\x00\x00\x02"
)

func TestUpdate(t *testing.T) {
	none := []string{}
	for _, test := range []struct {
		name   string
		update Update
		want   string
	}{
		{"an empty list", Update{kind: kindList, names: none}, "\x03\x00"},
		{"a complete list", Update{kind: kindList, complete: true, names: []string{"a", "ü b"}}, "\x03\x01a|ü b"},
		{"a join", Update{kind: kindChange, complete: true, before: 1, sum: 1<<63 + 2, removed: none, added: []string{"c"}},
			"\x04\x01" + sum1 + sum2 + "\x00c"},
		{"a leave", Update{kind: kindChange, sum: 1, removed: []string{"a", "b"}, added: none}, "\x04\x00" + zeros + sum1 + "a|b\x00"},
		{"both", Update{kind: kindChange, before: 1, removed: []string{"a"}, added: []string{"b", "c"}}, "\x04\x00" + sum1 + zeros + "a\x00b|c"},
		{"nothing", Update{kind: kindChange, removed: none, added: none}, "\x04\x00" + zeros + zeros + "\x00"},
		{"a beat", Update{kind: kindBeat, sum: 1<<63 + 2}, "\x05\x00" + sum2},
		{"a complete beat", Update{kind: kindBeat, complete: true}, "\x05\x01" + zeros},
		{"a held beat", Update{kind: kindBeat, held: true, sum: 1}, "\x05\x02" + sum1},
		{"a held beat of a complete server", Update{kind: kindBeat, complete: true, held: true}, "\x05\x03" + zeros},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.update.encode()
			if string(got) != test.want {
				t.Errorf("encoded % x, want % x", got, test.want)
			}
			if back, err := DecodeUpdate(got); err != nil || !reflect.DeepEqual(back, &test.update) {
				t.Errorf("decoded %+v, %v, want %+v", back, err, test.update)
			}
		})
	}
}

// Each way in which a message can be malformed is an error. The names of a list
// and of both parts of a change are checked alike.
func TestMalformedUpdates(t *testing.T) {
	wrong := map[string]string{
		"empty":                      "",
		"a kind alone":               "\x03",
		"kind 0":                     "\x00\x00",
		"WELCOME":                    string(EncodeWelcome(time.Second)),
		"HAVE":                       string(EncodeHave(new(uint64))),
		"unknown":                    "\x06\x00",
		"the last kind not ignored":  "\x7f\x00",
		"unknown flag":               "\x03\x04a",
		"held list":                  "\x03\x02a",
		"held change":                "\x04\x03" + sum1 + sum2 + "\x00a",
		"unknown flag with complete": "\x03\x81a",
		"short beat":                 "\x05\x00" + sum1[1:],
		"long beat":                  "\x05\x00" + sum1 + "\x00",
		"flag of a beat":             "\x05\x04" + sum1,
		"change without sums":        "\x04\x00",
		"change with one sum":        "\x04\x00" + sum1,
		"change without names":       "\x04\x00" + sum1 + sum2,
		"change without a zero":      "\x04\x00" + sum1 + sum2 + "a|b",
		"change with two zeros":      "\x04\x00" + sum1 + sum2 + "a\x00b\x00",
	}
	for what, names := range map[string]string{
		"empty name":        "a||b",
		"separator first":   "|a",
		"separator last":    "a|",
		"separator alone":   "|",
		"order":             "b|a",
		"twice":             "a|a",
		"invalid UTF-8":     "a|\xff",
		"control character": "a|b\n",
		"long name":         strings.Repeat("x", MaxServiceLen+1),
	} {
		wrong["list: "+what] = "\x03\x00" + names
		wrong["removed: "+what] = "\x04\x00" + sum1 + sum2 + names + "\x00"
		wrong["added: "+what] = "\x04\x00" + sum1 + sum2 + "\x00" + names
	}
	for name, body := range wrong {
		t.Run(name, func(t *testing.T) {
			if u, err := DecodeUpdate([]byte(body)); u != nil || !errors.Is(err, ErrMalformed) {
				t.Errorf("got %+v, %v, want %v", u, err, ErrMalformed)
			}
		})
	}
}

// Kinds that may be ignored are valid, whatever follows.
func TestKindsToIgnore(t *testing.T) {
	for _, body := range []string{"\x80", "\x80\x00", "\xff\xff whatever\x00"} {
		u, err := DecodeUpdate([]byte(body))
		if err != nil || u.kind != body[0] || string(u.ignored) != body[1:] {
			t.Errorf("%q: got %+v, %v", body, u, err)
		}
	}
}

// Names that differ in a digit or two do not have equal sums. Without the
// mixing, 147,790 pairs of these pairs have.
func TestSumsOfSimilarNames(t *testing.T) {
	pairs := make(map[uint64]string)
	for i := range 250 {
		for j := range i {
			names := []string{fmt.Sprintf("client%d", j), fmt.Sprintf("client%d", i)}
			sum := sumOf(names)
			if other, found := pairs[sum]; found {
				t.Fatalf("%q has the sum of %s", names, other)
			}
			pairs[sum] = fmt.Sprintf("%q", names)
		}
	}
}

// The error quotes a malformed name, but not all of a long one.
func TestMalformedNamesAreQuoted(t *testing.T) {
	_, err := DecodeUpdate([]byte("\x03\x00a|b\n"))
	if err == nil || !strings.Contains(err.Error(), `"b\n"`) || !strings.Contains(err.Error(), "control") {
		t.Errorf("got error %v, want one that quotes the name", err)
	}
	_, err = DecodeUpdate([]byte("\x03\x00" + strings.Repeat("x", 1<<20)))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("got error %.400v, want a short one", err)
	}
}

// A message full of separators makes decodeUpdate allocate little memory.
func TestMalformedListsCostNoMemory(t *testing.T) {
	body := append([]byte{kindList, 0}, bytes.Repeat([]byte(separator), 1<<20)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := DecodeUpdate(body)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("got error %v, want %v", err, ErrMalformed)
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	if most := uint64(2*len(body) + 16*maxPreallocatedNames); allocated > most {
		t.Errorf("allocated %d bytes for %d, want at most %d", allocated, len(body), most)
	}
}

func TestDecodedNamesAreAllThere(t *testing.T) {
	var want []string
	for i := range 3 * maxPreallocatedNames {
		want = append(want, fmt.Sprintf("%06d", i))
	}
	u, err := DecodeUpdate((&Update{kind: kindList, names: want}).encode())
	if err != nil || !slices.Equal(u.names, want) {
		t.Errorf("got error %v, want %d names back", err, len(want))
	}
}
