package gopherdiscovery

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// clusterOracle knows what happens in a cluster, and says what the lists must
// and must not be.
type clusterOracle struct {
	c            *clusterSim
	failure      string
	settledSince time.Duration // since then no fault has an effect any more
	ends         []time.Duration
	starts       []time.Duration
}

// fail records what is wrong first.
func (o *clusterOracle) fail(format string, args ...any) {
	if o.failure == "" {
		o.failure = fmt.Sprintf("at %.3f: ", o.c.now.Seconds()) + fmt.Sprintf(format, args...)
		o.c.log("FAILURE: %s", o.failure)
	}
}

// disturb records that a fault has an effect for a time, after which all lists
// are as they must be: the clients return, subscribers are held no longer.
func (o *clusterOracle) disturb(d time.Duration) {
	o.settledSince = max(o.settledSince, o.c.now+o.c.recovery(d))
}

func (c *clusterSim) recovery(d time.Duration) time.Duration {
	return d + c.slack() + c.herd() + c.options.ReturnTime + c.network()
}

// network returns how long a few messages one after the other may take.
func (c *clusterSim) network() time.Duration {
	d := 6*c.latency + 60*c.jitter + 2*c.react
	if c.loss > 0 {
		d += 20 * time.Second
	}
	return d
}

// slack returns how long a client may take to begin a handshake where nothing
// keeps it from that: it notices the end of its connection after the first
// probe, and its attempt to connect has to end before the next one begins.
// Where segments are lost there is no such time.
func (c *clusterSim) slack() time.Duration {
	if c.loss > 0 {
		return time.Hour
	}
	return sp.KeepAlive.Idle + 500*time.Millisecond + 6*c.latency + 20*c.jitter
}

// herd returns how long the handshakes of all take.
func (c *clusterSim) herd() time.Duration {
	d := time.Duration(len(c.living())+len(c.subscribers)) * c.handshakeCost
	if d > sp.HandshakeTime {
		d += 2 * sp.HandshakeTime
	}
	return d
}

// died records that a client has ended as far as anyone knows, and schedules
// the check that its name is gone.
func (o *clusterOracle) died(l *clusterClient) {
	how, ended := l.end, o.c.now
	if l.isTroubled() {
		how = clusterVanishes // nobody may notice
	}
	l.ended = ended
	for _, s := range o.c.subscribers {
		delete(s.gone, l.name)
	}
	o.checkSettled(ended, func() time.Duration { return o.goneWithin(how) }, func(s *clusterSubscriber) {
		if s.has(l.name) && l.ended == ended {
			o.fail("%s has %s, which %s at %.3f", s.name, l.name, l.end, l.ended.Seconds())
		}
	})
}

// goneWithin returns how long a name may stay after the end of its client, if
// nothing else happens.
func (o *clusterOracle) goneWithin(end clusterEnding) time.Duration {
	c := o.c
	together := o.network() + 1200*time.Millisecond
	if c.servers > 1 { // one of them may have been away, or have its grace
		together += wire.BarTime + wire.GraceOfAway
	}
	if len(o.ends) > 0 { // perhaps a mass departure
		together += c.options.ReturnTime + c.herd() + 30*time.Second
	}
	poll := c.options.PollTime + c.options.SurveyTime + 500*time.Millisecond
	silence := poll + max(30*time.Second+poll, time.Duration(c.options.MissedSurveys)*poll) + c.network()
	switch end {
	case clusterLeaves:
		if c.servers == 1 {
			return c.network() + 50*time.Millisecond
		}
		return together
	case clusterKilled:
		return together
	}
	return max(silence, 25*time.Second+together)
}

func (o *clusterOracle) network() time.Duration { return o.c.network() + 10*o.c.loopTime }

