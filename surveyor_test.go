package gopherdiscovery

import (
	"errors"
	"strings"
	"testing"
)

// newRespondent returns a connection on which the given surveys were sent.
func newRespondent(authorize func(string, Conn) error, surveys ...uint32) *respondent {
	s := &surveyor{authorize: authorize, arrivals: arrivals[*respondent]{bell: newBell()}, answers: make(chan answer, 1)}
	r := s.open(newPipe(newFakePipe(), newEndpoint(surveyorSide, quietSettings))).(*respondent)
	r.pipe.session = r
	for _, id := range surveys {
		r.remember(id)
	}
	return r
}

func answerTo(survey uint32, name string) []byte { return append(encodeSurvey(survey), name...) }

const someSurvey = surveyIDBit + 1

func TestAnswersAreChecked(t *testing.T) {
	long := strings.Repeat("x", maxServiceLen+1)
	for _, test := range []struct {
		name   string
		body   []byte
		is     error  // nil if any will do
		reason string // part of the error; empty if the name is valid
	}{
		{"good", answerTo(someSurvey, "a"), nil, ""},
		{"no id", []byte("abc"), errNoSurveyID, "no survey id"},
		{"another survey", answerTo(someSurvey+1, "a"), errUnknownSurvey, "no such survey"},
		{"empty name", answerTo(someSurvey, ""), errEmpty, "empty"},
		{"long name", answerTo(someSurvey, long), nil, "513 bytes"},
		{"separator", answerTo(someSurvey, "a|b"), nil, `contains "|"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRespondent(nil, someSurvey)
			name, err := r.check(test.body)
			if test.reason == "" {
				if name != "a" || err != nil {
					t.Errorf("got %q, %v, want a", name, err)
				}
				return
			}
			if name != "" || err == nil || !strings.Contains(err.Error(), test.reason) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %q, %v, want an error with %q", name, err, test.reason)
			}
			// The answer is dropped, and the connection stays open.
			if err := r.received(test.body); err != nil || r.surveyor.rejected.Load() != 1 || r.surveyor.answered.Load() != 0 {
				t.Errorf("got error %v, %d rejected and %d answered, want nil, 1 and 0",
					err, r.surveyor.rejected.Load(), r.surveyor.answered.Load())
			}
		})
	}
}

// A valid answer goes to the server's loop. It does not wait for the loop when
// its connection has ended.
func TestAnswersReachTheLoop(t *testing.T) {
	r := newRespondent(nil, someSurvey)
	if err := r.received(answerTo(someSurvey, "a")); err != nil {
		t.Fatal(err)
	}
	close(r.pipe.done)
	// The queue is full.
	if err := r.received(answerTo(someSurvey, "b")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-r.surveyor.answers, (answer{r, "a"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := r.surveyor.answered.Load(); got != 2 {
		t.Errorf("%d answers were counted, want 2", got)
	}
}

// Late answers count, except answers to surveys of long ago.
func TestSurveysAreRemembered(t *testing.T) {
	r := newRespondent(nil)
	for id := range uint32(surveysRemembered + 1) {
		r.remember(id)
	}
	for id := range uint32(surveysRemembered + 2) {
		if got, want := r.wasAsked(id), id >= 1 && id <= surveysRemembered; got != want {
			t.Errorf("survey %d: got asked %t, want %t", id, got, want)
		}
	}
}

func TestAnswersBetweenSurveysAreBounded(t *testing.T) {
	r := newRespondent(nil, someSurvey)
	for range maxAnswers {
		if !r.count() {
			t.Fatal("too many, within the limit")
		}
	}
	if err := r.received(answerTo(someSurvey, "a")); err != errTooManyAnswers {
		t.Errorf("got error %v, want %v, which closes the connection", err, errTooManyAnswers)
	}
	r.remember(someSurvey)
	if !r.count() {
		t.Error("the next survey does not begin anew")
	}
}

// A refused name is dropped. If it was allowed before, its connection is
// closed.
func TestAuthorizeIsAskedForEachAnswer(t *testing.T) {
	refused := errors.New("refused")
	allowed := map[string]bool{"a": true}
	r := newRespondent(func(name string, _ Conn) error {
		if allowed[name] {
			return nil
		}
		return refused
	}, someSurvey)
	if name, err := r.check(answerTo(someSurvey, "a")); name != "a" || err != nil {
		t.Errorf("allowed: got %q, %v, want a", name, err)
	}
	if _, err := r.check(answerTo(someSurvey, "b")); !errors.Is(err, refused) || errors.Is(err, errWithdrawn) {
		t.Errorf("refused from the start: got error %v, want %v", err, refused)
	}
	if err := r.received(answerTo(someSurvey, "b")); err != nil {
		t.Errorf("refused from the start: got error %v, which closes the connection", err)
	}
	delete(allowed, "a")
	if err := r.received(answerTo(someSurvey, "a")); !errors.Is(err, errWithdrawn) || !errors.Is(err, refused) {
		t.Errorf("not allowed any more: got error %v, want %v and %v", err, errWithdrawn, refused)
	}
	if r.pipe.endpoint.inCallbacks != 0 {
		t.Error("a call of Authorize that has returned still counts")
	}
}

func TestSurveysArePosted(t *testing.T) {
	one, two := newRespondent(nil), newRespondent(nil)
	// The connections can take nothing.
	one.pipe.sending, two.pipe.sending = true, true
	s := one.surveyor
	one.began()
	s.ask([]*respondent{one, two})
	s.ask([]*respondent{one})
	if got := len(one.surveys); got != 2 || one.surveys[0] == one.surveys[1] {
		t.Fatalf("got surveys %x, want two that differ", one.surveys)
	}
	if got, want := string(one.say()), string(encodeSurvey(one.surveys[1])); got != want || want[0]&0x80 == 0 {
		t.Errorf("posted % x, want % x", got, want)
	}
	if got, want := string(two.say()), string(encodeSurvey(one.surveys[0])); got != want || !two.wasAsked(one.surveys[0]) {
		t.Errorf("posted % x, want % x", got, want)
	}
	one.ended()
	if events := s.arrivals.take(); len(events) != 2 || events[0].ended || !events[1].ended || s.arrivals.len() != 0 {
		t.Errorf("got events %v, want the beginning and the end of one", events)
	}
}
