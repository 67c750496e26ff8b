package gopherdiscovery

import "github.com/dahernan/gopherdiscovery/internal/wire"

// side is one side of one of the two Scalability Protocols that we speak.
type side struct {
	self, peer uint16
	selfName   string
	peerName   string
	limit      int // the longest message accepted, in bytes

	changes bool // a subscriber may speak changesProtocol instead
}

var (
	surveyorSide   = side{0x62, 0x63, "surveyor", "respondent", wire.MaxSurveyLen, false}
	respondentSide = side{0x63, 0x62, "respondent", "surveyor", wire.MaxSurveyLen, false}
	pubSide        = side{0x20, 0x21, "pub", "sub", wire.MaxSurveyLen, true}
	subSide        = side{0x21, 0x20, "sub", "pub", wire.MaxUpdateLen, true}
)
