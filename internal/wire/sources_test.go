package wire

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

const ms = time.Millisecond

// newTestSources returns sources at the URLs "0", "1" and so on.
func newTestSources(n int) *Sources {
	s := new(Sources)
	for i := range n {
		s.All = append(s.All, &Source{URL: fmt.Sprint(i)})
	}
	return s
}

func listOf(complete bool, names ...string) *Update {
	return &Update{kind: kindList, complete: complete, names: append([]string{}, names...)}
}

func beatOf(complete bool, names ...string) *Update {
	return &Update{kind: kindBeat, complete: complete, sum: wiretest.Sum(names...)}
}

func heldBeatOf(complete bool, names ...string) *Update {
	return &Update{kind: kindBeat, complete: complete, held: true, sum: wiretest.Sum(names...)}
}

// changeOf returns a change of a list, valid or not.
func changeOf(complete bool, list, removed, added []string) *Update {
	before := wiretest.Sum(list...)
	return &Update{
		kind: kindChange, complete: complete, before: before,
		sum: before - wiretest.Sum(removed...) + wiretest.Sum(added...), removed: removed, added: added,
	}
}

func mustReceive(t *testing.T, s *Sources, src *Source, u *Update, now time.Time) {
	t.Helper()
	if err := s.Receive(src, u, now); err != nil {
		t.Fatal(err)
	}
}

func expectUnion(t *testing.T, what string, s *Sources, want ...string) {
	t.Helper()
	got := s.Union()
	if !slices.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

var nobody = []string{}

func TestSourcesAt(t *testing.T) {
	s := NewSources([]string{"tcp://a:1", "tcp://b:2"})
	for i, url := range []string{"tcp://a:1", "tcp://b:2"} {
		if got := s.At(url); got != s.All[i] {
			t.Errorf("%s: got %+v, want source %d", url, got, i)
		}
	}
	s.Replace(s.At("tcp://c:3"), []string{"stranger"}, testclock.New().At(0))
	expectUnion(t, "a list from a URL that is not one of them", s)
}

func TestUnionOfOneServer(t *testing.T) {
	now := testclock.New().At(0)
	s := newTestSources(1)
	src := s.All[0]
	expectUnion(t, "not connected", s)
	src.Connect(time.Second, false, now)
	expectUnion(t, "connected", s)
	mustReceive(t, s, src, listOf(false, "a"), now)
	expectUnion(t, "an incomplete list", s, "a")
	mustReceive(t, s, src, listOf(false), now)
	expectUnion(t, "an incomplete empty list", s, nobody...)
	s.Disconnect(src, now)
	expectUnion(t, "disconnected", s)
	src.Connect(time.Second, false, now)
	mustReceive(t, s, src, listOf(true), now)
	expectUnion(t, "a complete empty list", s, nobody...)
	mustReceive(t, s, src, listOf(true, "a", "b"), now)
	expectUnion(t, "a complete list", s, "a", "b")
	s.Disconnect(src, now)
	expectUnion(t, "disconnected after a complete list", s)
	src.Connect(time.Second, false, now)
	mustReceive(t, s, src, listOf(false, "b"), now)
	expectUnion(t, "an incomplete list after a complete one", s, "b")
	mustReceive(t, s, src, beatOf(true, "b"), now)
	expectUnion(t, "a complete list again", s, "b")
	s.Disconnect(src, now)
	src.Connect(0, false, now)
	expectUnion(t, "connected in the plain form", s)
	s.Replace(src, []string{"c"}, now)
	expectUnion(t, "a plain list", s, "c")
}

func TestUnionOfServers(t *testing.T) {
	now := testclock.New().At(0)
	s := newTestSources(3)
	for _, src := range s.All {
		src.Connect(time.Second, false, now)
	}
	roomy := append(make([]string, 0, 8), "a")
	mustReceive(t, s, s.All[0], &Update{kind: kindList, names: roomy}, now)
	mustReceive(t, s, s.All[1], listOf(false, "b"), now)
	expectUnion(t, "two incomplete lists", s, "a", "b")
	mustReceive(t, s, s.All[1], beatOf(true, "b"), now)
	expectUnion(t, "one of them complete", s, "a", "b")
	mustReceive(t, s, s.All[2], listOf(true, "a", "c"), now)
	expectUnion(t, "three lists", s, "a", "b", "c")
	if got := roomy[:2]; !slices.Equal(got, []string{"a", ""}) {
		t.Errorf("the union was made in the memory of a server's list: %q", got)
	}
	s.Disconnect(s.All[1], now)
	expectUnion(t, "the second in its grace", s, "a", "b", "c")
	s.CheckSilence(now.Add(GraceOfAway))
	expectUnion(t, "the others silent, after the grace of the second", s)
	mustReceive(t, s, s.All[0], beatOf(false, "a"), now)
	expectUnion(t, "the first one speaks again, the third is in its grace", s, "a", "c")
	mustReceive(t, s, s.All[0], listOf(true, "a", "c"), now)
	expectUnion(t, "servers that agree", s, "a", "c")
}

// The list that a server sent on an earlier connection counts again with the
// first message that does not say that the subscriber is held.
func TestListOfAnEarlierConnection(t *testing.T) {
	now := testclock.New().At(0)
	list := []string{"a", "b"}
	for _, test := range []struct {
		name   string
		update *Update
		want   []string
	}{
		{"a message to ignore", &Update{kind: kindIgnored}, nil},
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
			src := s.All[0]
			src.Connect(time.Second, false, now)
			mustReceive(t, s, src, listOf(false, list...), now)
			s.Disconnect(src, now)
			src.Connect(time.Second, false, now)
			expectUnion(t, "before the server speaks", s)
			mustReceive(t, s, src, test.update, now)
			expectUnion(t, "after it", s, test.want...)
		})
	}
}