// checkJoin schedules the check that a name is seen.
func (o *clusterOracle) checkJoin(l *clusterClient) {
	startedAt := o.c.now
	o.starts = append(o.starts, startedAt)
	within := func() time.Duration {
		d := o.network() + 2*o.c.options.JoinInterval + 50*time.Millisecond + o.c.herd()
		for _, other := range o.starts {
			if other != startedAt && other-startedAt < time.Second && startedAt-other < 2*time.Second {
				return d + time.Second // the pace of lists
			}
		}
		return d
	}
	o.checkSettled(startedAt, within, func(s *clusterSubscriber) {
		if l.end == clusterLives && !s.has(l.name) && !l.isExcused() {
			o.fail("%s lacks %s, which started at %.3f", s.name, l.name, startedAt.Seconds())
		}
	})
}

// checkSettled checks each subscriber when nothing has disturbed it for a time.
func (o *clusterOracle) checkSettled(since time.Duration, within func() time.Duration, check func(*clusterSubscriber)) {
	for _, s := range o.c.subscribers {
		var look func()
		look = func() {
			at := max(since, o.settledSince, s.settledSince) + within()
			if o.c.now >= at {
				check(s)
				return
			}
			o.c.after(at-o.c.now, look)
		}
		look()
	}
}

// changed checks a new list of a subscriber, which comes from a message that
// was sent at a time, or from none if that is zero.
func (o *clusterOracle) changed(s *clusterSubscriber, removed, added []string, sent time.Duration) {
	told := sent // a subscriber that was stopped reads what is old
	if sent == 0 {
		told = o.c.now
	}
	for _, l := range o.c.clients {
		_, leaves := slices.BinarySearch(removed, l.name)
		_, joins := slices.BinarySearch(added, l.name)
		switch {
		case leaves && l.end == clusterLives:
			o.left(s, l, sent)
		case leaves && told > l.ended+2*time.Second+o.network():
			s.gone[l.name] = o.c.now
		case joins && s.returned(l.name, sent) && s.couldKnow(l.name):
			o.fail("%s has %s again, which %s at %.3f", s.name, l.name, l.end, l.ended.Seconds())
		}
	}
}

// left checks that a living client may leave a list. With several servers it
// may not if it is well at all of them.
func (o *clusterOracle) left(s *clusterSubscriber, l *clusterClient, sent time.Duration) {
	why := ""
	for _, link := range l.links {
		if sent > 0 && link.watch.wasMissing(sent) {
			return
		}
		if why = link.watch.unjustified(); why == "" {
			return
		}
	}
	o.fail("%s loses %s: %s", s.name, l.name, why)
}

// first checks the first list of a subscriber.
func (o *clusterOracle) first(s *clusterSubscriber, list []string) {
	starts := !slices.ContainsFunc(o.c.addresses, func(a *clusterAddress) bool {
		return a.server() == nil || o.c.now-a.server().started >= o.c.options.ReturnTime
	})
	if starts && len(list) == 0 {
		o.fail("%s is told that nobody is there, and the server has just started", s.name)
	}
}

// finish checks that after a long time of rest everyone knows everyone.
func (o *clusterOracle) finish() {
	want := []string{}
	for _, l := range o.c.living() {
		want = append(want, l.name)
	}
	slices.Sort(want)
	for _, s := range o.c.subscribers {
		if !slices.Equal(s.list, want) {
			o.fail("in the end %s has %v, want %v", s.name, s.list, want)
		}
	}
}

// serverOracle knows what a server has been told.
type serverOracle struct {
	server  *clusterServer
	resumed time.Duration // when somebody was announced after nobody
	ends    []time.Duration
	stopped time.Duration
}

func newServerOracle(s *clusterServer) serverOracle {
	return serverOracle{server: s, stopped: -time.Hour}
}

// announced returns how many connections announce each name. Those that were
// dropped for their silence do not.
func (o *serverOracle) announced() map[string]int {
	names := make(map[string]int)
	for _, r := range o.server.plan.All() {
		if name := r.link.client.name; o.server.plan.Announces(r, name) {
			names[name]++
		}
	}
	return names
}

