package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/bench/internal/child"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// TestMain lets the test binary be the children that the program starts.
func TestMain(m *testing.M) {
	if child.Role() != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(testmain.Run(m))
}

// quick returns a configuration with few rounds, whose servers publish their
// first list soon.
func quick(n int) config {
	return config{
		sizes:    sizes{n},
		rounds:   3,
		idle:     100 * time.Millisecond,
		pollTime: 100 * time.Millisecond,
		library:  n,
	}
}

// The result does not depend on the speed of the machine. A peer that does not
// see a change, or sees another change than the one that was made, is an error.
func TestEverythingIsMeasured(t *testing.T) {
	t.Parallel()
	const n = 50
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			t.Parallel()
			cfg := quick(n)
			cfg.plain = plain
			all, err := measureAll(t.Context(), cfg, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			light, library := all.light[n], all.library.at[n]
			for what, got := range map[string]int{
				"floors":                len(light.floor),
				"joins of light peers":  len(light.changes.Join),
				"leaves of light peers": len(light.changes.Leave),
				"joins of the library":  len(library.changes.Join),
				"leaves of the library": len(library.changes.Leave),
			} {
				if got != cfg.rounds {
					t.Errorf("%d %s were measured, want %d", got, what, cfg.rounds)
				}
			}
			for what, got := range map[string]int{
				"of light peers": len(light.coldStart),
				"of the library": len(library.coldStart),
			} {
				if got != coldStarts {
					t.Errorf("%d cold starts %s were measured, want %d", got, what, coldStarts)
				}
			}
			if plain && light.form != inLists {
				t.Errorf("the light peers subscribed %s, want %s", light.form, inLists)
			}
			if light.changes.BytesPerChange <= 0 {
				t.Errorf("%v bytes per change", light.changes.BytesPerChange)
			}
			var table strings.Builder
			if err := all.print(cfg, &table); err != nil {
				t.Fatal(err)
			}
			t.Log(table.String())
		})
	}
}

// A change costs each subscriber what changed, not the whole list.
func TestBytesPerChange(t *testing.T) {
	t.Parallel()
	result, err := measureLight(t.Context(), quick(200), 200)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkBytes(result); err != nil {
		t.Error(err)
	}
}

func checkBytes(r lightResult) error {
	const limit = 100
	if r.changes.BytesPerChange >= limit {
		return fmt.Errorf("a change costs each subscriber %.0f bytes, want less than %d; the subscriptions are %s",
			r.changes.BytesPerChange, limit, r.form)
	}
	return nil
}

func TestTableWithoutResults(t *testing.T) {
	var table strings.Builder
	if err := new(results).print(quick(50), &table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), nothing) {
		t.Errorf("the table does not say what is missing:\n%s", &table)
	}
}

func TestSizes(t *testing.T) {
	var s sizes
	if err := s.Set("50, 1000"); err != nil || s.String() != "50,1000" {
		t.Errorf("got %v and error %v, want 50,1000", &s, err)
	}
	for _, wrong := range []string{"", "0", "-1", "50,", "fifty"} {
		if err := s.Set(wrong); err == nil {
			t.Errorf("%q gives %v, want an error", wrong, &s)
		}
	}
}
