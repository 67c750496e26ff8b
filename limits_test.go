package gopherdiscovery

import (
	"fmt"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/doctest"
	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// documentedLimits are those in docs/limits.md, by the name of the constant.
var documentedLimits = map[string]any{
	"defaultSurveyTime":    defaultSurveyTime,
	"defaultPollTime":      defaultPollTime,
	"defaultJoinInterval":  defaultJoinInterval,
	"defaultReturnTime":    defaultReturnTime,
	"defaultMissedSurveys": defaultMissedSurveys,
	"defaultMaxClients":    defaultMaxClients,
	"shortestOption":       shortestOption,

	"replacedTime": replacedTime,

	"maxAnswers":   maxAnswers,
	"backlogLists": backlogLists,
	"minBacklog":   doctest.Bytes(minBacklog),

	"peerHalt":      peerHalt,
	"minPauses":     minPauses,
	"missedPauses":  missedPauses,
	"shortestDoubt": shortestDoubt,
	"ackTime":       ackTime,
	"firstDoubt":    firstDoubt,
	"longestDoubt":  longestDoubt,
	"goodbyeTime":   goodbyeTime,
}

// Each row of docs/limits.md has the figures of the constants in its last
// column.
func TestLimits(t *testing.T) {
	doctest.Limits(t, "docs/limits.md", "", documentedLimits, "answerQueue", "greetingTime", "handshakesTime", "pauseDecay")
}

// docs/protocol.md has the limits of the wire, for those who read nothing else.
func TestLimitsOfTheProtocol(t *testing.T) {
	beats := fmt.Sprintf("%s or %d beats", doctest.Figure(wire.VanishedAfter), wire.LostBeats)
	want := map[string][]string{
		"connections on each address":          {"usually " + doctest.Figure(defaultMaxClients)},
		"handshakes under way on each address": {doctest.Figure(sp.MaxHandshakes)},
		"handshake":                            {doctest.Figure(sp.HandshakeTime)},
		"message to the server":                {fmt.Sprintf("%d bytes", wire.MaxSurveyLen)},
		"messages to the server between two surveys of a connection": {doctest.Figure(maxAnswers)},
		"names on one connection":                                    {doctest.Figure(membership.MaxNames)},
		"names on all connections, counted on each":                  {doctest.Figure(membership.MaxTotalNames)},
		"list": {doctest.Figure(doctest.Bytes(wire.MaxListLen))},
		"wait for the hello, and then for HAVE, each": {doctest.Figure(sp.HandshakeTime)},
		"wait for WELCOME":                            {doctest.Figure(sp.WelcomeTime)},
		"body of HAVE":                                {fmt.Sprintf("%d or %d bytes", len(wire.EncodeHave(nil)), len(wire.EncodeHave(new(uint64))))},
		"names of a list, with the separators":        {fmt.Sprintf("%d bytes", wire.MaxListLen)},
		"body from the server":                        {fmt.Sprintf("%d bytes", wire.MaxListLen+len(wiretest.List(false)))},
		"beat":                                        {fmt.Sprintf("%d ms", wire.MinBeat.Milliseconds()), fmt.Sprintf("%.0f s", wire.MaxBeat.Seconds())},
		"silence":                                     {beats},
	}
	for _, row := range doctest.Rows(t, "docs/protocol.md") {
		for _, want := range want[row[0]] {
			if !doctest.HasFigure(row[1], want) {
				t.Errorf("%q: the limit is %q, want %s", row[0], row[1], want)
			}
		}
		delete(want, row[0])
	}
	for what := range want {
		t.Errorf("there is no row %q", what)
	}
}
