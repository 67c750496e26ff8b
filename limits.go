package gopherdiscovery

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// Defaults for zero fields of [Options].
const (
	defaultSurveyTime    = time.Second
	defaultPollTime      = wire.DefaultBeat
	defaultJoinInterval  = 20 * time.Millisecond
	defaultMissedSurveys = 2
	defaultReturnTime    = 5 * time.Second
	defaultMaxClients    = sp.MaxHandshakes // after a power cut all of them come at once
)

// shortestOption is the minimum of the durations in [Options]. Below it the
// unit was forgotten, and a server would do nothing but survey.
const shortestOption = time.Millisecond

// Limits of what is accepted from the network.
const (
	// maxAnswers is the maximum number of messages on a connection between two
	// surveys. It is twice the number of names, because answers may be late.
	maxAnswers = 2 * membership.MaxNames
)

// Buffers and queues.
const (
	// answerQueue is how many answers wait for the server's loop before the
	// connections that they come from are blocked.
	answerQueue = 256
)

// What a server publishes.
const (
	// greetingTime is the minimum interval at which the server looks again at
	// all subscribers that wait because clients are coming in.
	greetingTime = 5 * time.Millisecond

	// handshakesTime is the minimum interval at which the server looks whether
	// handshakes wait for it, since it looks at each of them.
	handshakesTime = 10 * time.Millisecond

	// Of the messages that wait because subscribers read slowly, no more bytes
	// are kept than backlogLists lists have, or minBacklog. Then those that
	// have waited for longest end with their connections.
	backlogLists = 4
	minBacklog   = 16 << 20
)

// Beats and silence of a subscription in changes.
const (
	// A subscriber or client that notices a silence later than this did not run
	// itself for a while, and does not blame the server.
	peerHalt = 100 * time.Millisecond
)

// goodbyeTime is how long a client that leaves waits until its servers have
// read that it does. It is longer than the way there and back in most networks.
const goodbyeTime = 100 * time.Millisecond

// When a client doubts its connection and dials another one beside it.
const (
	// A connection is doubted when surveys are absent for missedPauses times
	// the usual interval, and at least for shortestDoubt.
	missedPauses  = 3
	shortestDoubt = 5 * time.Second

	// ackTime is how long data may be unacknowledged before a connection is
	// doubted. On a network that loses one packet in ten, one answer in 10,000
	// takes as long.
	ackTime = 5 * time.Second

	// replacedTime is how long a client keeps a connection that another one has
	// replaced, because its first answer on that may still be on its way. If
	// that is not acknowledged by then, the client waits that long again.
	replacedTime = time.Second

	// The interval between surveys is known when minPauses intervals were
	// measured. Each shorter interval reduces it by one part in pauseDecay of
	// the shorter one, so that surveys that were queued have little effect.
	minPauses  = 2
	pauseDecay = 2

	// firstDoubt is how long surveys may be absent while the interval is
	// unknown. Each doubt that does not prove right doubles these times, up to
	// longestDoubt, so that a server that surveys seldom is soon doubted no
	// more.
	firstDoubt   = 30 * time.Second
	longestDoubt = time.Hour
)
