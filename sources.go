package gopherdiscovery

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"
)

// sources holds what a subscriber knows from its servers, one for each URL.
// Like the server's roster it has no socket, no clock and no goroutine.
type sources struct {
	all     []*source
	settled bool // the last union came from a complete list
}

// source is the state of one server: its list, and its connection.
type source struct {
	url       string
	connected bool
	beat      time.Duration // on this connection; zero in the plain form
	list      []string      // the newest, of any connection; nil at first
	sum       uint64        // of list
	resumed   bool          // on this connection only the sum has identified list
	counts    bool          // list is the server's on this connection
	complete  bool          // the server has surveyed all
	silent    bool          // the server has missed its beats
	returned  bool          // it has sent one message since, which does not count yet
	heard     time.Time     // when it last sent something; zero if never
	since     time.Time     // when the current silence began
}

func newSources(urls []address) *sources {
	s := new(sources)
	for _, url := range urls {
		s.all = append(s.all, &source{url: url.String()})
	}
	return s
}

// at returns the source with a URL. If there is none, it returns a new one that
// is not part of s.
func (s *sources) at(url string) *source {
	for _, src := range s.all {
		if src.url == url {
			return src
		}
	}
	return &source{url: url}
}

// connect records a new connection. In the plain form, beat is zero.
func (src *source) connect(beat time.Duration, now time.Time) {
	src.connected, src.beat, src.since = true, beat, now
	src.counts, src.complete, src.silent, src.returned = false, false, false, false
	src.resumed = src.list != nil
}

// disconnect records the end of the connection. Its list no longer counts, but
// the next connection may continue from it.
func (src *source) disconnect() { src.connected, src.counts, src.complete = false, false, false }

// markHeard records that the server has sent something.
func (src *source) markHeard(now time.Time) {
	src.heard, src.since, src.silent, src.returned = now, now, false, false
}

// forget drops the list, so that nothing continues from it.
func (src *source) forget() {
	src.list, src.sum, src.counts, src.complete, src.resumed = nil, 0, false, false, false
}

// extend ends a silence for the time being, because part of a message has come.
func (src *source) extend(read time.Time) {
	if read.After(src.since) && !src.returned {
		src.since = read
	}
}

// replace takes a list in the plain form. Such a list is always complete.
func (src *source) replace(list []string, now time.Time) {
	src.markHeard(now)
	src.list, src.sum = list, sumOf(list)
	src.counts, src.complete = true, true
}

// take takes a message of a subscription in changes. After an error, nothing
// else on the connection can be trusted. The error is errOtherList if the list,
// which an earlier connection has left, turns out to be a different one. While
// another server counts, the first message after a silence does not count for
// staleGrace or until the next one: the server may have been stopped while it
// was sending.
func (s *sources) take(src *source, u *update, now time.Time) error {
	if u.kind >= kindIgnored {
		src.counts = src.counts || src.returned && src.complete
		src.markHeard(now)
		return src.verify(u)
	}
	list, sum := src.list, src.sum
	switch u.kind {
	case kindList:
		list, sum = u.names, sumOf(u.names)
	case kindChange:
		if u.before != sum {
			return errWrongSum
		}
		var ok bool
		list, ok = edit(src.list, u.removed, u.added)
		switch {
		case !ok && src.resumed:
			return errOtherList
		case !ok:
			return errWrongSum
		}
		sum += sumOf(u.added) - sumOf(u.removed)
		fallthrough
	case kindBeat:
		if src.list == nil || u.sum != sum {
			return errWrongSum
		}
	}
	if wireSize(u.added) > 0 && wireSize(list) > maxListLen {
		return errListTooLong
	}
	returned := src.silent && slices.ContainsFunc(s.all, func(other *source) bool { return other.counts })
	src.markHeard(now)
	src.list, src.sum, src.complete = list, sum, u.complete
	src.resumed = src.resumed && u.kind != kindList
	src.returned = returned
	src.counts = src.counts || (u.complete || u.kind == kindList) && !returned
	return nil
}

// verify compares the list with a digest, unless it is known to be right.
func (src *source) verify(u *update) error {
	if u.kind != kindDigest || len(u.ignored) != sha256.Size || !src.resumed {
		return nil
	}
	if !bytes.Equal(u.ignored, digestOf(encodeList(src.list))) {
		return errOtherList
	}
	src.resumed = false
	return nil
}

// union returns the names in the lists of all servers that count. It returns
// nil if there is nothing new: when no server counts, or when all that count
// are incomplete and the last union came from a complete list.
func (s *sources) union() []string {
	var counted []*source
	complete := false
	for _, src := range s.all {
		if src.counts {
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
			// Usually there is one server, or all servers agree.
			all = src.list[:len(src.list):len(src.list)]
		} else if !slices.Equal(all, src.list) {
			all = append(all, src.list...)
			slices.Sort(all)
			all = slices.Compact(all)
		}
	}
	return all
}

// deadline returns when the next server will have been silent for too long, or
// zero if none is expected to speak.
func (s *sources) deadline() time.Time {
	var first time.Time
	for _, src := range s.all {
		if due, ok := src.due(); ok && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}

// due returns when a server has been silent for so long that it no longer
// counts or, if that has passed, that its connection is given up. Of a server
// that has returned it returns when its message counts. It returns false if the
// server is not connected, or sends the plain form and may be silent for any
// time.
func (src *source) due() (due time.Time, ok bool) {
	patience := max(missedBeats*src.beat, shortestPatience)
	switch {
	case src.returned:
		patience = staleGrace
	case src.silent:
		patience = max(lostBeats*src.beat, vanishedAfter)
	}
	return src.since.Add(patience), src.connected && src.beat > 0
}

// checkSilence finds the servers that have been silent for too long, which no
// longer count, and returns those whose connection is to be given up. A silent
// server counts again when it sends that its list is complete, like one that
// has just connected: it may have been stopped, and its names may be dead.
// checkSilence also counts the servers that have returned.
func (s *sources) checkSilence(now time.Time) (lost []*source) {
	for _, src := range s.all {
		if due, ok := src.due(); !ok || now.Before(due) {
			continue
		}
		if src.returned {
			src.returned, src.counts = false, src.complete
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

// excuse restarts the silence of all servers. It is called when the subscriber
// itself did not run for a while.
func (s *sources) excuse(now time.Time) {
	for _, src := range s.all {
		src.since = now
	}
}
