package wire

import (
	"encoding/binary"
	"slices"
)

// SurveyIDBit is set in the id of each survey, and in no word before it.
const SurveyIDBit = 1 << 31

// GoodbyeID is the id of a survey that no server sends. An answer to it is a
// goodbye: its name leaves the list.
const GoodbyeID uint32 = SurveyIDBit

// SplitBacktrace splits a survey after its id. The header must be returned
// unchanged with the answer. It is a 4-byte word with the highest bit clear for
// each device that the survey has passed, followed by the 4-byte id with the
// highest bit set.
func SplitBacktrace(body []byte) (header, rest []byte, err error) {
	for at := 0; at+4 <= len(body); at += 4 {
		if at/4 > MaxHops {
			return nil, nil, ErrTooManyHops
		}
		if body[at]&0x80 != 0 {
			return body[:at+4], body[at+4:], nil
		}
	}
	return nil, nil, ErrNoSurveyID
}

// EncodeGoodbye returns the message with which a name leaves. Its backtrace is
// that of a survey which the name has answered, so that it takes the same way.
func EncodeGoodbye(backtrace []byte, name string) []byte {
	message := binary.BigEndian.AppendUint32(slices.Clip(backtrace), GoodbyeID)
	return append(message, name...)
}

// EncodeSurvey returns a survey, which consists of its id and an empty body.
func EncodeSurvey(id uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, id)
}

// SplitAnswer splits an answer into the survey's id and the name. The devices'
// words have been removed on its way back.
func SplitAnswer(body []byte) (id uint32, name []byte, err error) {
	if len(body) >= 4 {
		id = binary.BigEndian.Uint32(body)
	}
	if id&SurveyIDBit == 0 {
		return 0, nil, ErrNoSurveyID
	}
	return id, body[4:], nil
}
