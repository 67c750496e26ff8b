package sp

import "github.com/dahernan/gopherdiscovery/internal/wire"

// A Protocol is one of the four Scalability Protocols that we speak. The two
// sides of a connection speak different ones, which belong together.
type Protocol struct {
	self, peer uint16
	selfName   string
	peerName   string
	limit      int // the longest message accepted, in bytes

	changes   bool   // a subscriber may speak changesProtocol instead
	exchanged uint16 // the peer where the two URLs have changed places
}

// Surveyor asks, and Respondent answers. Pub publishes, and Sub receives.
var (
	Surveyor   = Protocol{0x62, 0x63, "surveyor", "respondent", wire.MaxSurveyLen, false, 0x21}
	Respondent = Protocol{0x63, 0x62, "respondent", "surveyor", wire.MaxSurveyLen, false, 0x20}
	Pub        = Protocol{0x20, 0x21, "pub", "sub", wire.MaxSurveyLen, true, 0x63}
	Sub        = Protocol{0x21, 0x20, "sub", "pub", wire.MaxUpdateLen, true, 0x62}
)