func (o *serverOracle) address() *clusterAddress {
	for _, a := range o.server.c.addresses {
		if a.server() == o.server {
			return a
		}
	}
	return nil
}

// answered records an answer that the server is about to read. If it was sent
// long ago and brings a name back, the client has not ended as far as anyone
// knows.
func (o *serverOracle) answered(answer clusterAnswer) {
	r, l := answer.from, answer.from.link.client
	if answer.leaves {
		o.goneBy(l.name, 0)
		return
	}
	names := o.announced()
	if a := o.address(); a != nil && len(names) == 0 {
		o.resumed = a.clock(o.server.c)
	}
	if names[l.name] == 0 {
		r.link.watch.announced()
	}
	switch {
	case l.end != clusterLives:
		if !slices.Contains(o.server.list, l.name) {
			o.server.c.oracle.died(l)
		}
	case !r.end.closed:
		r.link.watch.answered()
	}
}

// published checks the new list of the server.
func (o *serverOracle) published(list []string) {
	c, a := o.server.c, o.address()
	if a == nil {
		return
	}
	removed, added := wire.Compare(o.server.list, list)
	c.log("%s: -%v +%v", o.server.process.host.name, removed, added)
	for _, l := range c.living() {
		if _, is := slices.BinarySearch(added, l.name); is {
			l.at(a).watch.comes(c.now)
		}
		if _, is := slices.BinarySearch(removed, l.name); !is {
			continue
		}
		w := &l.at(a).watch
		w.goes(c.now)
		if why := w.unjustified(); why != "" {
			c.oracle.fail("the server loses %s: %s", l.name, why)
		}
	}
}

// greets records that a subscriber is told the list, in which living clients
// may be missing that have not come to this server yet.
func (o *serverOracle) greets() {
	c, a := o.server.c, o.address()
	if a == nil {
		return
	}
	for _, l := range c.living() {
		w := &l.at(a).watch
		if _, has := slices.BinarySearch(o.server.list, l.name); !has && w.unjustified() == "" {
			w.goes(c.now)
		}
	}
}

// recentEnds returns how many ends may count when the next one comes.
func (o *serverOracle) recentEnds() (n int) {
	for _, at := range o.ends {
		if o.server.process.host.clock()-at < 1100*time.Millisecond {
			n++
		}
	}
	return n
}

// ended records an end that the server is about to notice. If it is the only
// one, it is told soon, whatever has happened before. If nothing has arrived at
// the client, the server cannot tell whether the network to all has failed.
func (o *serverOracle) ended(r *clusterSession) {
	name := r.link.client.name
	if !o.server.plan.Announces(r, name) || o.announced()[name] > 1 {
		return
	}
	r.link.watch.timedOut = r.end.timedOut
	c, now := o.server.c, o.server.process.host.clock()
	c.oracle.ends = append(c.oracle.ends, c.now)
	o.ends = append(o.ends, now)
	only := len(o.ends) == 1 || now-o.ends[len(o.ends)-2] > 1100*time.Millisecond
	if !only || r.end.timedOut || now-o.stopped < 1100*time.Millisecond || !slices.Contains(o.server.list, name) {
		return
	}
	count := len(o.ends)
	o.server.process.after(15*time.Millisecond, func() {
		if len(o.ends) == count {
			o.goneBy(name, 10*time.Millisecond)
		}
	})
}

// goneBy checks that a name that nobody announces is gone after a time.
func (o *serverOracle) goneBy(name string, d time.Duration) {
	s, count, began := o.server, len(o.ends), o.server.c.now
	d += 5*time.Millisecond + 4*s.c.loopTime
	s.process.after(d, func() {
		late := s.c.now-began > d+time.Millisecond // it was stopped
		if o.announced()[name] == 0 && len(o.ends) == count && !late && slices.Contains(s.list, name) {
			s.c.oracle.fail("the server has %s, which has left alone", name)
		}
	})
}

