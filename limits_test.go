package gopherdiscovery

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// bytesOf is a number of bytes.
type bytesOf int

// documentedLimits are those in docs/limits.md, by the name of the constant.
var documentedLimits = map[string]any{
	"defaultSurveyTime":    defaultSurveyTime,
	"defaultPollTime":      defaultPollTime,
	"defaultJoinInterval":  defaultJoinInterval,
	"defaultMissedSurveys": defaultMissedSurveys,
	"defaultMaxClients":    defaultMaxClients,

	"maxHandshakes": maxHandshakes,
	"helloGrace":    helloGrace,
	"begunGrace":    begunGrace,
	"handshakeTime": handshakeTime,
	"maxPatience":   maxPatience,
	"welcomeTime":   welcomeTime,
	"vanishedAfter": vanishedAfter,
	"keepAlive":     fmt.Sprintf("%s, %s, %d", figure(keepAlive.Idle), figure(keepAlive.Interval), keepAlive.Count),
	"redialMin":     redialMin,
	"redialMax":     redialMax,
	"attemptDelay":  attemptDelay,

	"maxServiceLen":       bytesOf(maxServiceLen),
	"maxSurveyLen":        bytesOf(maxSurveyLen),
	"maxAnswers":          maxAnswers,
	"surveysRemembered":   surveysRemembered,
	"maxNames":            maxNames,
	"maxTotalNames":       maxTotalNames,
	"maxListLen":          bytesOf(maxListLen),
	"maxUpdateLen":        bytesOf(maxUpdateLen),
	"maxHandshakeMessage": bytesOf(maxHandshakeMessage),
	"maxHops":             maxHops,
	"maxChanges":          maxChanges,

	"patienceFactor":   patienceFactor,
	"maxSilence":       maxSilence,
	"maxDoubt":         maxDoubt,
	"minToDoubt":       minToDoubt,
	"doubtShare":       doubtShare,
	"minLosses":        minLosses,
	"lossWindow":       lossWindow,
	"minBeat":          minBeat,
	"maxBeat":          maxBeat,
	"missedBeats":      missedBeats,
	"shortestPatience": shortestPatience,
	"staleGrace":       staleGrace,
	"lostBeats":        lostBeats,
	"firstPulse":       firstPulse,
	"longestPulse":     longestPulse,
	"refusalTime":      refusalTime,
	"mistrustTime":     mistrustTime,
	"maxMistrust":      maxMistrust,

	"warningsPerSecond": warningsPerSecond,
	"logQueue":          logQueue,
	"callbackGrace":     callbackGrace,
}

// figure returns a value as the documents write it.
func figure(value any) string {
	switch v := value.(type) {
	case bytesOf:
		for _, unit := range []struct {
			size bytesOf
			name string
		}{{1 << 20, "MiB"}, {1 << 10, "KiB"}} {
			if v%unit.size == 0 {
				return fmt.Sprintf("%d %s", v/unit.size, unit.name)
			}
		}
		return fmt.Sprintf("%d bytes", v)
	case time.Duration:
		for _, unit := range []struct {
			size time.Duration
			name string
		}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
			if v%unit.size == 0 {
				return fmt.Sprintf("%d %s", v/unit.size, unit.name)
			}
		}
		return fmt.Sprintf("%d ms", v.Milliseconds())
	}
	return fmt.Sprint(value)
}

// Each row of docs/limits.md has the figures of the constants in its last
// column.
func TestLimits(t *testing.T) {
	seen := make(map[string]bool)
	constant := regexp.MustCompile("`(\\w+)`")
	for _, row := range rows(t, "docs/limits.md") {
		limit := row[1]
		for _, found := range constant.FindAllStringSubmatch(row[len(row)-1], -1) {
			name := found[1]
			seen[name] = true
			if value, ok := documentedLimits[name]; !ok {
				t.Errorf("%q: there is no constant %s", row[0], name)
			} else if want := figure(value); !hasFigure(limit, want) {
				t.Errorf("%q: the limit is %q, want %s, as %s says", row[0], limit, want, name)
			}
		}
	}
	for name := range documentedLimits {
		if !seen[name] {
			t.Errorf("no row is about %s", name)
		}
	}
}

// docs/protocol.md has the limits of the wire, for those who read nothing else.
func TestLimitsOfTheProtocol(t *testing.T) {
	beats := fmt.Sprintf("%s or %d beats", figure(vanishedAfter), lostBeats)
	want := map[string][]string{
		"connections on each address":          {"usually " + figure(defaultMaxClients)},
		"handshakes under way on each address": {figure(maxHandshakes)},
		"handshake":                            {figure(handshakeTime)},
		"message to the server":                {fmt.Sprintf("%d bytes", maxSurveyLen)},
		"messages to the server between two surveys of a connection": {figure(maxAnswers)},
		"surveys of a connection that may still be answered":         {figure(surveysRemembered)},
		"names on one connection":                                    {figure(maxNames)},
		"names on all connections, counted on each":                  {figure(maxTotalNames)},
		"list": {figure(bytesOf(maxListLen))},
		"wait for the hello, and then for HAVE, each": {figure(handshakeTime)},
		"wait for WELCOME":                            {figure(welcomeTime)},
		"body of HAVE":                                {fmt.Sprintf("%d or %d bytes", len(encodeHave(nil)), len(encodeHave(new(uint64))))},
		"names of a list, with the separators":        {fmt.Sprintf("%d bytes", maxListLen)},
		"body from the server":                        {fmt.Sprintf("%d bytes", maxListLen+len((&update{kind: kindList}).encode()))},
		"beat":                                        {fmt.Sprintf("%d ms", minBeat.Milliseconds()), fmt.Sprintf("%.0f s", maxBeat.Seconds())},
		"silence":                                     {beats},
	}
	for _, row := range rows(t, "docs/protocol.md") {
		for _, figure := range want[row[0]] {
			if !hasFigure(row[1], figure) {
				t.Errorf("%q: the limit is %q, want %s", row[0], row[1], figure)
			}
		}
		delete(want, row[0])
	}
	for what := range want {
		t.Errorf("there is no row %q", what)
	}
}

// rows returns the cells of the tables in a document.
func rows(t *testing.T, name string) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	return all
}

// hasFigure reports whether a figure is one of those in a text.
func hasFigure(text, want string) bool {
	figures := strings.FieldsFunc(strings.ReplaceAll(text, " to ", ","), func(r rune) bool { return r == ',' })
	for i, f := range figures {
		figures[i] = strings.TrimSpace(f)
	}
	return strings.TrimSpace(text) == want || slices.Contains(figures, want)
}
