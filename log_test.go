package gopherdiscovery

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle(t *testing.T) {
	var th throttle
	start := time.Now()
	for _, test := range []struct {
		at   time.Duration
		want int // of 25
	}{{0, 10}, {999 * ms, 0}, {1000 * ms, 10}, {4000 * ms, 10}} {
		got := 0
		for range 25 {
			if th.allows(start.Add(test.at)) {
				got++
			}
		}
		if got != test.want {
			t.Errorf("after %v: %d of 25 warnings are allowed, want %d", test.at, got, test.want)
		}
	}
}

func TestAsyncLogKeepsOrderAndCountsWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l := &asyncLog{logger: slog.New(g)}
		l.add(slog.LevelDebug, "not enabled")
		l.add(slog.LevelInfo, "first")
		synctest.Wait() // the logger has it, and hangs
		for i := range logQueue + 7 {
			l.add(slog.LevelWarn, "more", "i", i)
		}
		l.omit()
		close(g.open)
		synctest.Wait()
		l.add(slog.LevelInfo, "last")
		l.close()
		l.add(slog.LevelInfo, "after the end")
		synctest.Wait()
		lines := g.take()
		if got, want := len(lines), 1+logQueue+1; got != want {
			t.Fatalf("%d lines, want %d: %q", got, want, lines)
		}
		if lines[0] != "gopherdiscovery: first" || lines[1] != "gopherdiscovery: more i=0" {
			t.Errorf("the first lines are %q", lines[:2])
		}
		if got, want := lines[len(lines)-1], fmt.Sprintf("gopherdiscovery: last omitted=%d", 7+1); got != want {
			t.Errorf("the last line is %q, want %q", got, want)
		}
	})
}

func TestAsyncLogDoesNotWaitForALoggerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l := &asyncLog{logger: slog.New(g)}
		l.add(slog.LevelInfo, "one")
		l.add(slog.LevelInfo, "two")
		start := time.Now()
		l.close()
		l.close()
		if got := time.Since(start); got != 2*callbackGrace {
			t.Errorf("two closes took %v, want %v each", got, callbackGrace)
		}
		close(g.open)
		synctest.Wait()
		if got := strings.Join(g.take(), ", "); got != "gopherdiscovery: one" {
			t.Errorf("logged %q, want only what the logger had already", got)
		}
	})
}
