package gopherdiscovery

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/dahernan/gopherdiscovery/internal/membership"
)

// newTestSources returns sources at the URLs "0", "1" and so on.
func newTestSources(n int) *sources {
	s := new(sources)
	for i := range n {
		s.all = append(s.all, &source{url: fmt.Sprint(i)})
	}
	return s
}

func listOf(complete bool, names ...string) *update {
	return &update{kind: kindList, complete: complete, names: append([]string{}, names...)}
}

func beatOf(complete bool, names ...string) *update {
	return &update{kind: kindBeat, complete: complete, sum: sumByHand(names...)}
}

func heldBeatOf(complete bool, names ...string) *update {
	return &update{kind: kindBeat, complete: complete, held: true, sum: sumByHand(names...)}
}

// changeOf returns a change of a list, valid or not.
func changeOf(complete bool, list, removed, added []string) *update {
	before := sumByHand(list...)
	return &update{
		kind: kindChange, complete: complete, before: before,
		sum: before - sumByHand(removed...) + sumByHand(added...), removed: removed, added: added,
	}
}

func mustTake(t *testing.T, s *sources, src *source, u *update, now time.Time) {
	t.Helper()
	if err := s.take(src, u, now); err != nil {
		t.Fatal(err)
	}
}

func expectUnion(t *testing.T, what string, s *sources, want ...string) {
	t.Helper()
	got := s.union()
	if !slices.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

var nobody = []string{}

func TestSourcesAt(t *testing.T) {
	s := newSources([]address{{"tcp", "a:1"}, {"tcp", "b:2"}})
	for i, url := range []string{"tcp://a:1", "tcp://b:2"} {
		if got := s.at(url); got != s.all[i] {
			t.Errorf("%s: got %+v, want source %d", url, got, i)
		}
	}
	s.replace(s.at("tcp://c:3"), []string{"stranger"}, newClock().at(0))
	expectUnion(t, "a list from a URL that is not one of them", s)
}

func TestUnionOfOneServer(t *testing.T) {
	now := newClock().at(0)
	s := newTestSources(1)
	src := s.all[0]
	expectUnion(t, "not connected", s)
	src.connect(time.Second, false, now)
	expectUnion(t, "connected", s)
	mustTake(t, s, src, listOf(false, "a"), now)
	expectUnion(t, "an incomplete list", s, "a")
	mustTake(t, s, src, listOf(false), now)
	expectUnion(t, "an incomplete empty list", s, nobody...)
	s.disconnect(src, now)
	expectUnion(t, "disconnected", s)
	src.connect(time.Second, false, now)
	mustTake(t, s, src, listOf(true), now)
	expectUnion(t, "a complete empty list", s, nobody...)
	mustTake(t, s, src, listOf(true, "a", "b"), now)
	expectUnion(t, "a complete list", s, "a", "b")
	s.disconnect(src, now)
	expectUnion(t, "disconnected after a complete list", s)
	src.connect(time.Second, false, now)
	mustTake(t, s, src, listOf(false, "b"), now)
	expectUnion(t, "an incomplete list after a complete one", s, "b")
	mustTake(t, s, src, beatOf(true, "b"), now)
	expectUnion(t, "a complete list again", s, "b")
	s.disconnect(src, now)
	src.connect(0, false, now)
	expectUnion(t, "connected in the plain form", s)
	s.replace(src, []string{"c"}, now)
	expectUnion(t, "a plain list", s, "c")
}

func TestUnionOfServers(t *testing.T) {
	now := newClock().at(0)
	s := newTestSources(3)
	for _, src := range s.all {
		src.connect(time.Second, false, now)
	}
	roomy := append(make([]string, 0, 8), "a")
	mustTake(t, s, s.all[0], &update{kind: kindList, names: roomy}, now)
	mustTake(t, s, s.all[1], listOf(false, "b"), now)
	expectUnion(t, "two incomplete lists", s, "a", "b")
	mustTake(t, s, s.all[1], beatOf(true, "b"), now)
	expectUnion(t, "one of them complete", s, "a", "b")
	mustTake(t, s, s.all[2], listOf(true, "a", "c"), now)
	expectUnion(t, "three lists", s, "a", "b", "c")
	if got := roomy[:2]; !slices.Equal(got, []string{"a", ""}) {
		t.Errorf("the union was made in the memory of a server's list: %q", got)
	}
	s.disconnect(s.all[1], now)
	expectUnion(t, "the second in its grace", s, "a", "b", "c")
	s.checkSilence(now.Add(graceOfAway))
	expectUnion(t, "the others silent, after the grace of the second", s)
	mustTake(t, s, s.all[0], beatOf(false, "a"), now)
	expectUnion(t, "the first one speaks again, the third is in its grace", s, "a", "c")
	mustTake(t, s, s.all[0], listOf(true, "a", "c"), now)
	expectUnion(t, "servers that agree", s, "a", "c")
}

// The list that a server sent on an earlier connection counts again with the
// first message that does not say that the subscriber is held.
func TestListOfAnEarlierConnection(t *testing.T) {
	now := newClock().at(0)
	list := []string{"a", "b"}
	for _, test := range []struct {
		name   string
		update *update
		want   []string
	}{
		{"a message to ignore", &update{kind: kindIgnored}, nil},
		{"a held beat", heldBeatOf(false, list...), nil},
		{"a held beat of a complete server", heldBeatOf(true, list...), nil},
		{"an incomplete beat", beatOf(false, list...), list},
		{"a complete beat", beatOf(true, list...), list},
		{"an incomplete change", changeOf(false, list, []string{"a"}, nil), []string{"b"}},
		{"a complete change", changeOf(true, list, []string{"a"}, nil), []string{"b"}},
		{"an incomplete list", listOf(false, "c"), []string{"c"}},
		{"a complete list", listOf(true, "c"), []string{"c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSources(1)
			src := s.all[0]
			src.connect(time.Second, false, now)
			mustTake(t, s, src, listOf(false, list...), now)
			s.disconnect(src, now)
			src.connect(time.Second, false, now)
			expectUnion(t, "before the server speaks", s)
			mustTake(t, s, src, test.update, now)
			expectUnion(t, "after it", s, test.want...)
		})
	}
}

// The first list of a server that was down before waits for clients that have
// waited as well. Another server's list does not wait, and neither does any
// list after the first.
func TestFirstListOfAnAwaitedServer(t *testing.T) {
	c := newClock()
	begin := func() (s *sources, src, other *source) {
		s = newTestSources(2)
		s.all[0].connect(time.Second, true, c.at(0))
		mustTake(t, s, s.all[0], listOf(false, "a"), c.at(100))
		expectUnion(t, "at first", s)
		return s, s.all[0], s.all[1]
	}
	t.Run("its time passes", func(t *testing.T) {
		s, src, _ := begin()
		c.expectAt(t, "deadline", s.deadline(), 1250)
		mustTake(t, s, src, listOf(false, "a", "b"), c.at(1099))
		s.checkSilence(c.at(1099))
		expectUnion(t, "after 1099 ms", s)
		s.checkSilence(c.at(1250))
		expectUnion(t, "after 1250 ms", s, "a", "b")
		c.expectAt(t, "deadline", s.deadline(), 1099+3000)
	})
	t.Run("it is complete", func(t *testing.T) {
		s, src, _ := begin()
		mustTake(t, s, src, beatOf(true, "a"), c.at(200))
		expectUnion(t, "complete", s, "a")
	})
	t.Run("another server has a list", func(t *testing.T) {
		s, src, other := begin()
		other.connect(time.Second, false, c.at(200))
		mustTake(t, s, other, listOf(false, "b"), c.at(200))
		expectUnion(t, "two servers", s, "a", "b")
		s.disconnect(src, c.at(300))
		src.connect(time.Second, true, c.at(400))
		mustTake(t, s, src, listOf(false, "c"), c.at(400))
		expectUnion(t, "a later list", s, "b", "c")
	})
	t.Run("in the plain form", func(t *testing.T) {
		s := newTestSources(1)
		s.all[0].connect(0, true, c.at(0))
		s.replace(s.all[0], []string{"a"}, c.at(0))
		expectUnion(t, "a plain list", s, "a")
	})
}

// A list that is not the first keeps no message in memory: its names are copies,
// or the strings of the list before.
func TestListsKeepTheirStrings(t *testing.T) {
	clock := newClock()
	message := "a|b|c"
	for _, form := range []string{"plain", "changes"} {
		t.Run(form, func(t *testing.T) {
			s := newTestSources(1)
			src := s.all[0]
			tell := func(names ...string) {
				if form == "plain" {
					s.replace(src, names, clock.at(0))
				} else {
					mustTake(t, s, src, listOf(true, names...), clock.at(0))
				}
			}
			src.connect(time.Second, false, clock.at(0))
			tell(message[0:1], message[2:3])
			first := slices.Clone(src.list)
			tell(message[0:1], message[4:5])
			if got := []string{"a", "c"}; !slices.Equal(src.list, got) || src.sum != sumByHand(got...) {
				t.Fatalf("got %q", src.list)
			}
			if unsafe.StringData(src.list[0]) != unsafe.StringData(first[0]) {
				t.Error("a name that stays has a new string")
			}
			if unsafe.StringData(src.list[1]) == unsafe.StringData(message[4:5]) {
				t.Error("a new name is part of the message")
			}
		})
	}
}

// A message that does not fit is an error, and changes nothing.
func TestTakeRefuses(t *testing.T) {
	clock := newClock()
	list := []string{"b", "d"}
	wrongBefore := changeOf(true, list, nil, []string{"c"})
	wrongBefore.before++
	wrongAfter := changeOf(true, list, nil, []string{"c"})
	wrongAfter.sum++
	long := listOf(true)
	for i := range membership.MaxListLen / (maxServiceLen + 1) {
		long.names = append(long.names, fmt.Sprintf("%0*d", maxServiceLen, i))
	}
	for _, test := range []struct {
		name   string
		first  *update // nil for none
		second *update
		want   error
	}{
		{"a wrong sum before", listOf(true, list...), wrongBefore, errWrongSum},
		{"a wrong sum after", listOf(true, list...), wrongAfter, errWrongSum},
		{"a change of another list", listOf(true, list...), changeOf(true, []string{"x"}, nil, []string{"c"}), errWrongSum},
		{"removes what is absent", listOf(true, list...), changeOf(true, list, []string{"c"}, nil), errWrongSum},
		{"removes what is beyond the list", listOf(true, list...), changeOf(true, list, []string{"e"}, nil), errWrongSum},
		{"adds what is present", listOf(true, list...), changeOf(true, list, nil, []string{"d"}), errWrongSum},
		{"removes and adds the same", listOf(true, list...), changeOf(true, list, []string{"d"}, []string{"d"}), errWrongSum},
		{"removes and adds the same new name", listOf(true, list...), changeOf(true, list, []string{"c"}, []string{"c"}), errWrongSum},
		{"a beat with a wrong sum", listOf(true, list...), beatOf(true, "b"), errWrongSum},
		{"a change without a list", nil, changeOf(true, nil, nil, []string{"a"}), errWrongSum},
		{"a beat without a list", nil, beatOf(true), errWrongSum},
		{"a list that grows too long", long, changeOf(true, long.names, nil, []string{strings.Repeat("x", maxServiceLen)}), errListTooLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSources(1)
			src := s.all[0]
			src.connect(time.Second, false, clock.at(0))
			if test.first != nil {
				mustTake(t, s, src, test.first, clock.at(1))
			}
			before := *src
			if err := s.take(src, test.second, clock.at(2)); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if src.sum != before.sum || src.heard != before.heard || src.complete != before.complete || !slices.Equal(src.list, before.list) {
				t.Error("the message has changed something all the same")
			}
		})
	}
}

