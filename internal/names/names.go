// Package names reads the names on a list of gopherdiscovery: of what kind a
// peer is, and which peers a pattern chooses.
//
// A server has one list, which may have peers of several kinds. By convention a
// name begins with the kind and a plus sign:
//
//	cache+http://10.0.0.2:8080
//	orders+10.0.0.3:50051
//
// The first one is still a URL, as git+ssh:// is: a scheme may have a plus sign
// in it (RFC 3986, section 3.1). Readers of the list choose a kind with the
// [Pattern] cache+*.
//
// Other modules of this repository use the package. They may be built with a
// later release of it than their own, so no identifier changes or goes.
package names

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A kind is made of what a scheme may have, except for the plus sign.
var kind = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9.-]*$`)

// Split returns the kind of a name, and the name without it: "cache" and
// "http://10.0.0.2:8080" of "cache+http://10.0.0.2:8080". The kind is empty if
// the name has none. It begins with a letter, and has letters, digits, "-" and
// "." in it. A name with a plus sign there for another reason, such as
// tls+tcp://, has a kind too.
func Split(name string) (of, rest string) {
	before, after, found := strings.Cut(name, "+")
	if !found || !kind.MatchString(before) {
		return "", name
	}
	return before, after
}

// Pattern chooses names. In it * stands for any characters, slashes included,
// or none, and all else for itself. So cache+* chooses a kind, and *:8080 a
// port. The empty pattern chooses all names.
//
// That is less than path.Match knows, on purpose: its * ends at a slash, which
// names are full of, and its brackets are those around an IPv6 address.
type Pattern string

// longestName is how many bytes a name may have.
const longestName = 512

// Check returns why no name can match the pattern, and nil if one can.
func (p Pattern) Check() error {
	switch {
	case len(p) > longestName:
		return errors.New("the pattern is longer than a name may be, 512 bytes")
	case strings.Contains(string(p), "|"):
		return errors.New("no name has a | in it, and a pattern is one alternative")
	case !utf8.ValidString(string(p)) || strings.ContainsFunc(string(p), unicode.IsControl):
		return errors.New("no name has such characters in it")
	}
	return nil
}

// Match reports whether the pattern chooses a name.
func (p Pattern) Match(name string) bool {
	if p == "" {
		return true
	}
	part, parts, isMore := strings.Cut(string(p), "*")
	if !isMore {
		return name == part
	}
	rest, ok := strings.CutPrefix(name, part)
	for ok {
		if part, parts, isMore = strings.Cut(parts, "*"); !isMore {
			return strings.HasSuffix(rest, part)
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return false
}

// Filter returns the names that the pattern chooses, in a slice of its own. It
// is nil if the list is.
func (p Pattern) Filter(list []string) []string {
	if list == nil {
		return nil
	}
	chosen := make([]string, 0, len(list))
	for _, name := range list {
		if p.Match(name) {
			chosen = append(chosen, name)
		}
	}
	return chosen
}

// FromQuery returns the pattern that match= gives in the query of a URL, as in
// /peers?match=cache+*. It is empty if there is none. A plus sign stands for
// itself there, not for a space. More than one is an error.
func FromQuery(query string) (p Pattern, err error) {
	values, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
	switch {
	case err != nil:
	case len(values["match"]) > 1:
		err = errSeveral
	default:
		err = p.UnmarshalText([]byte(values.Get("match")))
	}
	return p, err
}

var errSeveral = errors.New("more than one pattern")

// MarshalText is for [flag.TextVar].
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p), nil }

// UnmarshalText returns the error of Check. It is for [flag.TextVar].
func (p *Pattern) UnmarshalText(text []byte) error {
	if err := Pattern(text).Check(); err != nil {
		return err
	}
	*p = Pattern(text)
	return nil
}