// The first list of a server that was down before waits for clients that have
// waited as well. Another server's list does not wait, and neither does any
// list after the first.
func TestFirstListOfAnAwaitedServer(t *testing.T) {
	c := testclock.New()
	begin := func() (s *Sources, src, other *Source) {
		s = newTestSources(2)
		s.All[0].Connect(time.Second, true, c.At(0))
		mustReceive(t, s, s.All[0], listOf(false, "a"), c.At(100))
		expectUnion(t, "at first", s)
		return s, s.All[0], s.All[1]
	}
	t.Run("its time passes", func(t *testing.T) {
		s, src, _ := begin()
		c.Expect(t, "deadline", s.Deadline(), 1250)
		mustReceive(t, s, src, listOf(false, "a", "b"), c.At(1099))
		s.CheckSilence(c.At(1099))
		expectUnion(t, "after 1099 ms", s)
		s.CheckSilence(c.At(1250))
		expectUnion(t, "after 1250 ms", s, "a", "b")
		c.Expect(t, "deadline", s.Deadline(), 1099+3000)
	})
	t.Run("it is complete", func(t *testing.T) {
		s, src, _ := begin()
		mustReceive(t, s, src, beatOf(true, "a"), c.At(200))
		expectUnion(t, "complete", s, "a")
	})
	t.Run("another server has a list", func(t *testing.T) {
		s, src, other := begin()
		other.Connect(time.Second, false, c.At(200))
		mustReceive(t, s, other, listOf(false, "b"), c.At(200))
		expectUnion(t, "two servers", s, "a", "b")
		s.Disconnect(src, c.At(300))
		src.Connect(time.Second, true, c.At(400))
		mustReceive(t, s, src, listOf(false, "c"), c.At(400))
		expectUnion(t, "a later list", s, "b", "c")
	})
	t.Run("in the plain form", func(t *testing.T) {
		s := newTestSources(1)
		s.All[0].Connect(0, true, c.At(0))
		s.Replace(s.All[0], []string{"a"}, c.At(0))
		expectUnion(t, "a plain list", s, "a")
	})
}

// A list that is not the first keeps no message in memory: its names are
// copies, or the strings of the list before.
func TestListsKeepTheirStrings(t *testing.T) {
	clock := testclock.New()
	message := "a|b|c"
	for _, form := range []string{"plain", "changes"} {
		t.Run(form, func(t *testing.T) {
			s := newTestSources(1)
			src := s.All[0]
			tell := func(names ...string) {
				if form == "plain" {
					s.Replace(src, names, clock.At(0))
				} else {
					mustReceive(t, s, src, listOf(true, names...), clock.At(0))
				}
			}
			src.Connect(time.Second, false, clock.At(0))
			tell(message[0:1], message[2:3])
			first := slices.Clone(src.List)
			tell(message[0:1], message[4:5])
			if got := []string{"a", "c"}; !slices.Equal(src.List, got) || src.Sum != wiretest.Sum(got...) {
				t.Fatalf("got %q", src.List)
			}
			if unsafe.StringData(src.List[0]) != unsafe.StringData(first[0]) {
				t.Error("a name that stays has a new string")
			}
			if unsafe.StringData(src.List[1]) == unsafe.StringData(message[4:5]) {
				t.Error("a new name is part of the message")
			}
		})
	}
}

