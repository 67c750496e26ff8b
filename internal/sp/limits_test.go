package sp

import (
	"fmt"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/doctest"
)

// documentedLimits are those in docs/limits.md, by the name of the constant.
var documentedLimits = map[string]any{
	"maxExtensions":       maxExtensions,
	"lateAfter":           lateAfter,
	"minHelloTime":        minHelloTime,
	"acceptPause":         acceptPause,
	"acceptQuiet":         acceptQuiet,
	"MaxHandshakes":       MaxHandshakes,
	"helloGrace":          helloGrace,
	"begunGrace":          begunGrace,
	"connectTime":         connectTime,
	"HandshakeTime":       HandshakeTime,
	"maxHandshakeTime":    maxHandshakeTime,
	"LongWait":            LongWait,
	"longStart":           longStart,
	"WelcomeTime":         WelcomeTime,
	"acceptedTimeout":     acceptedTimeout,
	"dialedTimeout":       dialedTimeout,
	"KeepAlive":           fmt.Sprintf("%s, %s, %d", doctest.Figure(KeepAlive.Idle), doctest.Figure(KeepAlive.Interval), KeepAlive.Count),
	"redialMin":           redialMin,
	"RedialMax":           RedialMax,
	"attemptDelay":        attemptDelay,
	"lookupTime":          lookupTime,
	"resolutionDelay":     resolutionDelay,
	"maxHandshakeMessage": doctest.Bytes(maxHandshakeMessage),
	"refusalTime":         refusalTime,
	"maxRefusalDelay":     maxRefusalDelay,
	"mistrustTime":        mistrustTime,
	"warningsPerSecond":   warningsPerSecond,
	"repeatAfter":         repeatAfter,
	"maxCauses":           maxCauses,
	"maxReasons":          maxReasons,
	"maxShortLived":       maxShortLived,
	"steadyMin":           steadyMin,
	"steadyMax":           steadyMax,
	"logQueue":            logQueue,
	"callbackGrace":       callbackGrace,
	"callbackTime":        callbackTime,
	"lastWords":           lastWords,
}

// Each row of docs/limits.md has the figures of the constants in its last
// column.
func TestLimits(t *testing.T) {
	doctest.Limits(t, "../../docs/limits.md", "sp.", documentedLimits,
		"readBuffer", "chunk", "SmallMessage", "connsPerSender", "roomPause", "maxReadAhead", "changesProtocol")
}
