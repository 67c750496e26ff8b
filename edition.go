package gopherdiscovery

import (
	"slices"
	"time"
)

// edition times the lists: when the first one may be published, when a change is, when a list is repeated, and to which
// subscribers, of type S, it is owed.
type edition[S comparable] struct {
	pollTime time.Duration

	opening   time.Time // nothing is published before; zero until it is known
	changed   time.Time // the first change since the last list; zero without one
	urgent    bool      // a name has left: the change does not wait
	joined    bool      // a newcomer has joined: it waits for others of its batch only
	published []string  // nil before the first list
	last      time.Time // when that was
	repeat    time.Time // when it is repeated
	owed      []S       // subscribers that have not been sent a list
}

func newEdition[S comparable](opt Options) edition[S] { return edition[S]{pollTime: opt.PollTime} }

// opened reports whether what is known may be published: the server has asked everyone since it started, or was stopped.
func (e *edition[S]) opened(now time.Time) bool { return !e.opening.IsZero() && !now.Before(e.opening) }

// openAt says from when on lists are published. It is the only writer of that time.
func (e *edition[S]) openAt(at time.Time) { e.opening = at }

// note notes a change of the names.
func (e *edition[S]) note(now time.Time, urgent bool) {
	if e.changed.IsZero() {
		e.changed = now
	}
	e.urgent = e.urgent || urgent
}

func (e *edition[S]) subscribe(s S) { e.owed = append(e.owed, s) }

func (e *edition[S]) unsubscribe(s S) {
	e.owed = slices.DeleteFunc(e.owed, func(other S) bool { return other == s })
}

// publishAt is when a list is to be published; zero if nothing has changed. While others of a batch of newcomers have not
// answered, waiting is true.
func (e *edition[S]) publishAt(waiting bool) time.Time {
	settled := e.last.Add(settleTime)
	switch {
	case e.published == nil:
		return e.opening
	case e.changed.IsZero() || e.urgent:
		return e.changed
	case waiting:
		return e.changed.Add(settleTime)
	case !e.joined && settled.After(e.changed):
		return settled
	}
	return e.changed
}

// deadline is when something is due; zero if nothing is.
func (e *edition[S]) deadline(now time.Time, waiting bool) time.Time {
	if !e.opened(now) {
		return e.opening
	}
	at := e.publishAt(waiting)
	if e.published != nil && (at.IsZero() || e.repeat.Before(at)) {
		at = e.repeat
	}
	return at
}

// publish takes the names as they are, and reports whether they are a new list.
func (e *edition[S]) publish(now time.Time, names []string) bool {
	e.changed = time.Time{}
	e.urgent, e.joined = false, false
	switch {
	case e.published == nil:
		e.repeat = now.Add(e.pollTime)
	case slices.Equal(names, e.published):
		return false
	}
	e.published, e.last = names, now
	return true
}

// dueRepeat reports whether the list is to be repeated, and then sets the next time.
func (e *edition[S]) dueRepeat(now time.Time) bool {
	if e.published == nil || now.Before(e.repeat) {
		return false
	}
	e.repeat = now.Add(e.pollTime)
	return true
}

// deliver returns the subscribers to which the list is owed.
func (e *edition[S]) deliver() []S {
	if e.published == nil {
		return nil
	}
	owed := e.owed
	e.owed = nil
	return owed
}
