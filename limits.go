package gopherdiscovery

import (
	"net"
	"time"
)

// Defaults for zero fields of [Options].
const (
	defaultSurveyTime    = time.Second
	defaultPollTime      = 2 * time.Second
	defaultJoinInterval  = 20 * time.Millisecond
	defaultMissedSurveys = 2
	defaultMaxClients    = 10000
)

// Limits of what is accepted from the network.
const (
	maxServiceLen = 512 // bytes in a service name
	maxHops       = 8   // devices on the path of a survey

	// maxSurveyLen is the maximum length of a survey or an answer, in bytes.
	// Both consist of a few hops, an ID and at most one name.
	maxSurveyLen = 4 << 10

	// maxListLen is the maximum length of a list, in bytes. A message that
	// carries a list or a change may also have a header.
	maxListLen   = 64 << 20
	maxUpdateLen = maxListLen + 32

	// maxNames is the maximum number of names on one connection, such as that
	// of a device. maxTotalNames is the maximum for a server, which counts a
	// name once for each connection.
	maxNames      = 4096
	maxTotalNames = 1 << 17

	// maxAnswers is the maximum number of messages on a connection between two
	// surveys. It is twice the number of names, because answers may be late.
	maxAnswers = 2 * maxNames

	// surveysRemembered is the number of surveys of a connection that may still
	// be answered.
	surveysRemembered = 32
)

// Buffers and queues.
const (
	// readBuffer is the size of a connection's read buffer, in bytes. Surveys
	// and names are short, so one read usually returns a whole message.
	readBuffer = 512

	// chunk is how many bytes of a message are allocated before they arrive.
	chunk = 64 << 10

	// maxPreallocatedNames is the maximum number of names that memory is
	// allocated for before they are known to be valid.
	maxPreallocatedNames = 4096

	// maxHandshakeMessage is the maximum length of a handshake message of a
	// subscription in changes, in bytes. All valid ones are shorter.
	maxHandshakeMessage = 16

	// smallMessage is the maximum length of a message, in bytes, that is copied
	// so that it is written together with its length.
	smallMessage = 4 << 10

	// connsPerSender is how many connections one goroutine sends to before
	// another one helps.
	connsPerSender = 64

	// answerQueue is how many answers wait for the server's loop before the
	// connections that they come from are blocked.
	answerQueue = 256

	// logQueue is how many records wait for a slow logger. Further records are
	// omitted and counted.
	logQueue = 64

	// warningsPerSecond is the maximum rate of warnings that the network can
	// cause on one socket.
	warningsPerSecond = 10

	// callbackGrace is how long the end of a server, client or subscriber waits
	// for calls of Logger and Authorize to return.
	callbackGrace = 500 * time.Millisecond
)

// Handshakes and accepting.
const (
	// handshakeTime is the maximum time to connect, and the maximum time that
	// the other side may be silent in a handshake.
	handshakeTime = 5 * time.Second

	// welcomeTime is how long a subscriber that asks for changes waits for
	// WELCOME after the hello. It is longer than handshakeTime, because
	// publishers that do not offer changes close the connection at once and
	// cause no wait.
	welcomeTime = 2 * handshakeTime

	// maxPatience is the maximum time that a server may be silent in a
	// handshake. A dialer begins with handshakeTime and doubles it while the
	// server accepts connections but completes no handshake: the server may
	// have many others to serve.
	maxPatience = 4 * handshakeTime

	// maxExtensions is how often a handshake is given another handshakeTime
	// because this process is late.
	maxExtensions = 3

	// minHelloTime is the minimum time that remains for the handshake of SP
	// after that of TLS.
	minHelloTime = time.Second

	// maxHandshakes is the maximum number of unfinished handshakes of a
	// listener. Linux lets as many connections wait to be accepted. roomPause
	// is the pause before the listener looks again for room when no handshake
	// may be abandoned.
	maxHandshakes = 4096
	roomPause     = 10 * time.Millisecond

	// maxReadAhead is how many bytes are read from the other side while a
	// handshake waits for its turn.
	maxReadAhead = 4 << 10

	// helloGrace is how long the other side may be silent in a handshake before
	// the handshake may be abandoned to make room. begunGrace is the same once
	// it has begun a handshake of TLS. To keep others waiting with silent
	// connections takes maxHandshakes of them in each helloGrace.
	helloGrace = 100 * time.Millisecond
	begunGrace = time.Second

	// acceptPause is the pause after the system failed to accept a connection.
	// acceptQuiet is how long there must be no such failure before the next one
	// is logged again.
	acceptPause = 50 * time.Millisecond
	acceptQuiet = time.Minute
)

// Connecting, and connections that have died.
const (
	// The pause before each attempt to connect grows by half from redialMin to
	// redialMax.
	redialMin = 100 * time.Millisecond
	redialMax = time.Second

	// attemptDelay is how long an attempt to connect to one address of a name
	// runs alone before the next address is tried in parallel. It is the
	// Connection Attempt Delay of RFC 8305, section 5.
	attemptDelay = 250 * time.Millisecond

	// steadyMin is how long a connection must last to end the outage before it.
	// For an unstable server that time doubles with each outage, up to
	// steadyMax. A connection that lasts for steadyMax resets it.
	steadyMin = time.Second
	steadyMax = time.Minute

	// vanishedAfter is how long a connection is kept whose other end
	// acknowledges or reads nothing. That allows for a bad network: a silent
	// client leaves the list long before.
	vanishedAfter = 30 * time.Second
)

// keepAlive detects within 10 seconds that the machine at the other end has
// vanished. The number of probes allows for a network that loses one packet in
// ten.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 7}