// If a change does not fit the list that an earlier connection has left,
// although the sum is right, the list is a different one with the same sum. A
// list that came on the connection is known to be right.
func TestChangesOfAnotherListOfTheSameSum(t *testing.T) {
	list := []string{"a", "b"}
	misfit := changeOf(true, list, []string{"c"}, nil)
	for _, test := range []struct {
		name   string
		before []*update
		update *update
		want   error
	}{
		{"removes what is absent", nil, misfit, errOtherList},
		{"adds what is present", nil, changeOf(true, list, nil, []string{"a"}), errOtherList},
		{"after a beat", []*update{beatOf(true, list...)}, misfit, errOtherList},
		{"after a change", []*update{changeOf(true, list, nil, []string{"d"})}, changeOf(true, []string{"a", "b", "d"}, []string{"c"}, nil), errOtherList},
		{"after a list", []*update{listOf(true, list...)}, misfit, errWrongSum},
		{"of a list with another sum", nil, changeOf(true, []string{"c"}, []string{"c"}, nil), errWrongSum},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newClock()
			s := newTestSources(1)
			src := s.all[0]
			src.connect(time.Second, false, clock.at(0))
			mustTake(t, s, src, listOf(true, list...), clock.at(0))
			s.disconnect(src, clock.at(0))
			src.connect(time.Second, false, clock.at(0))
			for _, u := range test.before {
				mustTake(t, s, src, u, clock.at(1))
			}
			before := *src
			if err := s.take(src, test.update, clock.at(2)); err != test.want {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if src.sum != before.sum || src.heard != before.heard || src.counts != before.counts || !slices.Equal(src.list, before.list) {
				t.Error("the message has changed something all the same")
			}
			src.forget()
			if err := s.take(src, beatOf(true), clock.at(3)); err != errWrongSum {
				t.Errorf("a beat after the list is forgotten: got error %v, want %v", err, errWrongSum)
			}
		})
	}
}