// clusterWatch knows whether a client could be announced at a server.
type clusterWatch struct {
	link      *clusterLink
	able      bool // it runs, the server does, and the network between them
	ableSince time.Duration

	// disrupted is true from the loss of a connection or of the ability until
	// an answer has come since. All times are on the clock of the server.
	disrupted    bool
	since        time.Duration
	server       *clusterServer   // that it began at; nil if that has ended
	alone        bool             // it was alone, or one of few
	hit          *clusterHit      // what has hit it while it was announced; nil if not known
	timedOut     bool             // the server's machine has given its last connection up
	left         bool             // it has left a list, rightly
	absences     []clusterAbsence // from the server's list
	excusedUntil time.Duration
}

// clusterHit is something that has hit announced clients at once. Clients that
// are announced soon after it make them fewer of all.
type clusterHit struct {
	names, listed int
	until         time.Duration // on the clock of the server
}

// isMass reports whether the clients are so many that they have time to return.
func (h *clusterHit) isMass() bool {
	return h.names >= 3 && 10*h.names > 6*h.listed || h.names >= 2 && h.names == h.listed
}

// isAlone reports whether it was hit alone, or with few others.
func (w *clusterWatch) isAlone() bool { return w.alone || w.hit != nil && !w.hit.isMass() }

// clusterAbsence is a time in which a living client was rightly missing from
// the list of a server. The end is zero while it is.
type clusterAbsence struct{ from, until time.Duration }

// goes records that a client is rightly missing from now on.
func (w *clusterWatch) goes(now time.Duration) {
	w.comes(now)
	w.absences = append(w.absences, clusterAbsence{from: now})
}

// comes records that it is not, or must not be, any more.
func (w *clusterWatch) comes(now time.Duration) {
	if n := len(w.absences); n > 0 && w.absences[n-1].until == 0 {
		w.absences[n-1].until = now
	}
}

// wasMissing reports whether it was rightly missing at a time.
func (w *clusterWatch) wasMissing(at time.Duration) bool {
	return slices.ContainsFunc(w.absences, func(a clusterAbsence) bool {
		return a.from <= at && (a.until == 0 || at <= a.until)
	})
}

// clock returns the time for which servers have run at the address.
func (a *clusterAddress) clock(c *clusterSim) time.Duration {
	if a.running {
		return a.ran + c.now - a.since
	}
	return a.ran
}

// update reports whether a server runs that did not.
func (a *clusterAddress) update(c *clusterSim) (resumed bool) {
	s := a.server()
	if s != nil && s.process.briefly {
		return false
	}
	running := s != nil && !s.process.stopped && !s.process.host.suspended && !s.process.host.dead
	if running != a.running {
		a.ran, a.since, a.running = a.clock(c), c.now, running
		return running
	}
	return false
}

func (a *clusterAddress) server() *clusterServer {
	if a.host == nil {
		return nil
	}
	return a.host.listens
}

// observe looks which clients are able to be announced. It is called after each
// event that may change that.
func (c *clusterSim) observe() {
	for _, a := range c.addresses {
		resumed := a.update(c)
		var unable []*clusterLink
		for _, l := range c.living() {
			link := l.at(a)
			// After a stop of the server, some may be disrupted by themselves.
			if w := &link.watch; w.update() || resumed && !w.able && w.server == a.server() {
				unable = append(unable, link)
			}
		}
		c.disrupt(a, unable, false)
	}
}

// until observes again after a time.
func (c *clusterSim) until(d time.Duration) {
	c.observe()
	c.after(d+time.Nanosecond, c.observe)
}

func (l *clusterClient) at(a *clusterAddress) *clusterLink {
	return l.links[slices.IndexFunc(l.links, func(link *clusterLink) bool { return link.address == a })]
}

