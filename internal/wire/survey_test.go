package wire

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestDecodeList(t *testing.T) {
	for _, test := range []struct {
		body    string
		want    []string
		invalid int
	}{
		{"", []string{}, 0},
		{"a", []string{"a"}, 0},
		{"b|a|b", []string{"a", "b"}, 0},
		{"|a||", []string{"a"}, 3},
		{"a|\xff|c", []string{"a", "c"}, 1},
		{"a|b\n|c", []string{"a", "c"}, 1},
		{"a|" + strings.Repeat("x", 513), []string{"a"}, 1},
	} {
		got, invalid := DecodeList([]byte(test.body))
		if got == nil || !slices.Equal(got, test.want) || invalid != test.invalid {
			t.Errorf("%.40q: got %q and %d invalid, want %q and %d", test.body, got, invalid, test.want, test.invalid)
		}
	}
}

func TestEncodeGoodbye(t *testing.T) {
	header := []byte("\x00\x00\x00\x07\x80\x00\x00\x01name")
	for _, test := range []struct {
		backtrace []byte
		want      string
	}{
		{nil, "\x80\x00\x00\x00bye"},
		{header[:4], "\x00\x00\x00\x07\x80\x00\x00\x00bye"},
	} {
		if got := EncodeGoodbye(test.backtrace, "bye"); string(got) != test.want {
			t.Errorf("%q: got %q, want %q", test.backtrace, got, test.want)
		}
	}
	if want := "\x00\x00\x00\x07\x80\x00\x00\x01name"; string(header) != want {
		t.Errorf("the survey is now %q", header)
	}
}

// A list of separators takes little more memory than it has bytes.
func TestSeparatorsCostNoMemory(t *testing.T) {
	body := bytes.Repeat([]byte(separator), 16<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	names, invalid := DecodeList(body)
	runtime.ReadMemStats(&after)
	if len(names) != 0 || invalid != len(body)+1 {
		t.Errorf("got %d names and %d invalid ones", len(names), invalid)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 2*uint64(len(body)) {
		t.Errorf("allocated %d bytes for %d", got, len(body))
	}
}

func TestSplitBacktrace(t *testing.T) {
	hop, id := "\x00\x00\x00\x07", "\x80\x00\x00\x01"
	for _, test := range []struct {
		body, header, rest string
		err                error
	}{
		{id, id, "", nil},
		{id + "body", id, "body", nil},
		{hop + hop + id, hop + hop + id, "", nil},
		{strings.Repeat(hop, 8) + id, strings.Repeat(hop, 8) + id, "", nil},
		{strings.Repeat(hop, 9) + id, "", "", ErrTooManyHops},
		{"", "", "", ErrNoSurveyID},
		{"\x80\x00\x00", "", "", ErrNoSurveyID},
		{hop, "", "", ErrNoSurveyID},
	} {
		header, rest, err := SplitBacktrace([]byte(test.body))
		if string(header) != test.header || string(rest) != test.rest || !errors.Is(err, test.err) {
			t.Errorf("% x: got header % x, rest %q, error %v", test.body, header, rest, err)
		}
	}
}

func FuzzDecodeList(f *testing.F) {
	for _, seed := range []string{"", "a", "b|a|b", "|", "\xff|a", "a\u0085|b", "\xc2", "a|\xc2|\x85"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		names, invalid := DecodeList(body)
		for _, name := range names {
			if err := CheckName(name); err != nil {
				t.Errorf("the name %q: %v", name, err)
			}
		}
		if names == nil || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("not sorted without duplicates: %q", names)
		}
		if len(body) > 0 && len(names)+invalid > bytes.Count(body, []byte(separator))+1 {
			t.Errorf("%d names and %d invalid ones from %q", len(names), invalid, body)
		}
		again, invalid := DecodeList(encodeList(names))
		if !slices.Equal(again, names) || invalid != 0 {
			t.Errorf("encoded and decoded again: got %q and %d invalid, want %q", again, invalid, names)
		}
	})
}

func FuzzHasControl(f *testing.F) {
	for _, seed := range []string{"", "a", "\u0080", "\u00a0", "\xc2", "é\u009f", "\x7f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		if got, want := hasControl(s), strings.ContainsFunc(s, unicode.IsControl); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"", "\x80\x00\x00\x01", "\x00\x00\x00\x01\x80\x00\x00\x01name", strings.Repeat("\x00", 40)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		header, rest, err := SplitBacktrace(body)
		if err == nil && (!bytes.Equal(slices.Concat(header, rest), body) || len(header)%4 != 0 || len(header) > 4*(MaxHops+1)) {
			t.Errorf("% x: split into % x and % x", body, header, rest)
		}
		if id, name, err := SplitAnswer(body); err == nil && !bytes.Equal(append(EncodeSurvey(id), name...), body) {
			t.Errorf("% x: split into %x and % x", body, id, name)
		}
	})
}
