package wire

import "time"

// Limits of what is accepted from the network.
const (
	MaxServiceLen = 512 // bytes in a service name
	MaxHops       = 8   // devices on the path of a survey

	// MaxSurveyLen is the maximum length of a survey or an answer, in bytes.
	// Both consist of a few hops, an ID and at most one name.
	MaxSurveyLen = 4 << 10

	// MaxUpdateLen is the maximum length of a message that carries a list or a
	// change, which may also have a header.
	MaxUpdateLen = MaxListLen + 32

	// MaxListLen is the maximum length of an encoded list, in bytes.
	MaxListLen = 64 << 20

	// maxPreallocatedNames is the maximum number of names that memory is
	// allocated for before they are known to be valid.
	maxPreallocatedNames = 4096
)

// Connecting, and connections that have died.
const (
	// waitInterval is the minimum interval at which a subscriber is told that
	// there is no list yet. It may miss one before it gives the connection up.
	waitInterval = VanishedAfter / 3

	// VanishedAfter is the minimum time for which a server in changes may be
	// silent before a subscriber gives the connection up.
	VanishedAfter = 30 * time.Second
)

// What a server publishes.
const (
	// maxChanges is the maximum number of recent changes of the list that are
	// kept. Together they are also no longer than the list or minChangeBytes,
	// in bytes. So some changes of short lists are kept as well.
	maxChanges     = 256
	minChangeBytes = 1 << 10

	// maxFollowed is the maximum number of sums of lists for which it is
	// remembered whether the current list follows from them.
	maxFollowed = 4 * maxChanges
)

// The first message to a subscriber that has connected.
const (
	// While a server starts, a first list is sent when nothing has come in from
	// clients for arrivalsSettle, and after longestArrivals at the latest.
	arrivalsSettle  = 50 * time.Millisecond
	longestArrivals = time.Second

	// A subscriber that returns is told at once when fewer than fewLeaves names
	// of its list have left, or not most.
	fewLeaves = 3
)

// Beats and silence of a subscription in changes.
const (
	// The server sends something at least once a beat. The beat is
	// Options.PollTime, but at least MinBeat and at most MaxBeat.
	MinBeat = 50 * time.Millisecond
	MaxBeat = time.Minute

	// A beat is sent up to a fraction of 1/beatSlack of a beat early, so that
	// many are sent together.
	beatSlack = 8

	// The list of a server that misses missedBeats beats is ignored, after its
	// grace, while another server can be heard. Any server may be silent for
	// shortestSilence, because busy machines run late.
	missedBeats     = 3
	shortestSilence = time.Second

	// GraceOfAway is how long the list of a server that has gone away counts
	// on. A server that restarts, and its clients, are back long before.
	GraceOfAway = 30 * time.Second

	// A name that was removed elsewhere is barred for BarTime, or for
	// missedBeats beats if they are longer. A server that runs needs at most 30
	// s or two polls, and some more for its message, to find out that the name
	// has gone. After it was away it may need as long again, but at most maxRTO
	// more, the longest retransmission timeout of TCP in Linux.
	BarTime = 35 * time.Second
	maxRTO  = 2 * time.Minute

	// A subscriber remembers at most maxRemovals names that were removed. With
	// fewer than minRemovals it is not worth looking which are still needed.
	maxRemovals = 1 << 15
	minRemovals = 64

	// awaitedStart is how long the first list of a server that was down before
	// may be incomplete: the other clients that have waited for it may be in
	// their longest pause.
	awaitedStart = LongestPause + 250*time.Millisecond

	// A connection is given up when it is silent for LostBeats beats, and at
	// least for VanishedAfter.
	LostBeats = 10

	// DefaultBeat is that of a server with the default options. A publisher in
	// the plain form is taken for one.
	DefaultBeat = 2 * time.Second

	// LongestPause is how long clients and subscribers pause at most before
	// they dial again.
	LongestPause = time.Second
)
