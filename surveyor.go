package gopherdiscovery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// surveyor is the SURVEYOR side of a server. It surveys connections, and passes
// their beginnings, answers and ends to the server's loop.
type surveyor struct {
	sock      *sp.Socket
	authorize func(service string, from Conn) error // nil admits every name
	arrivals  arrivals[*respondent]
	answers   chan answer
	surveyID  uint32 // of the last survey; only the server's loop uses it

	answered atomic.Uint64 // valid answers
	rejected atomic.Uint64 // messages dropped
}

// answer is what a client has said, as far as it is valid.
type answer struct {
	from *respondent
	name string
	kind answerKind
	err  error // of Authorize, if it is refused
}

type answerKind int

const (
	announces answerKind = iota // the client announces the name
	leaves                      // it does not announce the name any more
	checking                    // its answer is being checked
	refused                     // Authorize has refused the name
)

func newSurveyor(opt Options, set sp.Settings, loop sp.Bell) *surveyor {
	s := &surveyor{
		authorize: opt.Authorize,
		arrivals:  arrivals[*respondent]{bell: loop},
		answers:   make(chan answer, answerQueue),
		surveyID:  rand.Uint32(),
	}
	s.sock = sp.NewSocket(sp.Surveyor, set, s.open)
	return s
}

func (s *surveyor) open(p *sp.Pipe) sp.Session { return &respondent{surveyor: s, pipe: p} }

// ask sends a survey to all the given connections.
func (s *surveyor) ask(all []*respondent) {
	id := s.nextID()
	for _, r := range all {
		r.remember(id)
	}
	sp.OfferAll(all)
}

// nextID returns the id of a new survey. It is never [wire.GoodbyeID].
func (s *surveyor) nextID() uint32 {
	for {
		s.surveyID++
		if id := s.surveyID | wire.SurveyIDBit; id != wire.GoodbyeID {
			return id
		}
	}
}

// reject counts a message that is dropped, and logs it.
func (s *surveyor) reject(r *respondent, err error) {
	s.rejected.Add(1)
	r.pipe.Report("answer dropped", err)
}

// respondent is the session with a client.
type respondent struct {
	surveyor *surveyor
	pipe     *sp.Pipe

	admitted bool // Authorize has admitted a name; only Received uses it

	mu          sync.Mutex // guards the fields below
	surveyed    bool       // a survey was made since the connection began
	first, last uint32     // IDs of the first and the last survey
	said        int        // messages since the last survey
	sent        bool       // the last survey has been sent
}

func (r *respondent) Began() { r.surveyor.arrivals.began(r) }

func (r *respondent) Offer() { r.pipe.Offer() }

// Say returns the newest survey if it has not been sent. If the connection
// could not take older ones in time, these are never sent.
func (r *respondent) Say() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent || !r.surveyed {
		return nil
	}
	r.sent = true
	return wire.EncodeSurvey(r.last)
}

// Received takes an answer. It blocks the connection while the server's loop is
// behind, and while Authorize is called.
func (r *respondent) Received(body []byte) error {
	id, name, err := r.split(body)
	switch {
	case errors.Is(err, errTooManyAnswers):
		return err
	case err != nil:
		r.surveyor.reject(r, err)
		return nil
	case id == wire.GoodbyeID:
		r.pass(answer{from: r, name: name, kind: leaves})
		return nil
	}
	if err := r.permit(name); err != nil {
		r.pass(answer{from: r, name: name, kind: refused, err: err})
		return nil
	}
	r.surveyor.answered.Add(1)
	r.pass(answer{from: r, name: name, kind: announces})
	return nil
}

// pass passes an answer to the server's loop.
func (r *respondent) pass(a answer) {
	select {
	case r.surveyor.answers <- a:
	case <-r.pipe.Done():
	}
}

func (r *respondent) Ended() { r.surveyor.arrivals.ended(r) }

// split returns the ID and the name in an answer. It returns an error if that
// answers no survey of the connection, or its name cannot be listed.
func (r *respondent) split(body []byte) (id uint32, name string, err error) {
	if !r.count() {
		return 0, "", errTooManyAnswers
	}
	id, said, err := wire.SplitAnswer(body)
	name = string(said)
	if err != nil || id == wire.GoodbyeID {
		return id, name, err
	}
	if !r.wasAsked(id) {
		return id, name, errUnknownSurvey
	}
	if err := wire.CheckName(name); err != nil {
		return id, name, fmt.Errorf("service %.100q: %w", name, err)
	}
	return id, name, nil
}

// permit calls Authorize, which may hang. Clients that it has admitted are not
// silent then.
func (r *respondent) permit(name string) (err error) {
	authorize := r.surveyor.authorize
	if authorize == nil {
		return nil
	}
	if r.admitted {
		r.pass(answer{from: r, name: name, kind: checking})
	}
	from := Conn{RemoteAddr: r.pipe.RemoteAddr(), TLS: r.pipe.TLS()}
	r.surveyor.sock.CallUser(func() { err = authorize(name, from) })
	if err != nil {
		return &sp.Refusal{Name: name, Reason: err}
	}
	r.admitted = true
	return nil
}

// host returns the remote host, or an empty string if the transport has none.
func (r *respondent) host() string {
	if address, ok := r.pipe.RemoteAddr().(*net.TCPAddr); ok {
		return address.AddrPort().Addr().Unmap().String()
	}
	return ""
}

func (r *respondent) remember(survey uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.surveyed {
		r.first = survey
	}
	r.last, r.surveyed = survey, true
	r.said, r.sent = 0, false
}

// count counts a message. It returns false if that exceeds the limit.
func (r *respondent) count() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said++
	return r.said <= maxAnswers
}

// wasAsked reports whether a survey was made since the connection began. It may
// be an old one: a client that was stopped answers all that it was sent.
func (r *respondent) wasAsked(survey uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.surveyed && (survey-r.first)&^wire.SurveyIDBit <= (r.last-r.first)&^wire.SurveyIDBit
}
