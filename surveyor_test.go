package gopherdiscovery

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// newRespondent returns a connection on which the given surveys were sent.
func newRespondent(authorize func(string, Conn) error, surveys ...uint32) *respondent {
	return newRespondentOn(sptest.NewFakePipe(), authorize, surveys...)
}

func newRespondentOn(core *sptest.FakePipe, authorize func(string, Conn) error, surveys ...uint32) *respondent {
	s := newSurveyor(Options{Authorize: authorize}, quietSettings, sp.NewBell())
	s.answers = make(chan answer, 1)
	r := sp.NewPipe(core, s.sock, nil).Session().(*respondent)
	for _, id := range surveys {
		r.remember(id)
	}
	return r
}

func answerTo(survey uint32, name string) []byte { return append(wire.EncodeSurvey(survey), name...) }

const someSurvey = wire.SurveyIDBit + 1

func TestAnswersAreChecked(t *testing.T) {
	long := strings.Repeat("x", wire.MaxServiceLen+1)
	for _, test := range []struct {
		name   string
		body   []byte
		is     error  // nil if any will do
		reason string // part of the error; empty if the name is valid
	}{
		{"good", answerTo(someSurvey, "a"), nil, ""},
		{"no id", []byte("abc"), wire.ErrNoSurveyID, "no survey id"},
		{"another survey", answerTo(someSurvey+1, "a"), errUnknownSurvey, "no such survey"},
		{"empty name", answerTo(someSurvey, ""), wire.ErrEmpty, "empty"},
		{"long name", answerTo(someSurvey, long), nil, "513 bytes"},
		{"separator", answerTo(someSurvey, "a|b"), nil, `contains "|"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRespondent(nil, someSurvey)
			_, name, err := r.split(test.body)
			if test.reason == "" {
				if name != "a" || err != nil {
					t.Errorf("got %q, %v, want a", name, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.reason) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got error %v, want one with %q", err, test.reason)
			}
			// The answer is dropped, and the connection stays open.
			if err := r.Received(test.body); err != nil || r.surveyor.rejected.Load() != 1 || r.surveyor.answered.Load() != 0 {
				t.Errorf("got error %v, %d rejected and %d answered, want nil, 1 and 0",
					err, r.surveyor.rejected.Load(), r.surveyor.answered.Load())
			}
		})
	}
}

// A valid answer goes to the server's loop. It does not wait for the loop when
// its connection has ended.
func TestAnswersReachTheLoop(t *testing.T) {
	core := sptest.NewFakePipe()
	r := newRespondentOn(core, nil, someSurvey)
	if err := r.Received(answerTo(someSurvey, "a")); err != nil {
		t.Fatal(err)
	}
	r.surveyor.sock.RemovePipe(core)
	// The queue is full.
	if err := r.Received(answerTo(someSurvey, "b")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-r.surveyor.answers, (answer{from: r, name: "a", kind: announces}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := r.surveyor.answered.Load(); got != 2 {
		t.Errorf("%d answers were counted, want 2", got)
	}
}

// Late answers count, however late. Answers to surveys that were not made since
// the connection began do not.
func TestWasAsked(t *testing.T) {
	for _, test := range []struct {
		name        string
		first, last uint32
		asked, not  []uint32
	}{
		{"one survey", 7, 7, []uint32{7}, []uint32{6, 8}},
		{"many", 7, 1007, []uint32{7, 500, 1007}, []uint32{6, 1008}},
		{"beyond the highest ID", 1<<31 - 2, 3, []uint32{1<<31 - 2, 1<<31 - 1, 1, 3}, []uint32{1<<31 - 3, 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRespondent(nil)
			if r.wasAsked(test.first | wire.SurveyIDBit) {
				t.Error("asked before the first survey")
			}
			r.remember(test.first | wire.SurveyIDBit)
			r.remember(test.last | wire.SurveyIDBit)
			for _, id := range test.asked {
				if !r.wasAsked(id | wire.SurveyIDBit) {
					t.Errorf("survey %#x: got not asked, want asked", id)
				}
			}
			for _, id := range test.not {
				if r.wasAsked(id | wire.SurveyIDBit) {
					t.Errorf("survey %#x: got asked, want not asked", id)
				}
			}
		})
	}
}

// A goodbye is passed to the server's loop, whatever was asked, and needs no
// permission.
func TestGoodbyeReachesTheLoop(t *testing.T) {
	r := newRespondent(func(string, Conn) error { return errors.New("refused") })
	if err := r.Received(answerTo(wire.GoodbyeID, "a")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-r.surveyor.answers, (answer{from: r, name: "a", kind: leaves}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := r.surveyor.answered.Load() + r.surveyor.rejected.Load(); got != 0 {
		t.Errorf("%d answers were counted, want none", got)
	}
}

// No survey has the ID of the goodbye.
func TestSurveysSkipTheGoodbye(t *testing.T) {
	r := newRespondent(nil)
	r.surveyor.sock.End() // so that nothing is sent
	r.surveyor.surveyID = 1<<31 - 1
	r.surveyor.ask([]*respondent{r})
	if r.last != wire.SurveyIDBit+1 {
		t.Errorf("got survey %#x, want %#x", r.last, uint32(wire.SurveyIDBit+1))
	}
}

// Authorize is asked for each answer, and the loop is told what it says. When
// it is asked again about a client, the loop knows that the client has
// answered.
func TestLoopKnowsOfChecks(t *testing.T) {
	allowed := map[string]bool{"a": true}
	reason := errors.New("refused")
	r := newRespondent(func(name string, _ Conn) error {
		if allowed[name] {
			return nil
		}
		return reason
	}, someSurvey)
	r.surveyor.answers = make(chan answer, 10)
	expect := func(what, name string, want ...answerKind) {
		t.Helper()
		if err := r.Received(answerTo(someSurvey, name)); err != nil {
			t.Errorf("%s: got error %v, which closes the connection", what, err)
		}
		var got []answerKind
		for len(r.surveyor.answers) > 0 {
			a := <-r.surveyor.answers
			got = append(got, a.kind)
			if a.from != r || a.name != name || errors.Is(a.err, reason) != (a.kind == refused) {
				t.Errorf("%s: got %v, want one for %s, and an error only if it is refused", what, a, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	expect("refused from the start", "b", refused)
	expect("first answer", "a", announces)
	expect("second answer", "a", checking, announces)
	delete(allowed, "a")
	expect("another name", "b", checking, refused)
	expect("withdrawn", "a", checking, refused)
	if got := r.surveyor.answered.Load(); got != 2 {
		t.Errorf("%d answers were counted, want 2", got)
	}
}

func TestAnswersBetweenSurveysAreBounded(t *testing.T) {
	r := newRespondent(nil, someSurvey)
	for range maxAnswers {
		if !r.count() {
			t.Fatal("too many, within the limit")
		}
	}
	if err := r.Received(answerTo(someSurvey, "a")); err != errTooManyAnswers {
		t.Errorf("got error %v, want %v, which closes the connection", err, errTooManyAnswers)
	}
	r.remember(someSurvey)
	if !r.count() {
		t.Error("the next survey does not begin anew")
	}
}

func TestSurveysArePosted(t *testing.T) {
	one, two := newRespondent(nil), newRespondent(nil)
	for _, r := range []*respondent{one, two} {
		r.surveyor.sock.End() // so that nothing is sent
	}
	s := one.surveyor
	one.Began()
	s.ask([]*respondent{one, two})
	first := one.last
	s.ask([]*respondent{one})
	if one.first != first || one.last == first || two.first != first || two.last != first {
		t.Fatalf("got surveys %x to %x and %x to %x, want the first to both", one.first, one.last, two.first, two.last)
	}
	if got, want := string(one.Say()), string(wire.EncodeSurvey(one.last)); got != want || want[0]&0x80 == 0 {
		t.Errorf("posted % x, want % x", got, want)
	}
	if got, want := string(two.Say()), string(wire.EncodeSurvey(first)); got != want {
		t.Errorf("posted % x, want % x", got, want)
	}
	one.Ended()
	if events := s.arrivals.drain(); len(events) != 2 || events[0].ended || !events[1].ended || s.arrivals.len() != 0 {
		t.Errorf("got events %v, want the beginning and the end of one", events)
	}
}
