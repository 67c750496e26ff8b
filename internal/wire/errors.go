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
	ErrEmpty       = NewReason("empty")
	errNameTooLong = NewReason("longer than %d bytes", MaxServiceLen)
	errNotUTF8     = NewReason("not valid UTF-8")
	errSeparator   = NewReason("contains %q", separator)
	errControl     = NewReason("contains a control character")
	ErrNoSurveyID  = NewReason("no survey id")
	ErrMalformed   = NewReason("malformed message")
	errListTooLong = fmt.Errorf("the list is longer than %d bytes", MaxListLen)
	errWrongSum    = errors.New("the message does not apply to the list that was sent before")
	ErrOtherList   = errors.New("the subscriber's list is not the server's, although it has the same sum")
	ErrTooManyHops = NewReason("more than %d hops", MaxHops)
)
