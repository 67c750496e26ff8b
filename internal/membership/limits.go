package membership

import (
	"fmt"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// Limits of what one server lists.
const (
	// MaxNames is the maximum number of names on one connection, such as that
	// of a device. MaxTotalNames is the maximum for a server, which counts a
	// name once for each connection.
	MaxNames      = 4096
	MaxTotalNames = 1 << 17
)

// Reasons why a name is not listed.
var (
	errTooManyNames = fmt.Errorf("more than %d names on one connection", MaxNames)
	errListFull     = fmt.Errorf("the list is full: %d names or %d bytes", MaxTotalNames, wire.MaxListLen)
)

// Surveys and lists of joins.
const (
	// settleTime is how long a join waits for other newcomers. It is also the
	// minimum interval between lists with new names, so that a burst of names
	// makes a few lists.
	settleTime = 5 * time.Millisecond

	// The interval between lists of joins is the median time that newcomers
	// take to answer, up to shortListPace. It ends early when none has come for
	// as long, or for shortestPace when all have answered. A median below
	// shortestPace causes no wait. Beyond paceNames names, what exceeds
	// shortestPace grows with the square of their number, up to longestPace.
	// The median is of at most paceSample times.
	paceSample    = 64
	shortestPace  = 50 * time.Millisecond
	shortListPace = time.Second
	paceNames     = 1000
	longestPace   = 3 * time.Second

	// A poll whose end is noticed more than latePollEnd late is extended by
	// graceTime or SurveyTime, whichever is shorter, because some answers may
	// not have been read yet.
	latePollEnd = 50 * time.Millisecond
	graceTime   = 200 * time.Millisecond

	// tick is the maximum time between two calls of Next. A call that comes
	// stopTime later than that means that the process was stopped.
	tick     = 250 * time.Millisecond
	stopTime = 500 * time.Millisecond
)

// Departures.
const (
	// The end of a connection is told after endWait. Ends that follow within
	// that time wait until none has followed for endsWait, but at most
	// longestEndsWait after the first.
	endWait         = 20 * time.Millisecond
	endsWait        = 100 * time.Millisecond
	longestEndsWait = time.Second

	// The ends within massWindow are a mass departure if they are most of the
	// names and at least massNames, or all of them and at least massOfAll.
	massWindow = time.Second
	massNames  = 3
	massOfAll  = 2

	// A name is silent when it has missed silentPolls polls in a row. Names
	// that time out and those that are silent may have lost the same network.
	silentPolls = 2

	// afterStop is how long after a stop of the server an end may have been
	// caused by it.
	afterStop = time.Second

	// While no connection announces a name, the path to all clients may be
	// down. The time to return then begins when one does, but at most
	// longestOutage after the end.
	longestOutage = 30 * time.Second

	// Clients that are coming in delay nothing for longer than LongestWait.
	// A herd of clients that had to wait gives up together, so they are still
	// coming in for herdTime after a handshake that had to wait for long.
	// comingInPause is the pause before the server looks again.
	LongestWait   = 5 * time.Minute
	herdTime      = 1100 * time.Millisecond
	comingInPause = 20 * time.Millisecond
)

// Silence.
const (
	// A poll is doubted when at least minToDoubt clients are silent, and more
	// than one in doubtShare. The self-preservation of Eureka begins with 15 %,
	// which is nearly the same.
	minToDoubt = 3
	doubtShare = 7

	// A name is not dropped before its silence has lasted patienceFactor times
	// as long as its slowest answer. Where one packet in ten is lost, one
	// answer in 10^n takes 2^n retransmission timeouts. The slowest time decays
	// with each answer, by one part in slowestDecay.
	patienceFactor = 64
	slowestDecay   = 64

	// maxSilence is the maximum patience with a name.
	maxSilence = 30 * time.Second
)
