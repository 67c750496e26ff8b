package gopherdiscovery

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
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
	s.at("tcp://c:3").replace([]string{"stranger"}, time.Time{})
	expectUnion(t, "a list from a URL that is not one of them", s)
}

func TestUnionOfOneServer(t *testing.T) {
	now := newClock().at(0)
	s := newTestSources(1)
	src := s.all[0]
	expectUnion(t, "not connected", s)
	src.connect(time.Second, now)
	expectUnion(t, "connected", s)
	mustTake(t, s, src, listOf(false, "a"), now)
	expectUnion(t, "an incomplete list", s, "a")
	mustTake(t, s, src, listOf(false), now)
	expectUnion(t, "an incomplete empty list", s, nobody...)
	src.disconnect()
	expectUnion(t, "disconnected", s)
	src.connect(time.Second, now)
	mustTake(t, s, src, listOf(true), now)
	expectUnion(t, "a complete empty list", s, nobody...)
	mustTake(t, s, src, listOf(true, "a", "b"), now)
	expectUnion(t, "a complete list", s, "a", "b")
	src.disconnect()
	expectUnion(t, "disconnected after a complete list", s)
	src.connect(time.Second, now)
	mustTake(t, s, src, listOf(false, "b"), now)
	expectUnion(t, "an incomplete list after a complete one", s)
	mustTake(t, s, src, beatOf(true, "b"), now)
	expectUnion(t, "a complete list again", s, "b")
	src.connect(0, now)
	expectUnion(t, "connected in the plain form", s)
	src.replace([]string{"c"}, now)
	expectUnion(t, "a plain list", s, "c")
}

