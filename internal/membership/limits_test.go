package membership

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/doctest"
)

// documentedLimits are those in docs/limits.md, by the name of the constant.
var documentedLimits = map[string]any{
	"MaxNames":      MaxNames,
	"MaxTotalNames": MaxTotalNames,

	"settleTime":    settleTime,
	"shortestPace":  shortestPace,
	"shortListPace": shortListPace,
	"paceNames":     paceNames,
	"longestPace":   longestPace,
	"graceTime":     graceTime,
	"slowestDecay":  slowestDecay,
	"latePollEnd":   latePollEnd,
	"stopTime":      stopTime,

	"endWait":         endWait,
	"endsWait":        endsWait,
	"longestEndsWait": longestEndsWait,
	"massWindow":      massWindow,
	"massNames":       massNames,
	"massOfAll":       massOfAll,
	"afterStop":       afterStop,
	"silentPolls":     silentPolls,
	"longestOutage":   longestOutage,
	"LongestWait":     LongestWait,
	"herdTime":        herdTime,

	"minToDoubt":     minToDoubt,
	"doubtShare":     doubtShare,
	"patienceFactor": patienceFactor,
	"maxSilence":     maxSilence,
}

// Each row of docs/limits.md has the figures of the constants in its last
// column.
func TestLimits(t *testing.T) {
	doctest.Limits(t, "../../docs/limits.md", "membership.", documentedLimits, "paceSample", "tick", "comingInPause")
}
