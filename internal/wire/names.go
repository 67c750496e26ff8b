package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// separator stands between the names of a list, and in no name.
const separator = "|"

// CheckName returns the reason why a name cannot be announced, or nil. The
// reason names no argument, since callers know whose name it is.
func CheckName(name string) error {
	switch {
	case name == "":
		return ErrEmpty
	case len(name) > MaxServiceLen:
		return fmt.Errorf("%w: %d bytes", errNameTooLong, len(name))
	case !utf8.ValidString(name):
		return errNotUTF8
	case strings.Contains(name, separator):
		return errSeparator
	case hasControl(name):
		return errControl
	}
	return nil
}

// hasControl is strings.ContainsFunc with unicode.IsControl for valid UTF-8. It
// does not decode runes, because every peer checks every list. Control
// characters above ASCII, U+0080 to U+009F, are encoded as 0xC2 and a second
// byte below 0xA0.
func hasControl(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7F:
			return true
		case c == 0xC2 && i+1 < len(s) && s[i+1] < 0xA0:
			return true
		}
	}
	return false
}
