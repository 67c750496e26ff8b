package wire

import (
	"slices"
	"strings"
	"time"
)

// Sources holds what a subscriber knows from its servers, one for each URL.
// Like the server's roster it has no socket, no clock and no goroutine.
type Sources struct {
	All      []*Source // in the order of the URLs
	begun    bool      // there was a union
	removals removals
}

// Source is the state of one server: its list, and its connection.
//
// A server is away while it is not connected or has missed its beats, and has
// returned when it speaks again. Its list counts from the first message on that
// does not say that the subscriber is held. After the server has gone away, the
// list counts a while longer: that is its grace.
type Source struct {
	URL       string
	Connected bool
	Complete  bool          // the start of the server is over
	Heard     time.Time     // when it last sent something; zero if never
	beat      time.Duration // on this connection; zero in the plain form
	firstAt   time.Time     // when its list may be the first one; zero for at once

	belief
	absence
	bars
}

// belief is the list of a server as far as a subscriber knows it.
type belief struct {
	List      []string // the newest, of any connection; nil at first
	Sum       uint64   // of List
	inherited bool     // an earlier connection has left List
	wrong     bool     // List is another one than the server's
	counts    bool     // List is the server's
}

// absence is when a server has been away.
type absence struct {
	since    time.Time // when the current silence began
	left     time.Time // when it last went away; zero if never
	returned time.Time // when it last began to speak; zero while it is away
	lagging  bool      // it was away on this connection, so what comes next may be old
	graceEnd time.Time // until then its list counts although it is away; zero if there is no grace

	// Removals before excusedUntil bar no names for it when it goes away,
	// because the subscriber was stopped.
	excusedUntil time.Time
}

// NewSources returns the sources at the URLs, none of which is connected.
func NewSources(urls []string) *Sources {
	s := new(Sources)
	for _, url := range urls {
		s.All = append(s.All, &Source{URL: url})
	}
	return s
}

// At returns the source with a URL. If there is none, it returns a new one that
// is not part of s.
func (s *Sources) At(url string) *Source {
	for _, src := range s.All {
		if src.URL == url {
			return src
		}
	}
	return &Source{URL: url}
}

// Connect records a new connection. In the plain form, beat is zero, and the
// server has not spoken yet. Awaited says that the server was down before.
func (src *Source) Connect(beat time.Duration, awaited bool, now time.Time) {
	src.Connected, src.beat, src.since = true, beat, now
	src.inherited, src.lagging, src.excusedUntil = src.List != nil, false, time.Time{}
	if beat > 0 {
		src.returned = now
	}
	if beat > 0 && awaited {
		src.firstAt = now.Add(awaitedStart)
	}
}

// Disconnect records the end of the connection. The next one may continue from
// the list.
func (s *Sources) Disconnect(src *Source, now time.Time) {
	s.goAway(src, now)
	src.Connected, src.Complete, src.firstAt = false, false, time.Time{}
}

// hear records that the server has sent something.
func (src *Source) hear(now time.Time) {
	src.Heard, src.since = now, now
	if src.isAway() {
		src.returned = now
	}
}

// Extend ends a silence for the time being, because part of a message has come.
func (src *Source) Extend(read time.Time) {
	if read.After(src.since) {
		src.since = read
	}
}

// Forget records that the list is another one than the server's, so that
// nothing continues from it.
func (src *Source) Forget() { src.wrong = true }

// hasNoList reports whether the server has still to say what its list is.
func (src *Source) hasNoList() bool { return src.List == nil || src.wrong }

// isCounted reports whether the list is the server's and may be believed.
func (src *Source) isCounted() bool { return src.counts && !src.blind }

// lists reports whether a name is on the server's list.
func (src *Source) lists(name string) bool {
	_, found := slices.BinarySearch(src.List, name)
	return found
}

// Replace takes a list in the plain form. Such a list is always complete.
func (s *Sources) Replace(src *Source, list []string, now time.Time) {
	list = withStringsOf(src.List, list)
	removed, added := Compare(src.List, list)
	s.apply(src, &Update{names: list, sum: sumOf(list), complete: true, removed: removed, added: added}, now)
}

