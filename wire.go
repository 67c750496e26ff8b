package gopherdiscovery

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"
)

const surveyIDBit = 1 << 31

// goodbyeID is the id of a survey that no server sends. An answer to it is a
// goodbye: its name leaves the list.
const goodbyeID uint32 = surveyIDBit

// side is one side of one of the two Scalability Protocols that we speak.
type side struct {
	self, peer uint16
	selfName   string
	peerName   string
	limit      int // the longest message accepted, in bytes

	changes bool // a subscriber may speak changesProtocol instead
}

var (
	surveyorSide   = side{0x62, 0x63, "surveyor", "respondent", maxSurveyLen, false}
	respondentSide = side{0x63, 0x62, "respondent", "surveyor", maxSurveyLen, false}
	pubSide        = side{0x20, 0x21, "pub", "sub", maxSurveyLen, true}
	subSide        = side{0x21, 0x20, "sub", "pub", maxUpdateLen, true}
)

// wireSize returns the size of names in a list, in bytes, each with a
// separator.
func wireSize(names []string) int {
	size := len(separator) * len(names)
	for _, name := range names {
		size += len(name)
	}
	return size
}

// countNames returns the largest number of names that an encoded list can have.
func countNames(joined string) int {
	if joined == "" {
		return 0
	}
	return strings.Count(joined, separator) + 1
}

func encodeList(names []string) []byte {
	return []byte(strings.Join(names, separator))
}

// decodeList returns the valid names of a list, sorted and without duplicates,
// and the number of names left out as invalid. The names share one string, and
// no memory with body.
func decodeList(body []byte) (names []string, invalid int) {
	if len(body) == 0 {
		return []string{}, 0
	}
	list := string(body)
	// In a clean list only the length of a name can be wrong.
	clean := utf8.ValidString(list) && !hasControl(list)
	// There may be far fewer valid names than separators.
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

// splitBacktrace splits a survey after its id. The header must be returned
// unchanged with the answer. It is a 4-byte word with the highest bit clear for
// each device that the survey has passed, followed by the 4-byte id with the
// highest bit set.
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

// encodeGoodbye returns the message with which a name leaves. Its backtrace is
// that of a survey which the name has answered, so that it takes the same way.
func encodeGoodbye(backtrace []byte, name string) []byte {
	message := binary.BigEndian.AppendUint32(slices.Clip(backtrace), goodbyeID)
	return append(message, name...)
}

// encodeSurvey returns a survey, which consists of its id and an empty body.
func encodeSurvey(id uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, id)
}

// splitAnswer splits an answer into the survey's id and the name. The devices'
// words have been removed on its way back.
func splitAnswer(body []byte) (id uint32, name []byte, err error) {
	if len(body) >= 4 {
		id = binary.BigEndian.Uint32(body)
	}
	if id&surveyIDBit == 0 {
		return 0, nil, errNoSurveyID
	}
	return id, body[4:], nil
}