func TestTake(t *testing.T) {
	clock := newClock()
	s := newTestSources(1)
	src := s.all[0]
	src.connect(time.Second, false, clock.at(0))
	for i, test := range []struct {
		update *update
		want   []string
	}{
		{listOf(false), nobody},
		{changeOf(false, nil, nil, []string{"b", "d"}), []string{"b", "d"}},
		{changeOf(true, []string{"b", "d"}, []string{"b"}, []string{"a", "c", "e"}), []string{"a", "c", "d", "e"}},
		{beatOf(false, "a", "c", "d", "e"), []string{"a", "c", "d", "e"}},
		{changeOf(true, []string{"a", "c", "d", "e"}, []string{"a", "c", "d", "e"}, nil), nobody},
		{beatOf(true), nobody},
		{listOf(true, "z"), []string{"z"}},
	} {
		mustTake(t, s, src, test.update, clock.at(i))
		if src.list == nil || !slices.Equal(src.list, test.want) || src.sum != sumByHand(test.want...) || src.complete != test.update.complete {
			t.Errorf("message %d: got %q with sum %#x, complete %t, want %q with %#x, %t",
				i, src.list, src.sum, src.complete, test.want, sumByHand(test.want...), test.update.complete)
		}
		clock.expectAt(t, "heard", src.heard, i)
	}
}

