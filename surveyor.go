package gopherdiscovery

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"

	"go.nanomsg.org/mangos/v3"
)

const (
	// answerQueue is how many answers wait for the server's loop before the connections they come from have to.
	answerQueue = 256

	// An answer may be as late as this many surveys of its connection.
	surveysRemembered = 8

	// maxNames is how many names may be known behind one connection, a device's for example.
	maxNames = 4096

	// maxTotalNames is how many names a server keeps, counted on each connection.
	maxTotalNames = 1 << 17

	// maxAnswers is how many messages may come on a connection between two surveys of it: twice the answers of all names
	// there, since some may be late.
	maxAnswers = 2 * maxNames
)

// surveyor is the SURVEYOR side: it asks connections, and hands what happens on them to the server's loop in order.
type surveyor struct {
	*socket
	authorize func(service string, from Conn) error // nil admits all
	answers   chan answer
	wake      chan struct{} // there are moves

	// Only the server's loop uses these.
	respondents map[connID]*respondent
	surveyID    uint32

	mu     sync.Mutex // guards the fields below
	moves  []move
	lastID connID
	stats  surveyStats
}

type surveyStats struct {
	clients           int
	answers, rejected uint64
}

// move is a connection that has come or gone.
type move struct {
	who  *respondent
	left bool
}

// answer is a valid answer to a survey.
type answer struct {
	from *respondent
	name string
}

// respondent is a connection that is asked.
type respondent struct {
	*pipe
	id connID

	mu      sync.Mutex // guards the fields below
	surveys []uint32   // the ids that were sent to it last
	said    int        // messages since the last survey

	authorized map[string]bool // names that Authorize has admitted; only for the connection's goroutine
}

func newSurveyor(opt Options, set settings) *surveyor {
	s := &surveyor{
		authorize:   opt.Authorize,
		answers:     make(chan answer, answerQueue),
		wake:        make(chan struct{}, 1),
		respondents: make(map[connID]*respondent),
		surveyID:    rand.Uint32(),
	}
	s.socket = newSocket(role{
		info: mangos.ProtocolInfo{
			Self: mangos.ProtoSurveyor, SelfName: "surveyor",
			Peer: mangos.ProtoRespondent, PeerName: "respondent",
		},
		limit:    maxSurveyLen,
		posts:    true,
		attached: s.attached,
		received: s.received,
		detached: s.detached,
	}, set)
	return s
}

func (s *surveyor) attached(p *pipe) {
	s.mu.Lock()
	s.lastID++
	r := &respondent{pipe: p, id: s.lastID, authorized: make(map[string]bool)}
	p.state = r
	s.stats.clients++
	s.moves = append(s.moves, move{who: r})
	s.mu.Unlock()
	s.wakeUp()
}

func (s *surveyor) detached(p *pipe) {
	s.mu.Lock()
	s.stats.clients--
	s.moves = append(s.moves, move{who: p.state.(*respondent), left: true})
	s.mu.Unlock()
	s.wakeUp()
}

func (s *surveyor) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// received takes an answer. While the loop is behind it makes the connection wait.
func (s *surveyor) received(p *pipe, body []byte) {
	r := p.state.(*respondent)
	name, err := s.check(r, body)
	switch {
	case errors.Is(err, errTooManyAnswers), errors.Is(err, errNoMore):
		p.drop(err)
		return
	case err != nil:
		s.reject(r, err)
		return
	}
	s.mu.Lock()
	s.stats.answers++
	s.mu.Unlock()
	select {
	case s.answers <- answer{r, name}:
	case <-p.done:
	}
}

// check returns the name that an answer brings, if it may be in a list.
func (s *surveyor) check(r *respondent, body []byte) (name string, err error) {
	if !r.count() {
		return "", errTooManyAnswers
	}
	id, said, err := splitAnswer(body)
	if err != nil {
		return "", err
	}
	if !r.wasAsked(id) {
		return "", errUnasked
	}
	name = string(said)
	if err := checkService(name); err != nil {
		return "", fmt.Errorf("service %.100q: %w", name, err)
	}
	if err := s.permit(r, name); err != nil {
		return "", fmt.Errorf("service %q: %w", name, err)
	}
	return name, nil
}

// permit asks Authorize. The error matches errNoMore when the connection was allowed to announce the name before.
func (s *surveyor) permit(r *respondent, name string) (err error) {
	if s.authorize == nil {
		return nil
	}
	s.callOut(func() { err = s.authorize(name, r.conn()) })
	switch {
	case err != nil && r.authorized[name]:
		return fmt.Errorf("%w: %w", errNoMore, err)
	case err == nil && len(r.authorized) < maxNames:
		r.authorized[name] = true
	}
	return err
}

// reject counts a message that is dropped, and reports the first of its connection.
func (s *surveyor) reject(r *respondent, err error) {
	s.mu.Lock()
	s.stats.rejected++
	s.mu.Unlock()
	r.report("answer dropped", "error", err)
}

// takeMoves returns the connections that have come and gone since the last call.
func (s *surveyor) takeMoves() []move {
	s.mu.Lock()
	defer s.mu.Unlock()
	moves := s.moves
	s.moves = nil
	for _, m := range moves {
		if m.left {
			delete(s.respondents, m.who.id)
		} else {
			s.respondents[m.who.id] = m.who
		}
	}
	return moves
}

// ask sends a survey to some of those whose coming takeMoves has told.
func (s *surveyor) ask(ids []connID) {
	s.surveyID++
	id := s.surveyID | surveyIDBit
	message := encodeSurvey(id)
	for _, conn := range ids {
		r := s.respondents[conn]
		r.remember(id)
		r.post(message)
	}
}

func (r *respondent) remember(survey uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.surveys) == surveysRemembered {
		r.surveys = slices.Delete(r.surveys, 0, 1)
	}
	r.surveys = append(r.surveys, survey)
	r.said = 0
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

// conn is what Authorize is told.
func (r *respondent) conn() Conn {
	var c Conn
	c.RemoteAddr, _ = r.option(mangos.OptionRemoteAddr).(net.Addr)
	if state, ok := r.option(mangos.OptionTLSConnState).(tls.ConnectionState); ok {
		c.TLS = &state
	}
	return c
}

func (s *surveyor) counts() surveyStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}
