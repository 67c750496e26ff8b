package membership

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

// most is what is published when the clients 0 to 6 leave.
const most = " -0 -1 -2 -3 -4 -5 -6"

// Most of the names that end within a second are given ReturnTime, each from
// its own end on.
func TestMassDeparture(t *testing.T) {
	for _, test := range []played{
		{"half", 6, Config{}, "11000 break 0-2", []string{"11100 -0 -1 -2"}},
		{"more than half", 6, Config{}, "11000 break 0-3", []string{"16000 -0 -1 -2 -3"}},
		{"more than half, but two", 3, Config{}, "11000 break 0 1", []string{"11100 -0 -1"}},
		{"three of five", 5, Config{}, "11000 break 0-2", []string{"16000 -0 -1 -2"}},
		{"with a return time of its own", 10, Config{ReturnTime: 300 * ms}, "11000 break 0-6", []string{"11300" + most}},
		{"each at its own time", 5, Config{}, "11000 break 0; 11010 break 1; 11100 break 2", []string{"16000 -0", "16010 -1", "16100 -2"}},
		{
			"the first are told before", 5, Config{}, "11000 break 0; 11500 break 1; 12000 break 2; 12001 break 3",
			[]string{"11020 -0", "11520 -1", "17000 -2", "17001 -3"},
		},
		{
			"within exactly a second", 5, Config{}, "11000 break 0; 11500 break 1; 12000 break 2",
			[]string{"11020 -0", "11520 -1", "17000 -2"},
		},
		{
			"within more than a second", 5, Config{}, "11000 break 0; 11500 break 1; 12001 break 2",
			[]string{"11020 -0", "11520 -1", "12021 -2"},
		},
		{"those that are back do not count", 5, Config{}, "11000 break 0 1; 11050 join 0 1; 11060 break 2", []string{"11160 -2"}},
		{"however many are back", 5, Config{}, "11000 break 0 1; 11050 join 0 1; 11060 break 2 3", []string{"11160 -2 -3"}},
		{
			"one that ends twice counts from its last end on", 5, Config{}, "11000 break 0; 11300 join 0; 11900 break 0; 12100 break 1; 12200 break 2",
			[]string{"11020 -0", "11300 +0", "11920 -0", "12120 -1", "17200 -2"},
		},
		{
			"nor told ones that are back", 5, Config{}, "11000 break 0; 11300 break 1; 11400 join 0; 11500 break 2",
			[]string{"11020 -0", "11320 -1", "11400 +0", "11520 -2"},
		},
		{
			"unless they end again", 5, Config{}, "11000 break 0; 11300 break 1; 11400 join 0; 11500 break 0; 11510 break 2",
			[]string{"11020 -0", "11320 -1", "11400 +0", "16500 -0", "16510 -2"},
		},
		{"newcomers count like others", 2, Config{}, "11000 join 2-4; 11500 break 2-4", []string{"11000 +2 +3 +4", "16500 -2 -3 -4"}},
		{"drops for silence do not count", 4, Config{}, "10001 hang 0; 16100 break 1 2", []string{"16000 -0", "16200 -1 -2"}},
		{"two in a row", 10, Config{}, "11000 break 0-6; 11500 join 0-6; 12000 break 0-6", []string{"17000" + most}},
		{
			"the survivors leave as usual", 10, Config{}, "11000 break 0-6; 12500 break 7; 13000 break 8",
			[]string{"12520 -7", "13020 -8", "16000" + most},
		},
		{
			"joins go on", 10, Config{}, "11000 break 0-6; 11005 join 20; 15999 join 21; 16000 leave 20",
			[]string{"11005 +20", "15999 +21", "16000 -0 -1 -2 -20 -3 -4 -5 -6"},
		},
		{"back in time", 10, Config{}, "11000 break 0-6; 11100 join 0 1; 12000 join 2; 15999 join 3-6", nil},
		{"back too late", 10, Config{}, "11000 break 0-6; 15999 join 0-5; 16001 join 6", []string{"16000 -6", "16019 +6"}},
		{"some are back", 10, Config{}, "11000 break 0; 11001 break 1-6; 13000 join 0 2 4", []string{"16001 -1 -3 -5 -6"}},
		{"the first is back", 10, Config{}, "11000 break 0; 11010 break 1-6; 13000 join 0", []string{"16010 -1 -2 -3 -4 -5 -6"}},
	} {
		test.run(t)
	}
}