// A server's list takes memory for its names, but not for the messages that
// brought them.
func TestChangesLeaveNoMemoryBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const many, rounds = 2000, 50
	now := newClock().at(0)
	var crowd []string
	for i := range many {
		crowd = append(crowd, fmt.Sprintf("%0*d", maxServiceLen, i))
	}
	s := newTestSources(1)
	src := s.all[0]
	src.connect(time.Second, false, now)
	mustTake(t, s, src, listOf(true), now)
	decoded := func(u *update) *update {
		u, err := decodeUpdate(u.encode())
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range rounds {
		one := fmt.Sprintf("x%03d", i)
		mustTake(t, s, src, decoded(changeOf(true, src.list, nil, append(slices.Clone(crowd), one))), now)
		mustTake(t, s, src, decoded(changeOf(true, src.list, append(slices.Clone(crowd), one), []string{fmt.Sprintf("y%03d", i)})), now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(src.list) != rounds {
		t.Fatalf("got %d names, want %d", len(src.list), rounds)
	}
	if got, most := int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4*many*maxServiceLen); got > most {
		t.Errorf("a list of %d short names takes %d bytes more, want at most %d", rounds, got, most)
	}
	runtime.KeepAlive(src)
}

// Silence is counted in beats, but with quick beats it lasts at least a second.
func TestSilence(t *testing.T) {
	c := newClock()
	for _, test := range []struct {
		name          string
		beat          time.Duration
		silent, again int // in milliseconds after the last message
	}{
		{"quick beats", 50 * ms, 1000, 30000},
		{"usual beats", 2 * time.Second, 6000, 30000},
		{"slow beats", time.Minute, 180000, 600000},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSources(1)
			src := s.all[0]
			c.expectAt(t, "deadline without a connection", s.deadline(), -1)
			src.connect(test.beat, false, c.at(0))
			c.expectAt(t, "deadline of a server that has said nothing yet", s.deadline(), test.silent)
			mustTake(t, s, src, listOf(true, "a"), c.at(100))
			c.expectAt(t, "deadline after a message", s.deadline(), 100+test.silent)
			if lost := s.checkSilence(c.at(100 + test.silent - 1)); len(lost) > 0 || src.isAway() {
				t.Error("silent a millisecond early")
			}
			if lost := s.checkSilence(c.at(100 + test.silent)); len(lost) > 0 || !src.isAway() {
				t.Errorf("got silent %t, and %d to be given up, want true and none", src.isAway(), len(lost))
			}
			expectUnion(t, "silent", s)
			grace := 100 + test.silent + 30000
			c.expectAt(t, "deadline of a silent server", s.deadline(), min(100+test.again, grace))
			if lost := s.checkSilence(c.at(100 + test.again - 1)); len(lost) > 0 {
				t.Error("given up a millisecond early")
			}
			if lost := s.checkSilence(c.at(100 + test.again)); len(lost) != 1 || lost[0] != src {
				t.Errorf("%d servers are given up, want this one", len(lost))
			}
			src.graceEnd = time.Time{}
			c.expectAt(t, "deadline of one that is given up", s.deadline(), 100+2*test.again)
			mustTake(t, s, src, beatOf(true, "a"), c.at(200+test.again))
			expectUnion(t, "the server speaks again", s, "a")
			c.expectAt(t, "deadline when it speaks again", s.deadline(), 200+test.again+test.silent)
			s.disconnect(src, c.at(300+test.again))
			c.expectAt(t, "deadline after the connection", s.deadline(), 300+test.again+30000)
			if lost := s.checkSilence(c.at(1e8)); len(lost) > 0 {
				t.Error("a connection that has ended is given up")
			}
			c.expectAt(t, "deadline after the grace", s.deadline(), -1)
		})
	}
}