func TestUnionOfServers(t *testing.T) {
	now := newClock().at(0)
	s := newTestSources(3)
	for _, src := range s.all {
		src.connect(time.Second, now)
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
	s.all[1].disconnect()
	expectUnion(t, "without the second", s, "a", "c")
	s.all[2].silent, s.all[2].counts = true, false
	expectUnion(t, "nothing complete, after what was", s)
	mustTake(t, s, s.all[0], beatOf(true, "a"), now)
	expectUnion(t, "the first one complete", s, "a")
	mustTake(t, s, s.all[2], beatOf(true, "a", "c"), now)
	expectUnion(t, "the third speaks again", s, "a")
	mustTake(t, s, s.all[2], beatOf(true, "a", "c"), now)
	expectUnion(t, "and once more", s, "a", "c")
	mustTake(t, s, s.all[0], listOf(true, "a", "c"), now)
	expectUnion(t, "servers that agree", s, "a", "c")
}

// The list that a server sent on an earlier connection counts again when the
// server says that it is complete.
func TestListOfAnEarlierConnection(t *testing.T) {
	now := newClock().at(0)
	list := []string{"a", "b"}
	for _, test := range []struct {
		name   string
		update *update
		want   []string
	}{
		{"an incomplete beat", beatOf(false, list...), nil},
		{"a complete beat", beatOf(true, list...), list},
		{"an incomplete change", changeOf(false, list, []string{"a"}, nil), nil},
		{"a complete change", changeOf(true, list, []string{"a"}, nil), []string{"b"}},
		{"an incomplete list", listOf(false, "c"), []string{"c"}},
		{"a complete list", listOf(true, "c"), []string{"c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSources(1)
			src := s.all[0]
			src.connect(time.Second, now)
			mustTake(t, s, src, listOf(false, list...), now)
			src.disconnect()
			src.connect(time.Second, now)
			expectUnion(t, "before the server speaks", s)
			mustTake(t, s, src, test.update, now)
			expectUnion(t, "after it", s, test.want...)
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
	for i := range maxListLen / (maxServiceLen + 1) {
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
			src.connect(time.Second, clock.at(0))
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

// A list that an earlier connection has left is verified once. A list that came
// on the connection is known to be right.
func TestVerify(t *testing.T) {
	digest := func(names ...string) *update {
		return &update{kind: kindDigest, ignored: []byte(digestByHand(names))}
	}
	right, wrong := digest("a", "b"), digest("a")
	other := digest("a")
	other.kind++
	short := &update{kind: kindDigest, ignored: right.ignored[1:]}
	list := []string{"a", "b"}
	for _, test := range []struct {
		name   string
		script []*update
		want   error
	}{
		{"right", []*update{beatOf(true, list...), right}, nil},
		{"wrong", []*update{beatOf(true, list...), wrong}, errOtherList},
		{"wrong at once", []*update{wrong}, errOtherList},
		{"right after a change", []*update{changeOf(true, list, nil, []string{"c"}), digest("a", "b", "c")}, nil},
		{"wrong after a change", []*update{changeOf(true, list, nil, []string{"c"}), right}, errOtherList},
		{"a change of the other list", []*update{changeOf(true, list, []string{"c"}, nil)}, errOtherList},
		{"a change of the right list", []*update{right, changeOf(true, list, []string{"c"}, nil)}, errWrongSum},
		{"a change of a list with another sum", []*update{changeOf(true, []string{"c"}, []string{"c"}, nil)}, errWrongSum},
		{"once is enough", []*update{right, wrong}, nil},
		{"after a list there is nothing to verify", []*update{listOf(true, "x"), wrong}, nil},
		{"another kind", []*update{other}, nil},
		{"too short", []*update{short, {kind: kindDigest}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newClock()
			s := newTestSources(1)
			src := s.all[0]
			src.connect(time.Second, clock.at(0))
			mustTake(t, s, src, listOf(true, list...), clock.at(0))
			src.disconnect()
			src.connect(time.Second, clock.at(0))
			last := len(test.script) - 1
			for i, u := range test.script[:last] {
				mustTake(t, s, src, u, clock.at(i))
			}
			before := *src
			err := s.take(src, test.script[last], clock.at(last+1))
			if err != test.want {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if src.sum != before.sum || src.counts != before.counts || src.complete != before.complete || !slices.Equal(src.list, before.list) {
				t.Error("the digest has changed the list")
			}
			if u := test.script[last]; u.kind >= kindIgnored {
				clock.expectAt(t, "heard", src.heard, last+1)
			}
			if test.want == errOtherList {
				src.forget()
				if err := s.take(src, beatOf(true), clock.at(last+2)); err != errWrongSum {
					t.Errorf("a beat after the list is forgotten: got error %v, want %v", err, errWrongSum)
				}
			}
		})
	}
}

func TestTake(t *testing.T) {
	clock := newClock()
	s := newTestSources(1)
	src := s.all[0]
	src.connect(time.Second, clock.at(0))
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
	src.connect(time.Second, now)
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
			src.connect(test.beat, c.at(0))
			c.expectAt(t, "deadline of a server that has said nothing yet", s.deadline(), test.silent)
			mustTake(t, s, src, listOf(true, "a"), c.at(100))
			c.expectAt(t, "deadline after a message", s.deadline(), 100+test.silent)
			if lost := s.checkSilence(c.at(100 + test.silent - 1)); len(lost) > 0 || src.silent {
				t.Error("silent a millisecond early")
			}
			if lost := s.checkSilence(c.at(100 + test.silent)); len(lost) > 0 || !src.silent {
				t.Errorf("got silent %t, and %d to be given up, want true and none", src.silent, len(lost))
			}
			expectUnion(t, "silent", s)
			c.expectAt(t, "deadline of a silent server", s.deadline(), 100+test.again)
			if lost := s.checkSilence(c.at(100 + test.again - 1)); len(lost) > 0 {
				t.Error("given up a millisecond early")
			}
			if lost := s.checkSilence(c.at(100 + test.again)); len(lost) != 1 || lost[0] != src {
				t.Errorf("%d servers are given up, want this one", len(lost))
			}
			c.expectAt(t, "deadline of one that is given up", s.deadline(), 100+2*test.again)
			mustTake(t, s, src, beatOf(true, "a"), c.at(200+test.again))
			expectUnion(t, "the server speaks again", s, "a")
			c.expectAt(t, "deadline when it speaks again", s.deadline(), 200+test.again+test.silent)
			src.disconnect()
			c.expectAt(t, "deadline after the connection", s.deadline(), -1)
			if lost := s.checkSilence(c.at(1e8)); len(lost) > 0 || src.silent {
				t.Error("a connection that has ended is silent")
			}
		})
	}
}

// The plain form has no beats, so silence means nothing.
func TestPlainServersMayBeSilent(t *testing.T) {
	c := newClock()
	s := newTestSources(1)
	s.all[0].connect(0, c.at(0))
	s.all[0].replace([]string{"a"}, c.at(0))
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
		s.all[i].connect(beat, c.at(0))
	}
	c.expectAt(t, "deadline", s.deadline(), 3000)
	s.checkSilence(c.at(3000))
	c.expectAt(t, "deadline when one is silent", s.deadline(), 6000)
	s.checkSilence(c.at(6000))
	if got := []bool{s.all[0].silent, s.all[1].silent, s.all[2].silent}; !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("silent: got %v, want the first two", got)
	}
	s.excuse(c.at(29000)) // the subscriber did not run
	if lost := s.checkSilence(c.at(30000)); len(lost) > 0 {
		t.Errorf("%d are given up for a silence that is excused", len(lost))
	}
	c.expectAt(t, "deadline after the excuse", s.deadline(), 59000)
	if lost := s.checkSilence(c.at(59000)); !slices.Equal(lost, s.all[:2]) {
		t.Errorf("%d are given up, want the first two", len(lost))
	}
	s.all[0].connect(time.Second, c.at(60000))
	if s.all[0].silent {
		t.Error("a new connection begins silent")
	}
}