// The timing of the server.
const (
	// settleTime is how long a join waits for other newcomers that were
	// surveyed with it. It is also the minimum interval between lists with new
	// names on known connections, so that a burst of names makes a few lists.
	settleTime = 5 * time.Millisecond

	// The interval between lists of joins is the median time that newcomers
	// take to answer, up to shortListPace. A median below shortestPace causes no
	// wait. Beyond paceNames names, what exceeds shortestPace grows with the
	// square of their number, up to longestPace. The median is of at most
	// paceSample times.
	paceSample    = 64
	shortestPace  = 50 * time.Millisecond
	shortListPace = time.Second
	paceNames     = 1000
	longestPace   = 3 * time.Second

	// A poll whose end is noticed more than lateAfter late is extended by
	// graceTime or SurveyTime, whichever is shorter, because some answers may
	// not have been read yet.
	lateAfter = 50 * time.Millisecond
	graceTime = 200 * time.Millisecond

	// A server that runs later than this was stopped.
	serverHalt = 500 * time.Millisecond

	// maxRestarts is how often a server that is stopped again, or loses most
	// connections again, restarts the wait for a complete list.
	maxRestarts = 5

	// maxYields is how often the loop yields to goroutines that may have to
	// report the end of another connection.
	maxYields = 8

	// serverTick is the maximum time between two runs of the loop. It makes the
	// loop notice that the process was stopped.
	serverTick = 250 * time.Millisecond

	// When at least minLosses connections, and most of all, end within
	// lossWindow, the server's network is the likelier cause. The names that
	// were listed before are remembered for lossMemory.
	minLosses  = 3
	lossWindow = time.Second
	lossMemory = 10 * time.Minute

	// The list stays incomplete for returnWindow more when one of those names
	// has come back so lately, and others have not. It is the longest pause
	// between two attempts to connect.
	returnWindow = redialMax

	// The end of a connection is published after lossSettle, or at once with
	// fewer than minConnsToGather connections. If more have ended by then, most
	// may follow, and a busy machine reports their ends slowly: the list waits
	// until no connection has ended for burstSettle, but at most longestBurst.
	minConnsToGather = 8
	lossSettle       = 5 * time.Millisecond
	burstSettle      = 100 * time.Millisecond
	longestBurst     = time.Second

	// A poll is doubted when at least minToDoubt names are silent, and more
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

	// maxSilence is the maximum patience with one name. It is also the minimum
	// while many names are silent, even if most of them are known to be slow.
	// maxDoubt is the maximum patience with many names that used to be faster.
	// No temporary overload lasts as long.
	maxSilence = 30 * time.Second
	maxDoubt   = 2 * time.Minute

	// maxChanges is the maximum number of recent changes of the list that are
	// kept. Together they are also no longer than the list, in bytes.
	maxChanges = 256
)

// Beats and silence of a subscription in changes.
const (
	// The server sends something at least once a beat. The beat is
	// Options.PollTime, but at least minBeat and at most maxBeat.
	minBeat = 50 * time.Millisecond
	maxBeat = time.Minute

	// A beat is sent up to a fraction of 1/beatSlack of a beat early, so that
	// many are sent together.
	beatSlack = 8

	// A server that misses missedBeats beats does not count while another
	// server speaks. Any server may be silent for shortestPatience, because
	// busy machines run late.
	missedBeats      = 3
	shortestPatience = time.Second

	// staleGrace is how long the first message after a silence does not count
	// while another server counts. In that time a server that was stopped says
	// that its list is incomplete.
	staleGrace = 500 * time.Millisecond

	// uncheckedBeats is how many beats a subscriber is not sent while an
	// incomplete server has not yet checked the list that the subscriber holds.
	// It is far below the number at which the subscriber gives up.
	uncheckedBeats = 4

	// A connection is given up when it is silent for lostBeats beats, and at
	// least for vanishedAfter.
	lostBeats = 10

	// A subscriber or client that notices a silence later than this did not run
	// itself for a while, and does not blame the server.
	peerHalt = 100 * time.Millisecond
)

// How a client reacts when surveys stop.
const (
	// The interval between surveys is known when pulsePauses intervals were
	// measured. Each shorter interval reduces it by one part in pulseDecay of
	// the shorter one, so that surveys that were queued have little effect.
	pulsePauses = 2
	pulseDecay  = 2

	// firstPulse is how long surveys may be absent while the interval is
	// unknown. It is longer than the PollTime of most servers. Each connection
	// that is given up by it multiplies it by pulseGrowth, up to longestPulse.
	// So a server that surveys even less often loses a client only for a
	// moment, and only a few times.
	firstPulse   = time.Hour
	pulseGrowth  = 4
	longestPulse = 24 * time.Hour
)

// The choice of the form of a subscription.
const (
	// changesProtocol is the protocol number in the hello of a subscriber that
	// asks for changes: protocol 0xFD5, role 1. The registry of the Scalability
	// Protocols reserves 0xF00 to 0xFFF for local and experimental use.
	changesProtocol = 0xFD51

	// A publisher that does not offer changes closes the connection within
	// milliseconds. A refusal later than maxRefusalDelay may have other
	// reasons.
	maxRefusalDelay = time.Second

	// A server that has refused changes is asked for them again when it is
	// connected again and refusalTime has passed.
	refusalTime = time.Minute

	// After a message that breaks the protocol, a subscription uses the plain
	// form for mistrustTime. That time doubles with each such message, up to
	// maxMistrust.
	mistrustTime = 10 * time.Minute
	maxMistrust  = 24 * time.Hour
)
