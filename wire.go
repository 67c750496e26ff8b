package gopherdiscovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	separator   = "|"
	surveyIDBit = 1 << 31
)

// side is one side of one of the two Scalability Protocols that are spoken here.
type side struct {
	self, peer uint16
	selfName   string
	peerName   string
	limit      int // longest message accepted, in bytes

	changes bool // whoever subscribes may speak changesProtocol instead
}

var (
	surveyorSide   = side{0x62, 0x63, "surveyor", "respondent", maxSurveyLen, false}
	respondentSide = side{0x63, 0x62, "respondent", "surveyor", maxSurveyLen, false}
	pubSide        = side{0x20, 0x21, "pub", "sub", maxSurveyLen, true}
	subSide        = side{0x21, 0x20, "sub", "pub", maxUpdateLen, true}
)

// checkService tells why a name cannot be announced. The reason names no argument: the callers know whose name it is.
func checkService(name string) error {
	switch {
	case name == "":
		return errEmpty
	case len(name) > maxServiceLen:
		return fmt.Errorf("%d bytes long, at most %d are allowed", len(name), maxServiceLen)
	case !utf8.ValidString(name):
		return errors.New("not valid UTF-8")
	case strings.Contains(name, separator):
		return fmt.Errorf("contains %q", separator)
	case hasControl(name):
		return errors.New("contains a control character")
	}
	return nil
}

// wireSize is how many bytes names take in a list, each with a separator.
func wireSize(names []string) int {
	size := len(separator) * len(names)
	for _, name := range names {
		size += len(name)
	}
	return size
}

// countNames returns how many names a list on the wire has at most.
func countNames(joined string) int {
	if joined == "" {
		return 0
	}
	return strings.Count(joined, separator) + 1
}

func encodeList(names []string) []byte {
	return []byte(strings.Join(names, separator))
}

// decodeList returns the valid names of a list, sorted and without duplicates, and how many were left out as invalid.
// The names share no memory with body, but all share one string.
func decodeList(body []byte) (names []string, invalid int) {
	if len(body) == 0 {
		return []string{}, 0
	}
	list := string(body)
	clean := utf8.ValidString(list) && !hasControl(list) // then only the length of a name can be wrong
	// What is not a name costs no memory, whatever the number of separators promises.
	names = make([]string, 0, min(countNames(list), maxPreallocatedNames))
	for name := range strings.SplitSeq(list, separator) {
		if (clean && name != "" && len(name) <= maxServiceLen) || checkService(name) == nil {
			names = append(names, name)
		} else {
			invalid++
		}
	}
	slices.Sort(names)
	return slices.Compact(names), invalid
}

// hasControl is strings.ContainsFunc with unicode.IsControl, without decoding runes: every peer checks every list. The
// controls above ASCII, U+0080 to U+009F, are 0xC2 and a second byte below 0xA0.
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

// splitBacktrace cuts a survey behind its id: the header goes back with the answer as it came. It is the 4-byte id with
// its highest bit set, behind a 4-byte word with that bit clear for each device that the survey has passed.
func splitBacktrace(body []byte) (header, rest []byte, err error) {
	for at := 0; at+4 <= len(body); at += 4 {
		if at/4 > maxHops {
			return nil, nil, errTooManyHops
		}
		if body[at]&0x80 != 0 {
			return body[:at+4], body[at+4:], nil
		}
	}
	return nil, nil, errNoSurveyID
}

// encodeSurvey returns a survey, which has no body: all of it is its id.
func encodeSurvey(id uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, id)
}

// splitAnswer cuts an answer into the survey's id and the name. On its way back it has left the devices' words behind.
func splitAnswer(body []byte) (id uint32, name []byte, err error) {
	if len(body) >= 4 {
		id = binary.BigEndian.Uint32(body)
	}
	if id&surveyIDBit == 0 {
		return 0, nil, errNoSurveyID
	}
	return id, body[4:], nil
}
