package sp

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

// fakeServer says how attempts in the two forms of a subscription end.
type fakeServer struct{ changes, plain error }

var (
	ourServer  = fakeServer{}
	oldServer  = fakeServer{changes: fmt.Errorf("%w: %w", errNoChanges, io.EOF)}
	noServer   = fakeServer{errors.New("refused"), errors.New("refused")}
	fullServer = fakeServer{fmt.Errorf("%w: %w", errNoChanges, errHungUp), errHungUp}
)

// attempts makes n attempts, each of which may try both forms, and returns what
// was tried: C is changes, P is plain, and lower case is a failure.
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

// Each kind of server is tried in the form that is most likely to succeed. The
// other form follows at once.
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
			{0, oldServer, 2, "cP P"}, {time.Minute - 1, oldServer, 1, "P"}, {1, oldServer, 2, "cP P"}, {time.Hour, oldServer, 2, "cP P"},
		}},
		{"another's, and then ours", []visit{{0, oldServer, 1, "cP"}, {time.Minute, ourServer, 2, "C C"}, {0, oldServer, 1, "cP"}}},
		{"none, and then another's", []visit{{0, noServer, 3, "c c c"}, {0, oldServer, 2, "cP P"}}},
		{"another's, which goes away", []visit{{0, oldServer, 1, "cP"}, {0, noServer, 3, "p c c"}, {0, ourServer, 1, "C"}}},
		{"refuses both, and then ours", []visit{{0, fullServer, 3, "cp cp cp"}, {0, ourServer, 2, "C C"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := new(resumption)
				for i, v := range test.visits {
					time.Sleep(v.pause)
					start := time.Now()
					if got := attempts(t, r, v.server, v.n); got != v.want {
						t.Errorf("visit %d: tried %q, want %q", i, got, v.want)
					}
					if waited := time.Since(start); waited > 0 {
						t.Errorf("visit %d: waited %v between the forms, want no wait", i, waited)
					}
				}
			})
		})
	}
}

// A connection without a resumption, which receives no lists, has only one
// form.
func TestNoFormsWithoutAResumption(t *testing.T) {
	if got := attempts(t, nil, fakeServer{changes: errors.New("wrong")}, 2); got != "P P" {
		t.Errorf("tried %q, want the plain form alone", got)
	}
}

// A server that has broken the protocol of changes is asked for whole lists for
// ten minutes, or until it does not serve them.
func TestDistrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(resumption)
		var got []string
		try := func(s fakeServer, n int) { got = append(got, attempts(t, r, s, n)) }
		try(ourServer, 1)
		r.distrust(time.Now())
		time.Sleep(10*time.Minute - 1)
		try(ourServer, 2)
		time.Sleep(time.Nanosecond)
		try(ourServer, 2)
		r.distrust(time.Now())
		try(noServer, 2)
		try(oldServer, 1)
		if want := []string{"C", "P P", "C C", "p c", "cP"}; !slices.Equal(got, want) {
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
		r.setSum(sum)
		if got := r.have(); got == nil || *got != sum {
			t.Errorf("got %v, want %d", got, sum)
		}
	}
}