// The plain form has no beats, so silence means nothing.
func TestPlainServersMayBeSilent(t *testing.T) {
	c := newClock()
	s := newTestSources(1)
	s.all[0].connect(0, false, c.at(0))
	s.replace(s.all[0], []string{"a"}, c.at(0))
	c.expectAt(t, "deadline", s.deadline(), -1)
	if lost := s.checkSilence(c.at(1e9)); len(lost) > 0 {
		t.Error("given up")
	}
	expectUnion(t, "after days", s, "a")
}

func TestSilenceOfSeveral(t *testing.T) {
	c := newClock()
	s := newTestSources(3)
	for i, beat := range []time.Duration{2 * time.Second, time.Second, 0} {
		s.all[i].connect(beat, false, c.at(0))
	}
	c.expectAt(t, "deadline", s.deadline(), 3000)
	s.checkSilence(c.at(3000))
	c.expectAt(t, "deadline when one is silent", s.deadline(), 6000)
	s.checkSilence(c.at(6000))
	if got := []bool{s.all[0].isAway(), s.all[1].isAway(), s.all[2].isAway()}; !slices.Equal(got, []bool{true, true, true}) {
		t.Errorf("away: got %v, want all, because the third has said nothing yet", got)
	}
	s.excuse(c.at(29000), 20*time.Second) // the subscriber did not run
	if lost := s.checkSilence(c.at(30000)); len(lost) > 0 {
		t.Errorf("%d are given up for a silence that is excused", len(lost))
	}
	c.expectAt(t, "deadline after the excuse", s.deadline(), 59000)
	if lost := s.checkSilence(c.at(59000)); !slices.Equal(lost, s.all[:2]) {
		t.Errorf("%d are given up, want the first two", len(lost))
	}
	s.all[0].connect(time.Second, false, c.at(60000))
	if s.all[0].isAway() {
		t.Error("a new connection begins silent")
	}
}