// isTroubled reports whether the client has lost a connection or its ability.
func (l *clusterClient) isTroubled() bool {
	return slices.ContainsFunc(l.links, func(link *clusterLink) bool { return link.watch.disrupted })
}

// isExcused reports whether the client may be missing for a reason of its own.
func (l *clusterClient) isExcused() bool {
	return slices.ContainsFunc(l.links, func(link *clusterLink) bool {
		return link.watch.isAlone() || link.watch.excusedUntil > l.c.now
	})
}

// update reports whether the client has just become unable.
func (w *clusterWatch) update() (unable bool) {
	l := w.link
	s := l.address.server()
	able := l.address.running && s != nil && !l.client.process.stopped &&
		!l.client.c.areCut(l.client.process.host, s.process.host)
	was := w.able
	w.able = able
	if able && !was {
		w.ableSince = l.address.clock(l.client.c)
	}
	return was && !able
}

// disrupt records that something has hit clients at once: it has cut their
// connections, or they are not able any more.
func (c *clusterSim) disrupt(a *clusterAddress, hit []*clusterLink, cut bool) {
	mass := !cut && !a.running
	var h clusterHit
	s := a.server()
	var announced map[string]int
	if s != nil {
		announced = s.oracle.announced()
		h.listed = len(announced) + s.oracle.recentEnds()
		for _, link := range hit {
			h.names += min(1, announced[link.client.name])
		}
		if h.until = a.clock(c) + 1100*time.Millisecond; !cut { // their silence is noticed later
			h.until = math.MaxInt64
		}
	}
	for _, link := range hit {
		w := &link.watch
		if !mass && h.isMass() && announced[link.client.name] > 0 {
			w.hit = &h
		}
		if !w.disrupted {
			w.disrupted, w.since, w.server = true, a.clock(c), a.server()
		}
		w.alone = w.alone || !mass && !h.isMass()
	}
}

// announced records that a client is announced that was not before.
func (w *clusterWatch) announced() {
	a, hits := w.link.address, make(map[*clusterHit]bool)
	for _, l := range w.link.client.c.living() {
		if h := l.at(a).watch.hit; h != nil && h != w.hit && a.clock(l.c) < h.until && !hits[h] {
			hits[h] = true
			h.listed++
		}
	}
}

// answered records that the server has read an answer of the client.
func (w *clusterWatch) answered() {
	c := w.link.client.c
	if !w.able || !w.disrupted {
		return
	}
	if w.isAlone() || w.left {
		w.excusedUntil = c.now + time.Second + c.oracle.network()
	}
	w.disrupted, w.alone, w.timedOut, w.left, w.hit = false, false, false, false, nil
}

// unjustified returns why the client, which lives, must not leave now, or
// nothing if it may.
func (w *clusterWatch) unjustified() string {
	c, a := w.link.client.c, w.link.address
	clock, returnTime := a.clock(c), c.options.ReturnTime
	switch {
	case w.isAlone() || c.now < w.excusedUntil:
		w.left = true
		return ""
	case w.link.main != nil && w.link.main.isUnlucky():
		w.disrupted, w.left = true, true
		return ""
	case !w.disrupted:
		return "nothing has happened to it"
	}
	since := w.since
	if w.timedOut { // its machine has counted on while the server was stopped
		since = min(since, clock-clusterServerEnd)
	}
	if s := a.server(); s != nil && s == w.server {
		switch {
		case len(s.oracle.announced()) == 0:
			since += longestClusterOutage
		default:
			since = min(since+longestClusterOutage, max(since, s.oracle.resumed))
		}
	}
	switch by := since + returnTime; {
	case clock < by-300*time.Millisecond:
		return fmt.Sprintf("it was disrupted only %.3f s ago", (clock - since).Seconds())
	case !w.able || w.ableSince+c.slack() > by:
		w.left = true
		return ""
	}
	return fmt.Sprintf("it has been able to return for %.3f s", (clock - w.ableSince).Seconds())
}

const longestClusterOutage = 30 * time.Second