// A message that does not fit is an error, and changes nothing.
func TestReceiveRefuses(t *testing.T) {
	clock := testclock.New()
	list := []string{"b", "d"}
	wrongBefore := changeOf(true, list, nil, []string{"c"})
	wrongBefore.before++
	wrongAfter := changeOf(true, list, nil, []string{"c"})
	wrongAfter.sum++
	long := listOf(true)
	for i := range MaxListLen / (MaxServiceLen + 1) {
		long.names = append(long.names, fmt.Sprintf("%0*d", MaxServiceLen, i))
	}
	for _, test := range []struct {
		name   string
		first  *Update // nil for none
		second *Update
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
		{"a list that grows too long", long, changeOf(true, long.names, nil, []string{strings.Repeat("x", MaxServiceLen)}), errListTooLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSources(1)
			src := s.All[0]
			src.Connect(time.Second, false, clock.At(0))
			if test.first != nil {
				mustReceive(t, s, src, test.first, clock.At(1))
			}
			before := *src
			if err := s.Receive(src, test.second, clock.At(2)); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if src.Sum != before.Sum || src.Heard != before.Heard || src.Complete != before.Complete || !slices.Equal(src.List, before.List) {
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
		before []*Update
		update *Update
		want   error
	}{
		{"removes what is absent", nil, misfit, ErrOtherList},
		{"adds what is present", nil, changeOf(true, list, nil, []string{"a"}), ErrOtherList},
		{"after a beat", []*Update{beatOf(true, list...)}, misfit, ErrOtherList},
		{"after a change", []*Update{changeOf(true, list, nil, []string{"d"})}, changeOf(true, []string{"a", "b", "d"}, []string{"c"}, nil), ErrOtherList},
		{"after a list", []*Update{listOf(true, list...)}, misfit, errWrongSum},
		{"of a list with another sum", nil, changeOf(true, []string{"c"}, []string{"c"}, nil), errWrongSum},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := testclock.New()
			s := newTestSources(1)
			src := s.All[0]
			src.Connect(time.Second, false, clock.At(0))
			mustReceive(t, s, src, listOf(true, list...), clock.At(0))
			s.Disconnect(src, clock.At(0))
			src.Connect(time.Second, false, clock.At(0))
			for _, u := range test.before {
				mustReceive(t, s, src, u, clock.At(1))
			}
			before := *src
			if err := s.Receive(src, test.update, clock.At(2)); err != test.want {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if src.Sum != before.Sum || src.Heard != before.Heard || src.counts != before.counts || !slices.Equal(src.List, before.List) {
				t.Error("the message has changed something all the same")
			}
			src.Forget()
			if err := s.Receive(src, beatOf(true), clock.At(3)); err != errWrongSum {
				t.Errorf("a beat after the list is forgotten: got error %v, want %v", err, errWrongSum)
			}
		})
	}
}

func TestReceive(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(1)
	src := s.All[0]
	src.Connect(time.Second, false, clock.At(0))
	for i, test := range []struct {
		update *Update
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
		mustReceive(t, s, src, test.update, clock.At(i))
		if src.List == nil || !slices.Equal(src.List, test.want) || src.Sum != wiretest.Sum(test.want...) || src.Complete != test.update.complete {
			t.Errorf("message %d: got %q with sum %#x, complete %t, want %q with %#x, %t",
				i, src.List, src.Sum, src.Complete, test.want, wiretest.Sum(test.want...), test.update.complete)
		}
		clock.Expect(t, "heard", src.Heard, i)
	}
}

// A server's list takes memory for its names, but not for the messages that
// brought them.
func TestChangesLeaveNoMemoryBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const many, rounds = 2000, 50
	now := testclock.New().At(0)
	var crowd []string
	for i := range many {
		crowd = append(crowd, fmt.Sprintf("%0*d", MaxServiceLen, i))
	}
	s := newTestSources(1)
	src := s.All[0]
	src.Connect(time.Second, false, now)
	mustReceive(t, s, src, listOf(true), now)
	decoded := func(u *Update) *Update {
		u, err := DecodeUpdate(u.encode())
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
		mustReceive(t, s, src, decoded(changeOf(true, src.List, nil, append(slices.Clone(crowd), one))), now)
		mustReceive(t, s, src, decoded(changeOf(true, src.List, append(slices.Clone(crowd), one), []string{fmt.Sprintf("y%03d", i)})), now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(src.List) != rounds {
		t.Fatalf("got %d names, want %d", len(src.List), rounds)
	}
	if got, most := int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4*many*MaxServiceLen); got > most {
		t.Errorf("a list of %d short names takes %d bytes more, want at most %d", rounds, got, most)
	}
	runtime.KeepAlive(src)
}

// Silence is counted in beats, but with quick beats it lasts at least a second.
func TestSilence(t *testing.T) {
	c := testclock.New()
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
			src := s.All[0]
			c.Expect(t, "deadline without a connection", s.Deadline(), -1)
			src.Connect(test.beat, false, c.At(0))
			c.Expect(t, "deadline of a server that has no list yet", s.Deadline(), test.silent+10000)
			mustReceive(t, s, src, listOf(true, "a"), c.At(100))
			c.Expect(t, "deadline after a message", s.Deadline(), 100+test.silent)
			if lost := s.CheckSilence(c.At(100 + test.silent - 1)); len(lost) > 0 || src.isAway() {
				t.Error("silent a millisecond early")
			}
			if lost := s.CheckSilence(c.At(100 + test.silent)); len(lost) > 0 || !src.isAway() {
				t.Errorf("got silent %t, and %d to be given up, want true and none", src.isAway(), len(lost))
			}
			expectUnion(t, "silent", s)
			grace := 100 + test.silent + 30000
			c.Expect(t, "deadline of a silent server", s.Deadline(), min(100+test.again, grace))
			if lost := s.CheckSilence(c.At(100 + test.again - 1)); len(lost) > 0 {
				t.Error("given up a millisecond early")
			}
			if lost := s.CheckSilence(c.At(100 + test.again)); len(lost) != 1 || lost[0] != src {
				t.Errorf("%d servers are given up, want this one", len(lost))
			}
			src.graceEnd = time.Time{}
			c.Expect(t, "deadline of one that is given up", s.Deadline(), 100+2*test.again)
			mustReceive(t, s, src, beatOf(true, "a"), c.At(200+test.again))
			expectUnion(t, "the server speaks again", s, "a")
			c.Expect(t, "deadline when it speaks again", s.Deadline(), 200+test.again+test.silent)
			s.Disconnect(src, c.At(300+test.again))
			c.Expect(t, "deadline after the connection", s.Deadline(), 300+test.again+30000)
			if lost := s.CheckSilence(c.At(1e8)); len(lost) > 0 {
				t.Error("a connection that has ended is given up")
			}
			c.Expect(t, "deadline after the grace", s.Deadline(), -1)
		})
	}
}