// If all end, at least two, nobody announces a name until one is back.
func TestMassDepartureOfAll(t *testing.T) {
	for _, test := range []played{
		{"two", 2, Config{}, "11000 break 0 1", []string{"46000 -0 -1"}},
		{"two, the first of which is told", 2, Config{}, "11000 break 0; 11500 break 1", []string{"11020 -0", "46500 -1"}},
		{"and one is back", 4, Config{}, "11000 break 0-3; 15000 join 0", []string{"20000 -1 -2 -3"}},
		{"and one is back late", 4, Config{}, "11000 break 0-3; 35000 join 0", []string{"40000 -1 -2 -3"}},
		{"and one is back after 30 s", 4, Config{}, "11000 break 0-3; 41000 join 0", []string{"46000 -1 -2 -3"}},
		{"and one is back very late", 4, Config{}, "11000 break 0-3; 45999 join 0", []string{"46000 -1 -2 -3"}},
		{"and all are back very late", 4, Config{}, "11000 break 0-3; 45999 join 0-3", nil},
		{"and another comes", 4, Config{}, "11000 break 0-3; 15000 join 7", []string{"15000 +7", "20000 -0 -1 -2 -3"}},
		{
			"each at its own time", 4, Config{}, "11000 break 0; 11010 break 1; 11500 break 2; 11900 break 3",
			[]string{"11110 -0 -1", "46500 -2", "46900 -3"},
		},
		{
			"and one is back for a moment", 4, Config{}, "11000 break 0-3; 15000 join 0; 16000 break 0",
			[]string{"16020 -0", "46000 -1 -2 -3"},
		},
		{
			"and the last leaves", 10, Config{}, "11000 break 0-6; 12000 leave 7-9; 13000 join 7",
			[]string{"12000 -7 -8 -9", "13000 +7", "18000" + most},
		},
		{"strangers are nobody", 4, Config{}, "11000 break 0-3; 12000 join 20; 12000 hang 20; 13000 break 20", []string{"46000 -0 -1 -2 -3"}},
	} {
		test.run(t)
	}
}

// A network that is cut ends connections when their data has long been
// unacknowledged, and not all at the same time. They were silent before, and so
// are the others.
func TestMassDepartureOfTheSilent(t *testing.T) {
	for _, test := range []played{
		{"half at first", 6, Config{}, "11000 hang 0-5; 31000 lose 0-2; 33000 lose 3-5; 36000 wake 0-5; 36000 join 0-5", nil},
		{"one after the other", 4, Config{}, "11000 hang 0-3; 30000 lose 0; 31500 lose 1; 33000 lose 2; 34500 lose 3; 37000 wake 0-3; 37000 join 0-3", nil},
		{
			"and none comes back", 4, Config{}, "11000 hang 0-3; 31000 lose 0 1; 33000 lose 2 3",
			[]string{"66000 -0 -1", "68000 -2 -3"},
		},
		{
			"and one connection stays, silent", 4, Config{}, "11000 hang 0-3; 31000 lose 0-2; 39000 wake 3",
			[]string{"44000 -0 -1 -2"},
		},
		{
			"most are silent", 5, Config{}, "11000 hang 0-2; 31000 lose 0; 33000 lose 1 2",
			[]string{"36000 -0", "38000 -1 -2"},
		},
		{
			"half is silent", 6, Config{}, "11000 hang 0-2; 31000 lose 0; 33000 lose 1 2",
			[]string{"31020 -0", "33100 -1 -2"},
		},
		{
			"one that has ended itself leaves at once", 5, Config{}, "11000 hang 0-2; 31000 break 0",
			[]string{"31020 -0", "42000 -1 -2"},
		},
		{
			"answers are checked first", 4, Config{}, "11000 hang 0-3; 31000 lose 0-2; 39000 check 3; 39000 wake 3; 40000 wake 0-2; 40000 join 0-2", nil,
		},
		{
			"one that has ended itself just before", 4, Config{}, "11000 hang 0-2; 30990 break 3; 31000 lose 0",
			[]string{"31010 -3", "42000 -1 -2", "66000 -0"},
		},
		{
			"one is lost and others are well", 4, Config{}, "11000 hang 0; 11500 lose 0", []string{"11520 -0"},
		},
		{
			"others that are killed leave at once", 5, Config{}, "11000 hang 0-2; 31000 break 3",
			[]string{"31020 -3", "42000 -0 -1 -2"},
		},
	} {
		test.run(t)
	}
}

// Each answer of one client comes after the end of the poll. It is not silent,
// and the others have ReturnTime, no longer.
func TestMassDepartureBesideASlowClient(t *testing.T) {
	for _, takes := range []int{0, 900, 1100, 2900} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			p := newPlay(t, Config{})
			for id := range 4 {
				p.client(id)
				p.on(0, func() { p.join(id) })
			}
			p.client(3).takes = takes
			p.run(15000)
			p.told = nil
			p.steps("16000 break 0-2")
			p.run(60000)
			p.expect("21000 -0 -1 -2")
		})
	}
}

