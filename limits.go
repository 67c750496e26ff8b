package gopherdiscovery

import (
	"net"
	"time"
)

// Defaults of the fields of [Options] that are zero.
const (
	defaultSurveyTime    = time.Second
	defaultPollTime      = 2 * time.Second
	defaultJoinInterval  = 20 * time.Millisecond
	defaultMissedSurveys = 2
	defaultMaxClients    = 10000
)

// What is accepted on the wire.
const (
	maxServiceLen = 512 // bytes of a name
	maxHops       = 8   // devices that a survey may have passed

	// A survey and an answer are a few hops, an id and at most a name; a list holds all names.
	maxSurveyLen = 4 << 10
	maxListLen   = 64 << 20
	maxUpdateLen = maxListLen + 32 // of a list or change, with what precedes the names

	// maxNames is how many names may be known behind one connection, a device's for example, and maxTotalNames how many a
	// server keeps, counted on each connection.
	maxNames      = 4096
	maxTotalNames = 1 << 17

	// maxAnswers is how many messages may come on a connection between two surveys of it: twice the answers of all names
	// there, since some may be late.
	maxAnswers = 2 * maxNames

	// An answer may be as late as this many surveys of its connection.
	surveysRemembered = 32
)

// Buffers and queues.
const (
	// Surveys and names are short: one read from the system mostly brings a whole message.
	readBuffer = 512

	// chunk is how much of a message is allocated ahead of its arrival.
	chunk = 64 << 10

	// maxPreallocatedNames is how many names there is memory for before it is known that they are valid.
	maxPreallocatedNames = 4096

	// maxHandshakeMessage is more than a message of the handshake of a subscription in changes takes.
	maxHandshakeMessage = 16

	// Messages up to this size are copied behind their length and written at once.
	smallMessage = 4 << 10

	// connsPerSender is how many connections one goroutine sends to before another helps.
	connsPerSender = 64

	// answerQueue is how many answers wait for the server's loop before the connections they come from have to.
	answerQueue = 256

	// logQueue is how many records wait for a logger that is slow. Those beyond it are left out, and counted.
	logQueue = 64

	// warningsPerSecond bounds what strangers can make a socket log.
	warningsPerSecond = 10

	// callbackGrace is how long the end of a server, client or subscriber waits for functions of the user's that have not
	// returned: Logger and Authorize.
	callbackGrace = 500 * time.Millisecond
)

// Handshakes and accepting.
const (
	// handshakeTime bounds the time to connect, and the time that the other side may keep silent in the handshakes.
	handshakeTime = 5 * time.Second

	// welcomeTime is how long a subscriber that wants changes waits for WELCOME after the hello. It is longer than
	// handshakeTime: publishers that know no changes do not keep it waiting, but close the connection at once.
	welcomeTime = 2 * handshakeTime

	// maxPatience bounds the time that a server may keep silent in a handshake. It begins with handshakeTime and doubles
	// while the server answers connections but no handshake: it may have many others to serve.
	maxPatience = 4 * handshakeTime

	// maxExtensions is how often a handshake is given handshakeTime more when it is this process that is late.
	maxExtensions = 3

	// minHelloTime is what a handshake of TLS leaves at least for that of SP.
	minHelloTime = time.Second

	// maxHandshakes is how many handshakes a listener has under way at once, which is as many as Linux lets wait to be
	// accepted, and roomPause how long it waits for room when none of them may give way.
	maxHandshakes = 4096
	roomPause     = 10 * time.Millisecond

	// maxReadAhead is how many bytes are read of the other side while a handshake waits for its turn.
	maxReadAhead = 4 << 10

	// begunGrace is how long the other side of a handshake that has begun may keep us waiting before it gives way to others.
	begunGrace = time.Second

	// acceptPause is how long a listener waits when the system cannot accept a connection, and acceptQuiet how long it must
	// have gone well before such an error is logged again.
	acceptPause = 50 * time.Millisecond
	acceptQuiet = time.Minute
)

// Connecting, and connections that have died.
const (
	// The pause before an attempt to connect grows by half from redialMin to redialMax.
	redialMin = 100 * time.Millisecond
	redialMax = time.Second

	// attemptDelay is how long an address of a name has for itself before the next one is tried beside it (RFC 8305,
	// section 5: Connection Attempt Delay).
	attemptDelay = 250 * time.Millisecond

	// steadyMin is how long a connection must stand before the outage that it follows is over. For a server that comes and
	// goes it doubles with each outage, up to steadyMax, and begins anew after a connection that stood for so long.
	steadyMin = time.Second
	steadyMax = time.Minute

	// vanishedAfter is how long a connection is kept whose other end acknowledges nothing, or takes nothing. It leaves room
	// for a bad network: a client that is silent is dropped from the list long before.
	vanishedAfter = 30 * time.Second
)

// keepAlive finds within 10 seconds that the machine at the other end has vanished without a word. Between two probes and
// the end of a connection there is room for a network that loses one packet in ten.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 7}

