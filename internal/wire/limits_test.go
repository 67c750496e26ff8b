package wire

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/doctest"
)

// documentedLimits are those in docs/limits.md, by the name of the constant.
var documentedLimits = map[string]any{
	"beatSlack":       beatSlack,
	"minChangeBytes":  doctest.Bytes(minChangeBytes),
	"MaxServiceLen":   doctest.Bytes(MaxServiceLen),
	"MaxSurveyLen":    doctest.Bytes(MaxSurveyLen),
	"MaxUpdateLen":    doctest.Bytes(MaxUpdateLen),
	"MaxListLen":      doctest.Bytes(MaxListLen),
	"MaxHops":         MaxHops,
	"maxChanges":      maxChanges,
	"arrivalsSettle":  arrivalsSettle,
	"longestArrivals": longestArrivals,
	"fewLeaves":       fewLeaves,
	"MinBeat":         MinBeat,
	"MaxBeat":         MaxBeat,
	"missedBeats":     missedBeats,
	"shortestSilence": shortestSilence,
	"GraceOfAway":     GraceOfAway,
	"BarTime":         BarTime,
	"maxRTO":          maxRTO,
	"maxRemovals":     maxRemovals,
	"waitInterval":    waitInterval,
	"awaitedStart":    awaitedStart,
	"LostBeats":       LostBeats,
	"VanishedAfter":   VanishedAfter,
}

// Each row of docs/limits.md has the figures of the constants in its last
// column.
func TestLimits(t *testing.T) {
	doctest.Limits(t, "../../docs/limits.md", "wire.", documentedLimits,
		"maxPreallocatedNames", "maxFollowed", "minRemovals", "DefaultBeat", "LongestPause")
}