// Ten clients lose their connections, and one comes back every 0.7 s. None that
// is back within ReturnTime of the first has left.
func TestReturnOneAfterTheOther(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.steps("11000 break 0-9")
	for id := range 10 {
		p.steps(fmt.Sprintf("%d join %d", 11700+700*id, id))
	}
	p.run(60000)
	// The first is back at 11700. The ninth would be back at 17300.
	p.expect("16700 -8 -9", "17300 +8", "18000 +9")
	p.expectList(10)
}

// Only names count, and only those without another connection.
func TestMassDepartureCountsNames(t *testing.T) {
	t.Run("not other connections of a name", func(t *testing.T) {
		p := crowd(t, 4, Config{})
		p.on(11000, func() {
			for id := range 3 {
				p.client(10 + id).names = p.client(id).names
				p.join(10 + id)
			}
		})
		p.steps("12000 break 0-2; 13000 break 10")
		p.run(60000)
		p.expect("13020 -0")
	})
	t.Run("not connections without names", func(t *testing.T) {
		p := crowd(t, 4, Config{})
		for id := 20; id < 40; id++ {
			p.client(id).names = nil
		}
		p.steps("11000 join 20-39; 12000 break 20-39; 12010 break 0; 13000 join 20-39; 13100 break 1")
		p.run(60000)
		p.expect("12030 -0", "13120 -1")
	})
	t.Run("the names of a device", func(t *testing.T) {
		p := newPlay(t, Config{})
		device := p.client(20)
		device.names = nil
		for name := 20; name < 32; name++ {
			device.names = append(device.names, fmt.Sprint(name))
		}
		p.steps("0 join 0 1 20; 11000 break 20; 12000 join 20; 13000 break 20")
		p.run(10000)
		p.told = nil
		p.run(17999)
		p.expect()
		p.expectList(14)
		p.run(60000)
		p.expect("18000 -20 -21 -22 -23 -24 -25 -26 -27 -28 -29 -30 -31")
	})
}

// While names have time to return, the list stays complete, and what is
// published says nothing about them.
func TestListDuringAMassDeparture(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.steps("11000 break 0-9; 12000 join 3; 14000 join 20")
	for at := 11000; at < 17000; at += 50 {
		p.run(at)
		p.expectList(10 + len(p.told))
	}
	p.expect("14000 +20")
}

// Seven of ten leave for good by breaking. What comes later takes no longer for
// that.
func TestAfterAMassDeparture(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.steps("11000 break 0-6; 16001 join 20; 30000 join 0; 31000 join 1; 32000 join 2; 32001 break 7; 33000 leave 8; 34000 break 0; 35000 join 21")
	p.run(60000)
	p.expect("16000"+most, "16001 +20", "30000 +0", "31000 +1", "32000 +2", "32021 -7", "33000 -8", "34020 -0", "35000 +21")
}

// Names that have had time to return are told apart, because lists from before
// must not be taken for new ones.
func TestReturned(t *testing.T) {
	s := newScript(t, Config{PollTime: time.Hour})
	s.connect(0, 0, 1, 2, 3, 4)
	s.Next(s.At(0))
	for id := range 5 {
		s.hear(0, id, fmt.Sprint(id))
	}
	s.Next(s.At(6000))
	s.List()
	s.list, s.complete = slices.Clone(s.List()), true
	s.end(7000, 0)
	s.expect(7000, "wake 7020")
	s.expect(7020, "publish 1 2 3 4; wake 3600000")
	s.end(7100, 1, 2, 3)
	s.expect(7100, "wake 12100")
	s.connect(7500, 5)
	s.expect(7500, "ask 5; wake 12100")
	s.hear(7501, 5, "1")
	s.expect(7501, "wake 12100")
	s.expect(12100, "publish 1 4; returned; wake 3600000")
	s.end(13000, 5)
	s.expect(13000, "wake 13020")
	s.expect(13020, "publish 4; wake 3600000")
}

// Names that come and go while an older one has time to return are not
// remembered once for each time.
func TestNamesThatComeAndGo(t *testing.T) {
	now := testclock.New().At(0)
	s := New[int](Config{}.withDefaults(), now)
	join := func(c int) {
		s.Connect(c, "host", now)
		for id := range 100 {
			_ = s.Hear(c, fmt.Sprint(c, " ", id), now)
		}
		s.Next(now)
	}
	join(0)
	join(1)
	s.Disconnect(0, false, now)
	s.Disconnect(1, false, now)
	for range 1000 {
		join(1)
		now = now.Add(ms)
		s.Disconnect(1, false, now)
		s.Next(now)
	}
	if got := len(s.departures.returning); got > 1000 {
		t.Errorf("%d absences are remembered, 200 names are away", got)
	}
	if got := len(s.List()); got != 200 {
		t.Errorf("the list has %d names, want 200", got)
	}
}
