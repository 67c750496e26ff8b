package gopherdiscovery

import (
	"slices"
	"time"
)

// sources is what a subscriber knows from its servers, one for each URL. Like
// the server's roster it has no socket, no clock and no goroutine.
type sources struct {
	all     []*source
	settled bool // a complete list was known
}

// source is one server: the list that it has sent, and how it is connected.
type source struct {
	url       string
	connected bool
	beat      time.Duration // on this connection; zero in the plain form
	list      []string      // the newest, perhaps of an earlier connection; nil before the first
	sum       uint64
	counts    bool      // the list is the server's on this connection
	complete  bool      // the server says that it has surveyed everyone
	silent    bool      // the server has missed its beats
	heard     time.Time // when it sent something last; zero if never
	since     time.Time // when its silence began, as far as that counts
}

func newSources(urls []address) *sources {
	s := new(sources)
	for _, url := range urls {
		s.all = append(s.all, &source{url: url.String()})
	}
	return s
}

// at returns the source at a URL. Should none have it, it is one that counts
// for nothing.
func (s *sources) at(url string) *source {
	for _, src := range s.all {
		if src.url == url {
			return src
		}
	}
	return &source{url: url}
}

// connect begins a connection in changes, or with beat 0 in the plain form.
func (src *source) connect(beat time.Duration, now time.Time) {
	src.connected, src.beat, src.since = true, beat, now
	src.counts, src.complete, src.silent = false, false, false
}

// disconnect ends the connection. What it has brought does not count any
// more, but the next connection may go on from there.
func (src *source) disconnect() { src.connected, src.counts, src.complete = false, false, false }

// markHeard notes that the server has sent something.
func (src *source) markHeard(now time.Time) { src.heard, src.since, src.silent = now, now, false }

// replace takes a list in the plain form, which is sent complete or not at
// all.
func (src *source) replace(list []string, now time.Time) {
	src.markHeard(now)
	src.list, src.sum = list, sumOf(list)
	src.counts, src.complete = true, true
}

// take takes a message of a subscription in changes. After an error nothing
// that the connection brings can be trusted.
func (src *source) take(u *update, now time.Time) error {
	list, sum := src.list, src.sum
	switch u.kind {
	case kindList:
		list, sum = u.names, sumOf(u.names)
	case kindChange:
		var ok bool
		list, ok = edit(src.list, u.removed, u.added)
		sum += sumOf(u.added) - sumOf(u.removed)
		if !ok || u.before != src.sum {
			return errWrongSum
		}
		fallthrough
	case kindBeat:
		if src.list == nil || u.sum != sum {
			return errWrongSum
		}
	}
	if wireSize(u.added) > 0 && wireSize(list) > maxListLen {
		return errListTooLong
	}
	src.markHeard(now)
	src.list, src.sum, src.complete = list, sum, u.complete
	src.counts = src.counts || u.complete || u.kind == kindList
	return nil
}

// union returns the names in any server's list. It returns nil when nothing
// is known that is newer than before: no server counts, or only such as have
// just started, after others that had a complete list.
func (s *sources) union() []string {
	var counted []*source
	complete := false
	for _, src := range s.all {
		if src.counts && !src.silent {
			counted = append(counted, src)
			complete = complete || src.complete
		}
	}
	if !complete && s.settled {
		return nil
	}
	s.settled = complete
	var all []string
	for i, src := range counted {
		if i == 0 {
			all = src.list[:len(src.list):len(src.list)] // mostly all servers agree, or there is one
		} else if !slices.Equal(all, src.list) {
			all = append(all, src.list...)
			slices.Sort(all)
			all = slices.Compact(all)
		}
	}
	return all
}

// deadline is when the next server may have been silent for too long; zero if
// none can be.
func (s *sources) deadline() time.Time {
	var first time.Time
	for _, src := range s.all {
		if due, ok := src.due(); ok && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}

// due is when a silent server does not count any more, and then when its
// connection is given up. In the plain form a server may be silent without
// end.
func (src *source) due() (due time.Time, ok bool) {
	patience := max(missedBeats*src.beat, shortestPatience)
	if src.silent {
		patience = max(lostBeats*src.beat, vanishedAfter)
	}
	return src.since.Add(patience), src.connected && src.beat > 0
}

// checkSilence notes which servers have been silent for too long, and returns
// those whose connection is to be given up. Like one that is connected anew,
// such a server counts again when it says that its list is complete: it may
// have been stopped, and what it lists may be dead.
func (s *sources) checkSilence(now time.Time) (lost []*source) {
	for _, src := range s.all {
		if due, ok := src.due(); !ok || now.Before(due) {
			continue
		}
		if src.silent {
			lost = append(lost, src)
			src.since = now
		}
		src.silent, src.counts = true, false
	}
	return lost
}

// excuse begins the silence of all servers anew: the subscriber itself did
// not run for a while.
func (s *sources) excuse(now time.Time) {
	for _, src := range s.all {
		src.since = now
	}
}
