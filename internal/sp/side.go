package sp

import "github.com/dahernan/gopherdiscovery/internal/wire"

// A Side is one side of one of the two Scalability Protocols that we speak.
type Side struct {
	self, peer uint16
	selfName   string
	peerName   string
	limit      int // the longest message accepted, in bytes

	changes   bool   // a subscriber may speak changesProtocol instead
	exchanged uint16 // the peer where the two URLs have changed places
}

// The sides of the two protocols.
var (
	SurveyorSide   = Side{0x62, 0x63, "surveyor", "respondent", wire.MaxSurveyLen, false, 0x21}
	RespondentSide = Side{0x63, 0x62, "respondent", "surveyor", wire.MaxSurveyLen, false, 0x20}
	PubSide        = Side{0x20, 0x21, "pub", "sub", wire.MaxSurveyLen, true, 0x63}
	SubSide        = Side{0x21, 0x20, "sub", "pub", wire.MaxUpdateLen, true, 0x62}
)
