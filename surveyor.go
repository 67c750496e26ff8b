package gopherdiscovery

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"

	"go.nanomsg.org/mangos/v3"
)

const (
	// answerQueue is how many answers wait for the server's loop before the connections they come from have to.
	answerQueue = 256

	// An answer may be as late as this many surveys of its connection.
	surveysRemembered = 8
)

// surveyor is the SURVEYOR side: it asks connections, and hands what happens on them to the server's loop in order.
type surveyor struct {
	*socket
	answers chan answer
	wake    chan struct{} // there are moves

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
	from connID
	name string
}

// respondent is a connection that is asked.
type respondent struct {
	*pipe
	id connID

	mu      sync.Mutex // guards surveys
	surveys []uint32   // the ids that were sent to it last
}

func newSurveyor(logger *slog.Logger) *surveyor {
	s := &surveyor{
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
	}, logger)
	return s
}

func (s *surveyor) attached(p *pipe) {
	s.mu.Lock()
	s.lastID++
	r := &respondent{pipe: p, id: s.lastID}
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
	id, name, err := splitAnswer(body)
	if err == nil && !r.wasAsked(id) {
		err = errUnasked
	}
	if err == nil {
		err = checkService(string(name))
	}
	s.count(err == nil)
	if err != nil {
		p.report("answer dropped", "error", err)
		return
	}
	select {
	case s.answers <- answer{r.id, string(name)}:
	case <-p.done:
	}
}

func (s *surveyor) count(valid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if valid {
		s.stats.answers++
	} else {
		s.stats.rejected++
	}
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
}

func (r *respondent) wasAsked(survey uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.surveys, survey)
}

func (s *surveyor) counts() surveyStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}
