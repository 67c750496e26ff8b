package gopherdiscovery

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// server says what happens to the forms of a subscription.
type fakeServer struct{ changes, plain error }

var (
	ourServer   = fakeServer{}
	oldServer   = fakeServer{changes: fmt.Errorf("%w: %w", errNoChanges, io.EOF)}
	noServer    = fakeServer{errors.New("refused"), errors.New("refused")}
	muteServer  = fakeServer{fmt.Errorf("%w: %w", errNoChanges, errSlowHandshake), errSlowHandshake}
	closedFirst = fakeServer{fmt.Errorf("%w: %w", errNoChanges, errHungUp), errHungUp}
)

// attempts makes attempts, of which each may be one in either form, and
// returns what was tried: C is changes, P is plain, and a failure is small.
func attempts(t *testing.T, r *resumption, s fakeServer, n int) string {
	t.Helper()
	c := connector{redialer: &redialer{resumption: r}}
	var tried []string
	for range n {
		one := ""
		_, err := c.inEitherForm(func(changes bool) (*link, error) {
			what, err := "P", s.plain
			if changes {
				what, err = "C", s.changes
			}
			if err != nil {
				what = strings.ToLower(what)
			}
			one += what
			if err != nil {
				return nil, err
			}
			return &link{close: func() error { return nil }}, nil
		})
		if (err == nil) != (strings.ToUpper(one[len(one)-1:]) == one[len(one)-1:]) {
			t.Errorf("after %q: got error %v", one, err)
		}
		tried = append(tried, one)
	}
	return strings.Join(tried, " ")
}

// At a server of each kind each attempt is in the form that is likeliest to
// succeed.
func TestForms(t *testing.T) {
	type visit struct {
		pause  time.Duration // before it
		server fakeServer
		n      int
		want   string
	}
	for _, test := range []struct {
		name   string
		visits []visit
	}{
		{"ours", []visit{{0, ourServer, 3, "C C C"}}},
		{"another's: refuses changes, and is asked again after a minute", []visit{
			{0, oldServer, 2, "cP P"}, {time.Minute, oldServer, 1, "P"}, {1, oldServer, 2, "cP P"}, {time.Hour, oldServer, 2, "cP P"},
		}},
		{"another's, and then ours", []visit{{0, oldServer, 1, "cP"}, {time.Minute + 1, ourServer, 2, "C C"}, {0, oldServer, 1, "cP"}}},
		{"none, and then another's", []visit{{0, noServer, 3, "c c c"}, {0, oldServer, 2, "cP P"}}},
		{"another's, which goes away", []visit{{0, oldServer, 1, "cP"}, {0, noServer, 3, "p p p"}, {time.Hour, noServer, 1, "c"}}},
		{"refuses both: they alternate", []visit{{0, closedFirst, 6, "cp c p c p c"}, {0, oldServer, 3, "PcP P P"}}},
		{"refuses both, and then ours", []visit{{0, closedFirst, 3, "cp c p"}, {0, ourServer, 2, "C C"}}},
		{"refuses both, and then ours, with the plain form next", []visit{{0, closedFirst, 2, "cp c"}, {0, ourServer, 2, "PC C"}}},
		{"refuses both, and then another's, with changes next", []visit{{0, closedFirst, 3, "cp c p"}, {0, oldServer, 3, "c P P"}}},
		{"another's that is full: changes in turn", []visit{{0, oldServer, 1, "cP"}, {0, closedFirst, 4, "p c p c"}}},
		{"accepts, and says nothing", []visit{{0, muteServer, 2, "cp cp"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := new(resumption)
				for i, v := range test.visits {
					time.Sleep(v.pause)
					if got := attempts(t, r, v.server, v.n); got != v.want {
						t.Errorf("visit %d: tried %q, want %q", i, got, v.want)
					}
				}
			})
		})
	}
}

// What publishes no list is connected to in one form.
func TestNoFormsWithoutAResumption(t *testing.T) {
	if got := attempts(t, nil, fakeServer{changes: errors.New("wrong")}, 2); got != "P P" {
		t.Errorf("tried %q, want the plain form alone", got)
	}
}

// A plain connection that ends at once counts as refused: to old publishers
// that close each connection belongs the one form as much as the other.
func TestShortLivedForms(t *testing.T) {
	c := newClock()
	plain := func(f *forms) bool { return f.plain(c.at(0)) }
	var f forms
	if !f.refuse(true) {
		t.Error("changes are refused: the plain form is not tried at once")
	}
	f.serve(true, c.at(0))
	if !plain(&f) {
		t.Error("the plain form is served: the next attempt is not plain")
	}
	f.endEarly()
	if plain(&f) {
		t.Error("a plain connection has ended early: the next attempt is plain")
	}
	if f.refuse(true) {
		t.Error("then changes are refused: the plain form is tried without a pause")
	}
	if !plain(&f) {
		t.Error("then changes are refused: the next attempt is not plain")
	}
	f.serve(false, c.at(0))
	f.endEarly()
	if plain(&f) {
		t.Error("a connection in changes has ended early: the next attempt is plain")
	}
	if !f.refuse(true) {
		t.Error("then changes are refused: the plain form is not tried at once")
	}
}

// Distrust doubles, and is forgotten when it has not come up for a day.
func TestDistrust(t *testing.T) {
	now := newClock().at(0)
	var f forms
	distrusted := func(want time.Duration) {
		t.Helper()
		f.distrust(now)
		if !f.plain(now.Add(want - 1)) {
			t.Errorf("not plain for all of %v", want)
		}
		if f.plain(now.Add(want)) {
			t.Errorf("plain for more than %v", want)
		}
		now = now.Add(want)
	}
	for _, minutes := range []int{10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440} {
		distrusted(time.Duration(minutes) * time.Minute)
	}
	now = now.Add(24 * time.Hour)
	distrusted(24 * time.Hour)
	now = now.Add(24*time.Hour + 1)
	distrusted(10 * time.Minute)
	distrusted(20 * time.Minute)
}

// Whatever else is remembered, a server that is distrusted is asked for lists
// only, and for changes afterwards.
func TestDistrustOverridesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(resumption)
		var got []string
		try := func(s fakeServer, n int) { got = append(got, attempts(t, r, s, n)) }
		try(ourServer, 1)
		r.change(func(f *forms) { f.distrust(time.Now()) })
		try(ourServer, 2)
		try(closedFirst, 3)
		time.Sleep(10*time.Minute - 1)
		try(ourServer, 2)
		time.Sleep(time.Nanosecond)
		try(ourServer, 2)
		if want := []string{"C", "P P", "p p p", "P P", "C C"}; !slices.Equal(got, want) {
			t.Errorf("tried %q, want %q", got, want)
		}
	})
}

func TestResumptionHolds(t *testing.T) {
	r := new(resumption)
	if got := r.have(); got != nil {
		t.Errorf("before the first list: got %d, want none", *got)
	}
	for _, sum := range []uint64{7, 0} {
		r.hold(sum)
		if got := r.have(); got == nil || *got != sum {
			t.Errorf("got %v, want %d", got, sum)
		}
	}
}
