package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The log has one line for each change, and the reason may go without one.
func TestFromFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	var log bytes.Buffer
	var broken error
	read := func() (string, error) {
		text, err := os.ReadFile(file)
		if broken != nil {
			err = broken
		} else if err == nil && len(text) == 0 {
			err = errors.New("empty")
		}
		return string(text), err
	}
	files, err := newFromFiles(slog.New(slog.NewTextHandler(&log, nil)), read, file)
	if err != nil {
		t.Fatal(err)
	}
	want := func(step, value, line string) {
		t.Helper()
		log.Reset()
		for range 3 {
			if got := files.get(); got != value {
				t.Errorf("%s: value %q, want %q", step, got, value)
			}
		}
		if got := log.String(); strings.Count(got, "\n") > 1 || !strings.Contains(got, line) || line == "" && got != "" {
			t.Errorf("%s: the log is %q, want one line with %q", step, got, line)
		}
	}
	want("unchanged", "a", "")
	write("bb")
	want("changed", "bb", "level=INFO")
	write("")
	want("empty", "bb", "error=empty")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	want("removed", "bb", "no such file")
	broken = errors.New("too many open files")
	write("ccc")
	want("cannot be opened", "bb", "too many")
	broken = nil
	want("can be opened", "ccc", "level=INFO")

	log.Reset()
	write("")
	if err := files.reload(); err == nil {
		t.Error("reload of an empty file: no error")
	}
	want("after the reload", "ccc", "")
	write("d")
	if err := files.reload(); err != nil {
		t.Errorf("reload: %v", err)
	}
	want("after the reload", "d", "")
}