// Receive takes a message of a subscription in changes. After an error, nothing
// else on the connection can be trusted. The error is ErrOtherList if the list,
// which an earlier connection has left, turns out to be a different one.
func (s *Sources) Receive(src *Source, u *Update, now time.Time) error {
	if u.kind >= kindIgnored {
		src.hear(now)
		return nil
	}
	if u.kind != kindList && src.hasNoList() {
		return errWrongSum
	}
	switch u.kind {
	case kindList:
		u.names, u.sum = withStringsOf(src.List, u.names), sumOf(u.names)
		u.removed, u.added = Compare(src.List, u.names)
	case kindChange:
		if u.before != src.Sum {
			return errWrongSum
		}
		var ok bool
		u.names, ok = Edit(src.List, u.removed, u.added)
		switch {
		case !ok && src.inherited:
			return ErrOtherList
		case !ok || u.sum != src.Sum+sumOf(u.added)-sumOf(u.removed):
			return errWrongSum
		case len(u.added) > 0 && wireSize(u.names) > MaxListLen:
			return errListTooLong
		}
	case kindBeat:
		if u.sum != src.Sum {
			return errWrongSum
		}
		u.names = src.List
	}
	src.inherited = src.inherited && u.kind != kindList
	s.apply(src, u, now)
	return nil
}

// apply applies a message that is known to be right. Its names are all of the
// list, and its other fields say how that differs from the list before.
func (s *Sources) apply(src *Source, u *Update, now time.Time) {
	src.hear(now)
	src.liftOld(now)
	if !src.blind {
		s.barRemoved(src, u.removed, now)
	}
	src.lift(u.removed)
	src.List, src.Sum, src.Complete, src.wrong = u.names, u.sum, u.complete, false
	if u.complete {
		src.firstAt = time.Time{}
	}
	isFirst := !src.counts
	if !u.held {
		src.counts, src.graceEnd = true, time.Time{}
	}
	if isFirst {
		src.returned = now
	}
	switch {
	case src.isNew(now) && src.lagging:
	case src.isNew(now) && isFirst:
		src.recordAdded(u.added)
	case src.isCounted():
		for _, other := range s.All {
			other.lift(u.added)
		}
		s.removals.revoke(u.added)
	}
}

// Union returns the names in the lists of all servers that count, and of those
// that are in their grace while another one counts. It returns nil if there is
// nothing new: when no server counts, or when the first list may still lack
// names.
func (s *Sources) Union() []string {
	counted, first := false, s.begun
	for _, src := range s.All {
		if src.isCounted() {
			counted = true
			first = first || src.firstAt.IsZero()
		}
	}
	if !counted || !first {
		return nil
	}
	s.begun = true
	var all []string
	for _, src := range s.All {
		if src.isCounted() || src.isInGrace() {
			all = merge(all, src.without(src.List))
		}
	}
	return all
}

// merge returns the names that are in a or b, which are sorted and without
// duplicates. The result may share memory with either.
func merge(a, b []string) []string {
	// Usually there is one server, or all servers agree.
	switch {
	case a == nil || slices.Equal(a, b):
		return b[:len(b):len(b)]
	case len(b) == 0:
		return a
	}
	all := make([]string, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			all, a = append(all, a[0]), a[1:]
		case a[0] > b[0]:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// withStringsOf returns a list that equals names. It has the strings of the
// list before where they are equal, and copies of all others, so that it keeps
// no message in memory. The names of a first list share the string of their
// message.
func withStringsOf(before, names []string) []string {
	if len(before) == 0 {
		return names
	}
	list := make([]string, 0, len(names))
	for _, name := range names {
		for len(before) > 0 && before[0] < name {
			before = before[1:]
		}
		if len(before) > 0 && before[0] == name {
			list = append(list, before[0])
		} else {
			list = append(list, strings.Clone(name))
		}
	}
	return list
}