// The plain form has no beats, so silence means nothing.
func TestPlainServersMayBeSilent(t *testing.T) {
	c := testclock.New()
	s := newTestSources(1)
	s.All[0].Connect(0, false, c.At(0))
	s.Replace(s.All[0], []string{"a"}, c.At(0))
	c.Expect(t, "deadline", s.Deadline(), -1)
	if lost := s.CheckSilence(c.At(1e9)); len(lost) > 0 {
		t.Error("given up")
	}
	expectUnion(t, "after days", s, "a")
}

func TestSilenceOfSeveral(t *testing.T) {
	c := testclock.New()
	s := newTestSources(3)
	for i, beat := range []time.Duration{2 * time.Second, time.Second, 0} {
		s.All[i].Connect(beat, false, c.At(0))
		if beat > 0 {
			mustReceive(t, s, s.All[i], listOf(true), c.At(0))
		}
	}
	c.Expect(t, "deadline", s.Deadline(), 3000)
	s.CheckSilence(c.At(3000))
	c.Expect(t, "deadline when one is silent", s.Deadline(), 6000)
	s.CheckSilence(c.At(6000))
	if got := []bool{s.All[0].isAway(), s.All[1].isAway(), s.All[2].isAway()}; !slices.Equal(got, []bool{true, true, true}) {
		t.Errorf("away: got %v, want all, because the third has said nothing yet", got)
	}
	s.Excuse(c.At(29000), 20*time.Second) // the subscriber did not run
	if lost := s.CheckSilence(c.At(30000)); len(lost) > 0 {
		t.Errorf("%d are given up for a silence that is excused", len(lost))
	}
	c.Expect(t, "deadline of the second after the excuse", s.Deadline(), 29000+3000)
	if lost := s.CheckSilence(c.At(32000)); !slices.Equal(lost, s.All[1:2]) {
		t.Errorf("%d are given up, want the second", len(lost))
	}
	c.Expect(t, "deadline of the first after the excuse", s.Deadline(), 29000+6000)
	if lost := s.CheckSilence(c.At(35000)); !slices.Equal(lost, s.All[:1]) {
		t.Errorf("%d are given up, want the first", len(lost))
	}
	c.Expect(t, "end of the first grace", s.Deadline(), 53000)
	if lost := s.CheckSilence(c.At(56000)); len(lost) > 0 {
		t.Errorf("%d are given up when their graces end", len(lost))
	}
	c.Expect(t, "deadline after the graces", s.Deadline(), 62000)
	s.All[0].Connect(time.Second, false, c.At(60000))
	if s.All[0].isAway() {
		t.Error("a new connection begins silent")
	}
}
