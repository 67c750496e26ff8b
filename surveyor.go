package gopherdiscovery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"

	"github.com/dahernan/gopherdiscovery/internal/membership"
)

// surveyor is the SURVEYOR side of a server. It surveys connections, and passes
// their beginnings, answers and ends to the server's loop.
type surveyor struct {
	sock      *socket
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
}

type answerKind int

const (
	announces answerKind = iota // the client announces the name
	leaves                      // it does not announce the name any more
	checking                    // its answer is being checked
	refused                     // its answer was checked, and is dropped
)

func newSurveyor(opt Options, set settings, loop bell) *surveyor {
	s := &surveyor{
		authorize: opt.Authorize,
		arrivals:  arrivals[*respondent]{bell: loop},
		answers:   make(chan answer, answerQueue),
		surveyID:  rand.Uint32(),
	}
	s.sock = newSocket(surveyorSide, set, s)
	return s
}

func (s *surveyor) open(p *pipe) session {
	r := &respondent{surveyor: s, pipe: p}
	if s.authorize != nil {
		r.authorized = make(map[string]bool)
	}
	return r
}

// ask sends a survey to all the given connections.
func (s *surveyor) ask(all []*respondent) {
	id := s.nextID()
	for _, r := range all {
		r.remember(id)
	}
	offerAll(all)
}

// nextID returns the id of a new survey. It is never goodbyeID.
func (s *surveyor) nextID() uint32 {
	for {
		s.surveyID++
		if id := s.surveyID | surveyIDBit; id != goodbyeID {
			return id
		}
	}
}

// reject counts a message that is dropped, and logs it.
func (s *surveyor) reject(r *respondent, err error) {
	s.rejected.Add(1)
	r.pipe.report("answer dropped", err)
}

// respondent is the session with a client.
type respondent struct {
	surveyor *surveyor
	pipe     *pipe

	// authorized holds the names that Authorize has admitted. It is nil without
	// Authorize. Only received uses it.
	authorized map[string]bool

	mu          sync.Mutex // guards the fields below
	surveyed    bool       // a survey was made since the connection began
	first, last uint32     // IDs of the first and the last survey
	said        int        // messages since the last survey
	sent        bool       // the last survey has been sent
}

func (r *respondent) began() { r.surveyor.arrivals.began(r) }

func (r *respondent) offer() { r.pipe.offer() }

// say returns the newest survey if it has not been sent. If the connection
// could not take older ones in time, these are never sent.
func (r *respondent) say() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent || !r.surveyed {
		return nil
	}
	r.sent = true
	return encodeSurvey(r.last)
}

// received takes an answer. It blocks the connection while the server's loop is
// behind, and while Authorize is called.
func (r *respondent) received(body []byte) error {
	id, said, err := r.split(body)
	if errors.Is(err, errTooManyAnswers) {
		return err
	}
	name := string(said)
	if err == nil && id == goodbyeID {
		r.pass(name, leaves)
		return nil
	}
	if err == nil {
		err = r.check(name)
	}
	switch {
	case errors.Is(err, errWithdrawn):
		r.pass(name, leaves)
		return err
	case err != nil:
		r.surveyor.reject(r, err)
		return nil
	}
	r.surveyor.answered.Add(1)
	r.pass(name, announces)
	return nil
}

// pass passes an answer to the server's loop.
func (r *respondent) pass(name string, kind answerKind) {
	select {
	case r.surveyor.answers <- answer{r, name, kind}:
	case <-r.pipe.done:
	}
}

func (r *respondent) ended() { r.surveyor.arrivals.ended(r) }

// split returns the ID and the name in an answer, or an error if it answers no
// survey of the connection.
func (r *respondent) split(body []byte) (id uint32, said []byte, err error) {
	if !r.count() {
		return 0, nil, errTooManyAnswers
	}
	id, said, err = splitAnswer(body)
	if err == nil && id != goodbyeID && !r.wasAsked(id) {
		err = errUnknownSurvey
	}
	return id, said, err
}

// check returns an error if the name cannot be listed.
func (r *respondent) check(name string) error {
	if err := checkService(name); err != nil {
		return fmt.Errorf("service %.100q: %w", name, err)
	}
	if err := r.permit(name); err != nil {
		return fmt.Errorf("service %q: %w", name, err)
	}
	return nil
}

// permit calls Authorize. The error matches errWithdrawn if Authorize has
// admitted the name on this connection before.
func (r *respondent) permit(name string) (err error) {
	authorize := r.surveyor.authorize
	if authorize == nil {
		return nil
	}
	// Authorize may hang. Clients that it has admitted are not silent then.
	admitted := len(r.authorized) > 0
	if admitted {
		r.pass(name, checking)
	}
	from := Conn{RemoteAddr: r.pipe.remoteAddr(), TLS: r.pipe.state()}
	r.pipe.endpoint.callUser(func() { err = authorize(name, from) })
	switch {
	case err != nil && r.authorized[name]:
		return fmt.Errorf("%w: %w", errWithdrawn, err)
	case err != nil && admitted:
		r.pass(name, refused)
	case err == nil && len(r.authorized) < membership.MaxNames:
		r.authorized[name] = true
	}
	return err
}

// host returns the remote host, or an empty string if the transport has none.
func (r *respondent) host() string {
	if address, ok := r.pipe.remoteAddr().(*net.TCPAddr); ok {
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

// count counts a message and reports whether the limit still allows it.
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
	return r.surveyed && (survey-r.first)&^surveyIDBit <= (r.last-r.first)&^surveyIDBit
}
