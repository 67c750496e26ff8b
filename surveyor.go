package gopherdiscovery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
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

// answer is a valid answer to a survey.
type answer struct {
	from *respondent
	name string
}

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
	s.surveyID++
	id := s.surveyID | surveyIDBit
	for _, r := range all {
		r.remember(id)
	}
	offerAll(all)
}

// reject counts a message that is dropped. It logs the first one of each
// connection.
func (s *surveyor) reject(r *respondent, err error) {
	s.rejected.Add(1)
	r.pipe.report("answer dropped", "error", err)
}

// respondent is the session with a client.
type respondent struct {
	surveyor *surveyor
	pipe     *pipe

	// authorized holds the names that Authorize has admitted. It is nil without
	// Authorize. Only received uses it.
	authorized map[string]bool

	mu      sync.Mutex // guards the fields below
	surveys []uint32   // IDs of the last surveys, the newest last
	said    int        // messages since the last survey
	asked   bool       // the last survey has been sent
}

func (r *respondent) began() { r.surveyor.arrivals.began(r) }

func (r *respondent) offer() { r.pipe.offer() }

// say returns the newest survey if it has not been sent. If the connection
// could not take older ones in time, these are never sent.
func (r *respondent) say() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked || len(r.surveys) == 0 {
		return nil
	}
	r.asked = true
	return encodeSurvey(r.surveys[len(r.surveys)-1])
}

// received takes an answer. It blocks the connection while the server's loop is
// behind.
func (r *respondent) received(body []byte) error {
	name, err := r.check(body)
	switch {
	case errors.Is(err, errTooManyAnswers), errors.Is(err, errWithdrawn):
		return err
	case err != nil:
		r.surveyor.reject(r, err)
		return nil
	}
	r.surveyor.answered.Add(1)
	select {
	case r.surveyor.answers <- answer{r, name}:
	case <-r.pipe.done:
	}
	return nil
}

func (r *respondent) ended() { r.surveyor.arrivals.ended(r) }

// check returns the name in an answer, or an error if the name cannot be
// listed.
func (r *respondent) check(body []byte) (name string, err error) {
	if !r.count() {
		return "", errTooManyAnswers
	}
	id, said, err := splitAnswer(body)
	if err != nil {
		return "", err
	}
	if !r.wasAsked(id) {
		return "", errUnknownSurvey
	}
	name = string(said)
	if err := checkService(name); err != nil {
		return "", fmt.Errorf("service %.100q: %w", name, err)
	}
	if err := r.permit(name); err != nil {
		return "", fmt.Errorf("service %q: %w", name, err)
	}
	return name, nil
}

// permit calls Authorize. The error matches errWithdrawn if Authorize has
// admitted the name on this connection before.
func (r *respondent) permit(name string) (err error) {
	authorize := r.surveyor.authorize
	if authorize == nil {
		return nil
	}
	from := Conn{RemoteAddr: r.pipe.remoteAddr(), TLS: r.pipe.state()}
	r.pipe.endpoint.callUser(func() { err = authorize(name, from) })
	switch {
	case err != nil && r.authorized[name]:
		return fmt.Errorf("%w: %w", errWithdrawn, err)
	case err == nil && len(r.authorized) < maxNames:
		r.authorized[name] = true
	}
	return err
}

func (r *respondent) remember(survey uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.surveys) == surveysRemembered {
		r.surveys = slices.Delete(r.surveys, 0, 1)
	}
	r.surveys = append(r.surveys, survey)
	r.said, r.asked = 0, false
}

// count counts a message and reports whether the limit still allows it.
func (r *respondent) count() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said++
	return r.said <= maxAnswers
}

func (r *respondent) wasAsked(survey uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.surveys, survey)
}
