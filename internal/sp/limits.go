package sp

import (
	"net"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// Buffers and queues.
const (
	// readBuffer is the size of a connection's read buffer, in bytes. Surveys
	// and names are short, so one read usually returns a whole message.
	readBuffer = 512

	// chunk is how many bytes of a message are allocated before they arrive.
	chunk = 64 << 10

	// maxHandshakeMessage is the maximum length of a handshake message of a
	// subscription in changes, in bytes. All valid ones are shorter.
	maxHandshakeMessage = 16

	// SmallMessage is the maximum length of a message, in bytes, that is copied
	// so that it is written together with its length.
	SmallMessage = 4 << 10

	// connsPerSender is how many connections one goroutine sends to before
	// another one helps.
	connsPerSender = 64

	// logQueue is how many records wait for a slow logger. Further records are
	// omitted and counted.
	logQueue = 64

	// warningsPerSecond is the maximum rate of warnings that the network can
	// cause on one socket.
	warningsPerSecond = 10

	// A warning is logged again after repeatAfter. The causes of at most
	// maxCauses warnings are remembered.
	repeatAfter = time.Hour
	maxCauses   = 1024

	// maxReasons is the maximum number of reasons that are logged for one
	// outage, or while a listener fails.
	maxReasons = 16

	// lastWords is for how long a connection that cannot be written to any more
	// is still read.
	lastWords = time.Second

	// callbackTime is how long a connection of a dialer waits for a callback of
	// a TLSConfig. Servers have given up by then, unless they have no deadline.
	callbackTime = 30 * time.Second

	// callbackGrace is how long the end of a server, client or subscriber waits
	// for calls of Logger, Authorize and the callbacks of a TLSConfig to
	// return.
	callbackGrace = 500 * time.Millisecond
)

// Handshakes and accepting.
const (
	// connectTime is the maximum time to connect to one address. Systems send a
	// SYN at once and after 1 s, and the next one not before 3 s. A new attempt
	// begins with a SYN, and perhaps with another address.
	connectTime = 2 * time.Second

	// lookupTime is the maximum time to look up a host name. Resolvers give
	// each name server 5 s, and ask up to three of them twice.
	lookupTime = 35 * time.Second

	// resolutionDelay is how long the addresses of one family wait for those of
	// the other one. It is the Resolution Delay of RFC 8305, section 3.
	resolutionDelay = 50 * time.Millisecond

	// HandshakeTime is the maximum time that the other side may be silent in a
	// handshake.
	HandshakeTime = 5 * time.Second

	// WelcomeTime is how long a subscriber that asks for changes waits for
	// WELCOME after the hello. It is longer than HandshakeTime, because
	// publishers that do not offer changes close the connection at once and
	// cause no wait.
	WelcomeTime = 2 * HandshakeTime

	// maxHandshakeTime is the maximum time that a server may be silent in a
	// handshake. A dialer begins with HandshakeTime and doubles it while the
	// server accepts connections but completes no handshake: the server may
	// have many others to serve.
	maxHandshakeTime = 4 * HandshakeTime

	// maxExtensions is how often a handshake is given another HandshakeTime, or
	// lateAfter after a small delay, because this process is late.
	maxExtensions = 3
	lateAfter     = 50 * time.Millisecond

	// minHelloTime is the minimum time that remains for the handshake of SP
	// after that of TLS.
	minHelloTime = time.Second

	// MaxHandshakes is the maximum number of unfinished handshakes of a
	// listener, and the default of MaxClients: after a power cut all the
	// clients of a full server come at once. roomPause is the pause before the
	// listener looks again for room when no handshake may be abandoned.
	MaxHandshakes = 10000
	roomPause     = 10 * time.Millisecond

	// maxReadAhead is how many bytes are read from the other side while a
	// handshake waits for a slot.
	maxReadAhead = 4 << 10

	// A handshake of TLS that has waited longer than LongWait for slots, or
	// any that has not begun for longStart, means that clients are coming in
	// faster than this process can serve them. Those that have given up come
	// again.
	LongWait  = 100 * time.Millisecond
	longStart = time.Second

	// helloGrace is how long the other side may be silent in a handshake before
	// the handshake may be abandoned to make room. begunGrace is the same once
	// it has begun a handshake of TLS, or has asked for changes. To keep others
	// waiting with silent connections takes MaxHandshakes of them in each
	// grace.
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
	// RedialMax.
	redialMin = 40 * time.Millisecond
	RedialMax = wire.LongestPause

	// maxShortLived is the number of connections in a row that end within
	// RedialMax before that is an outage. One may have met the end of its
	// server.
	maxShortLived = 3

	// attemptDelay is how long an attempt to connect to one address of a name
	// runs alone before the next address is tried in parallel. It is the
	// Connection Attempt Delay of RFC 8305, section 5.
	attemptDelay = 250 * time.Millisecond

	// steadyMin is how long a connection must last to end the outage before it.
	// For an unstable server that time doubles with each outage, up to
	// steadyMax. A connection that lasts for steadyMax resets it.
	steadyMin = time.Second
	steadyMax = time.Minute

	// acceptedTimeout is how long a server keeps a connection whose other end
	// acknowledges or reads nothing. That allows for a bad network. It is the
	// same for a subscription in the plain form, since nothing else notices
	// that its server has vanished.
	acceptedTimeout = 20 * time.Second

	// dialedTimeout is that of clients and other subscriptions. They notice a
	// dead path by themselves, and a connection that they keep is of use when
	// the machine of the server was only suspended.
	dialedTimeout = 10 * time.Minute
)

// KeepAlive probes an idle connection, so that the other end of one that is
// gone resets it soon. If a machine has vanished nothing is reset. On Linux the
// timeouts above then take the place of the number of probes. They begin with
// the last sign of the machine, or with data that is sent later: after twice
// the timeout each connection has ended. Elsewhere an idle connection ends
// after 10 seconds, and one with data when the system gives up. The number of
// probes allows for a network that loses one packet in ten.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 7}

// The choice of the form of a subscription.
const (
	// changesProtocol is the protocol number in the hello of a subscriber that
	// asks for changes: protocol 0xFD5, role 1. The registry of the Scalability
	// Protocols reserves 0xF00 to 0xFFF for local and experimental use.
	changesProtocol = 0xFD51

	// A publisher that does not offer changes closes the connection within
	// milliseconds after its hello. A connection that ends later than
	// maxRefusalDelay has other reasons.
	maxRefusalDelay = time.Second

	// A server that has refused changes is not asked for them for refusalTime,
	// and one that has broken their protocol for mistrustTime.
	refusalTime  = time.Minute
	mistrustTime = 10 * time.Minute
)
