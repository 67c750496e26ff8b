package wire

import (
	"errors"
	"fmt"
)

// A Reason is an error that one remote host is likely to cause again. It is
// logged once for each host.
type Reason struct{ text string }

// NewReason returns a reason with a text formatted as by [fmt.Sprintf].
func NewReason(format string, args ...any) *Reason {
	return &Reason{fmt.Sprintf(format, args...)}
}

// Error returns the text.
func (r *Reason) Error() string { return r.text }

// Reasons why a message or a name is refused.
var (
	errNameTooLong = NewReason("longer than %d bytes", MaxServiceLen)
	errNotUTF8     = NewReason("not valid UTF-8")
	errSeparator   = NewReason("contains %q", separator)
	errControl     = NewReason("contains a control character")
	errListTooLong = fmt.Errorf("the list is longer than %d bytes", MaxListLen)
	errWrongSum    = errors.New("the message does not apply to the list that was sent before")

	// ErrEmpty means that a name is empty.
	ErrEmpty = NewReason("empty")

	// ErrNoSurveyID means that a survey, or an answer to one, has no id.
	ErrNoSurveyID = NewReason("no survey id")

	// ErrTooManyHops means that a survey has passed through more than MaxHops
	// devices.
	ErrTooManyHops = NewReason("more than %d hops", MaxHops)

	// ErrMalformed means that a message breaks the protocol.
	ErrMalformed = NewReason("malformed message")

	// ErrOtherList means that the subscriber has a list of other names than the
	// server, although both lists have the same sum. The next connection must
	// be made without a list.
	ErrOtherList = errors.New("the subscriber's list is not the server's, although it has the same sum")
)
