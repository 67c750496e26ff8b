package wire

import (
	"strings"
	"testing"
)

func TestCheckService(t *testing.T) {
	for _, test := range []struct {
		name string
		want string // part of the error; empty for a valid name
	}{
		{"http://10.0.0.1:8080", ""},
		{"name with spaces, ümläuts and 名前", ""},
		{strings.Repeat("x", 512), ""},
		{"", "empty"},
		{strings.Repeat("x", 513), "513 bytes"},
		{"a|b", `"|"`},
		{"a\nb", "control"},
		{"\x00", "control"},
		{"a\x7f", "control"},
		{"a\u0085b", "control"},
		{"a\u009f", "control"},
		{"a\u00a0", ""},
		{"\xff", "UTF-8"},
	} {
		err := CheckName(test.name)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q: got error %v, want %q", test.name, err, test.want)
		}
	}
}
