package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// A name that one server has removed does not come back through another one
// that has not noticed yet. While a server is away, nobody knows what it has
// noticed. So the names that others remove meanwhile are barred for it: they
// are left out of its list, until it shows that it knows better, or has had the
// time to find out.

// removal is a name that a server has removed.
type removal struct {
	name string
	at   time.Time
	by   *Source
}

// removals are the names that servers have removed lately, oldest first. There
// is one table for all servers, so that memory is bounded.
type removals struct {
	all    []removal
	trimAt int // the number of removals at which the old ones go
}

// bars are the names that are barred for a server. All of them are in the table
// of removals.
type bars struct {
	barred        map[string]bar
	blind         bool      // a removal was forgotten before the bar ended, so no name counts
	lastForgotten time.Time // when the last removal was made that was forgotten and could matter
}

// bar says since when and why a name is barred.
type bar struct {
	removed time.Time // elsewhere
	added   bool      // the server has added it itself since its return
}

// bar bars a name.
func (b *bars) bar(r removal) {
	if b.barred == nil {
		b.barred = make(map[string]bar)
	}
	b.barred[r.name] = bar{removed: r.at}
}

// lift ends the bars of names.
func (b *bars) lift(names []string) {
	if len(b.barred) == 0 {
		return
	}
	for _, name := range names {
		delete(b.barred, name)
	}
}

// recordAdded records that the server has added names itself. While it is new
// its messages may be from before, so their bars end when it is new no more.
func (b *bars) recordAdded(names []string) {
	if len(b.barred) == 0 {
		return
	}
	for _, name := range names {
		if bar, found := b.barred[name]; found {
			bar.added = true
			b.barred[name] = bar
		}
	}
}

// liftOld ends the bars that the server has had the time to find out about.
func (src *Source) liftOld(now time.Time) {
	if !now.Before(src.returned.Add(src.barTime())) {
		src.blind = false
	}
	for name, b := range src.barred {
		if !now.Before(src.liftAt(b)) {
			delete(src.barred, name)
		}
	}
}

// liftAt returns when a bar of a server that is not away ends.
func (src *Source) liftAt(b bar) time.Time {
	if b.added {
		return src.returned.Add(src.maxSilence())
	}
	return times.Latest(src.returned, b.removed).Add(src.barTime())
}

// barTime returns how long the server may need to find out that a name has
// gone: longer if it surveys seldom, and after it was away. After an outage TCP
// sends again about as late as the outage was long. Only then the last answer
// of a client arrives, with which its silence begins.
func (src *Source) barTime() time.Duration {
	if src.left.IsZero() {
		return src.minBarTime()
	}
	return src.minBarTime() + min(src.returned.Sub(src.left), maxRTO)
}

// minBarTime is barTime for a server that was never away.
func (src *Source) minBarTime() time.Duration { return max(BarTime, src.maxSilence()) }

// nextLift returns when liftOld will lift something, or zero for never.
func (src *Source) nextLift() (next time.Time) {
	if src.isAway() {
		return next
	}
	if src.blind {
		next = src.returned.Add(src.barTime())
	}
	for _, b := range src.barred {
		if at := src.liftAt(b); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// without returns a list without the names that are barred.
func (b *bars) without(list []string) []string {
	if len(b.barred) == 0 {
		return list
	}
	rest := make([]string, 0, len(list))
	for _, name := range list {
		if _, found := b.barred[name]; !found {
			rest = append(rest, name)
		}
	}
	return rest
}

// barRemoved records that a server has removed names. They are barred for the
// servers whose lists do not count, and for those that have just returned and
// do not list them, because a message of before may add them.
func (s *Sources) barRemoved(by *Source, names []string, now time.Time) {
	for _, name := range names {
		r := removal{strings.Clone(name), now, by}
		s.removals.all = append(s.removals.all, r)
		for _, src := range s.All {
			misses := !src.counts || src.isNew(now) && !src.lists(name)
			if src != by && misses {
				src.bar(r)
			}
		}
	}
	s.trim(now)
}

// barMissed bars the names that a server may not have noticed, as it goes away:
// those removed since its last message. Names that it has added itself no
// longer count for it.
func (s *Sources) barMissed(src *Source, now time.Time) {
	horizon := src.horizon(now)
	s.barIf(src, func(r removal) bool { return !r.at.Before(horizon) })
	for name, b := range src.barred {
		src.barred[name] = bar{removed: b.removed}
	}
}

// barListed bars the names on the list of a server that others have removed, as
// its grace ends. They leave the union then. A name that it has listed for long
// enough to find out, before it went away, is alive.
func (s *Sources) barListed(src *Source) {
	s.barIf(src, func(r removal) bool { return src.lists(r.name) && !src.knew(r, src.left) })
}

// knew reports whether the server has had the time to find out about a removal
// by another one until then.
func (src *Source) knew(r removal, until time.Time) bool { return until.Sub(r.at) > src.minBarTime() }

// barIf bars the names of some removals by others for a server, unless another
// one lists them.
func (s *Sources) barIf(src *Source, is func(removal) bool) {
	for _, r := range s.removals.all {
		listed := func(other *Source) bool { return other != src && other.isCounted() && other.lists(r.name) }
		if r.by != src && is(r) && !r.at.Before(src.excusedUntil) && !slices.ContainsFunc(s.All, listed) {
			src.bar(r)
		}
	}
}

// horizon returns since when a server may not have noticed what others have
// removed. A server in the plain form may have been silent for days, but its
// connection ends soon after its path.
func (src *Source) horizon(now time.Time) time.Time {
	heard := times.Latest(src.Heard, src.returned)
	if src.beat == 0 {
		return times.Latest(heard, now.Add(-VanishedAfter))
	}
	return heard
}

// trim drops the removals that concern no server any more. If too many are left
// it drops the oldest as well. A server for which such a name is barred is then
// blind. One that it concerns otherwise will be if it goes away soon.
func (s *Sources) trim(now time.Time) {
	r := &s.removals
	if len(r.all) < max(r.trimAt, minRemovals) {
		return
	}
	r.all = slices.DeleteFunc(r.all, func(old removal) bool {
		return !slices.ContainsFunc(s.All, func(src *Source) bool { return src.isConcerned(old, now) })
	})
	if excess := len(r.all) - maxRemovals/2; excess > 0 {
		for _, old := range r.all[:excess] {
			for _, src := range s.All {
				if _, found := src.barred[old.name]; found {
					delete(src.barred, old.name)
					src.blind = true
				} else if src != old.by && src.isConcerned(old, now) {
					src.lastForgotten = old.at
				}
			}
		}
		r.all = slices.Delete(r.all, 0, excess)
	}
	r.trimAt = min(2*len(r.all), maxRemovals)
}

// isConcerned reports whether a removal still matters for the server: it is one
// that the server may not have noticed, the name is barred, or the server lists
// it and may not know that it was removed.
func (src *Source) isConcerned(r removal, now time.Time) bool {
	until := now
	if !src.counts {
		until = src.left
	}
	return !src.isAway() && !r.at.Before(src.horizon(now)) ||
		src.barred[r.name].removed.Equal(r.at) ||
		src.lists(r.name) && !src.knew(r, until)
}

// revoke forgets the removals of names that are back.
func (r *removals) revoke(names []string) {
	if len(names) > 0 {
		r.all = slices.DeleteFunc(r.all, func(old removal) bool {
			_, isBack := slices.BinarySearch(names, old.name)
			return isBack
		})
	}
}