// The server's timetable.
const (
	// settleTime is how long a join waits for the other newcomers that were asked with it, and how far apart the lists are
	// that further names behind known connections cause, so that a burst is a few lists.
	settleTime = 5 * time.Millisecond

	// Lists of joins are as far apart as newcomers take to answer, if that is shortestPace at least, and at most
	// longestPace. It is known of paceSample of them.
	paceSample   = 64
	shortestPace = 50 * time.Millisecond
	longestPace  = time.Second

	// A poll whose end is noticed lateAfter is given graceTime more: there may be answers that have not been read yet.
	lateAfter = 50 * time.Millisecond
	graceTime = 200 * time.Millisecond

	// A server that runs this late was stopped.
	serverHalt = 500 * time.Millisecond

	// maxRestarts is how often a server that is stopped again, or loses most connections again, begins anew before its list
	// is complete.
	maxRestarts = 5

	// maxYields is how often the loop lets others run who may have another end of a connection to tell.
	maxYields = 8

	// The loop runs at least this often, so that it notices when the process was stopped.
	serverTick = 250 * time.Millisecond

	// When minLosses connections, and most of those there were, end within lossWindow, the server's network is the likelier
	// cause. Those who were there then are remembered for lossMemory.
	minLosses  = 3
	lossWindow = time.Second
	lossMemory = 10 * time.Minute

	// Ends are not told until there was no other for lossSettle, or the first is longestLoss ago. Of fewer connections than
	// minConnsToGather one that ends alone does not wait.
	minConnsToGather = 8
	lossSettle       = 5 * time.Millisecond
	longestLoss      = 50 * time.Millisecond

	// When more than one in doubtShare has ended, and at least minToDoubt, most may follow, however busy the machine is that
	// tells it.
	suspectSettle  = 100 * time.Millisecond
	longestSuspect = time.Second

	// From this many silent names, if they are more than one in doubtShare, a poll is doubted. Eureka's self-preservation
	// begins with 15 %, which is nearly the same.
	minToDoubt = 3
	doubtShare = 7

	// A name is not dropped for silence before it lasted patienceFactor times as long as its slowest answer. Where a packet
	// in ten is lost, an answer takes 2^n retransmission timeouts once in 10^n times. A time counts less with each poll, by
	// one part in slowestDecay.
	patienceFactor = 64
	slowestDecay   = 64

	// maxSilence is the longest patience with one name. It is also the least
	// while many are silent, even if most of them are known to be slow.
	// maxDoubt is the longest patience with many that used to be faster: by then
	// it is not an overload that passes.
	maxSilence = 30 * time.Second
	maxDoubt   = 2 * time.Minute

	// maxChanges is how many recent changes of the list are kept. Their bytes are bounded too, by those of the list.
	maxChanges = 256
)

// Beats and silence in a subscription in changes.
const (
	// The server sends something at least once a beat, which is Options.PollTime within these bounds.
	minBeat = 50 * time.Millisecond
	maxBeat = time.Minute

	// Beats are sent up to this part of a beat early, many at a time.
	beatSlack = 8

	// A server that misses this many beats does not count while another speaks. A busy machine stutters:
	// shortestPatience is how long any server may be silent.
	missedBeats      = 3
	shortestPatience = time.Second

	// A subscriber whose list an incomplete server has not checked yet is sent no beat for this many beats: far fewer than
	// would make it give up.
	uncheckedBeats = 4

	// A connection that is silent for this many beats, and at least for vanishedAfter, is given up.
	lostBeats = 10

	// A subscriber or client that notices a silence this late takes itself for the one that did not run.
	peerHalt = 100 * time.Millisecond
)

// What a client makes of surveys that stay away.
const (
	// The pause between surveys is known once pulsePauses of them were measured. It counts less with each that
	// follows, by one part in pulseDecay of that: surveys that were queued up say nothing.
	pulsePauses = 2
	pulseDecay  = 2

	// firstPulse is how long surveys may stay away before their pauses are known, longer than a server is likely to
	// pause. Each connection that is given up so makes that pulseGrowth times as long, up to longestPulse, so that a server
	// that asks even less often loses a client for a moment, and a few times at most.
	firstPulse   = time.Hour
	pulseGrowth  = 4
	longestPulse = 24 * time.Hour
)

// The form of a subscription.
const (
	// changesProtocol is what a subscriber that wants changes says it speaks: number 0xFD5 of those that the registry of
	// the Scalability Protocols keeps for local use, role 1.
	changesProtocol = 0xFD51

	// A publisher that knows no changes closes the connection in milliseconds. A refusal later than maxRefusalDelay may have
	// other reasons.
	maxRefusalDelay = time.Second

	// A server that has refused changes is asked for them again after refusalTime, when it is connected anew.
	refusalTime = time.Minute

	// After a message that breaks the protocol a subscription is plain for mistrustTime; that doubles each time, up to
	// maxMistrust.
	mistrustTime = 10 * time.Minute
	maxMistrust  = 24 * time.Hour
)
