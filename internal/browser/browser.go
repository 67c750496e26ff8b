// Package browser looks at pages with a browser, in tests.
package browser

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long the browser has for a page. It is only ever used up by a
// test that fails.
const patience = time.Minute

// Load returns the page at a URL as HTML, after its scripts have run in a
// browser whose further flags args are, and the lines of the browser's console.
// It skips the test on a machine without a browser, but not where everything is
// checked.
func Load(t *testing.T, url string, args ...string) (page string, console []string) {
	t.Helper()
	page, log := run(t, append(args, "--enable-logging=stderr", "--dump-dom", url))
	for line := range strings.Lines(log) {
		if strings.Contains(line, ":CONSOLE:") {
			console = append(console, line)
		}
	}
	return page, console
}

// one is held by the test whose browser runs: it has many processes, and
// patience is for one browser.
var one sync.Mutex

var pictures = flag.Bool("pictures", false, "write the pictures in documents")

// Picture makes a picture of the page at a URL. With the flag -pictures of the
// test it becomes the picture in a document, which otherwise must have the same
// size. Like Load it skips the test on a machine without a browser.
func Picture(t *testing.T, url, file string, width, height int) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "page.png")
	_, log := run(t, []string{"--screenshot=" + made, "--hide-scrollbars", fmt.Sprintf("--window-size=%d,%d", width, height), url})
	data, err := os.ReadFile(made)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if *pictures {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if data, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	size, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil || size.Width != width || size.Height != height {
		t.Errorf("%s has %d columns and %d rows, error %v, want %d and %d: -pictures writes it", file, size.Width, size.Height, err, width, height)
	}
}

func run(t *testing.T, args []string) (stdout, stderr string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs chromium, Debian's package of that name")
	}
	one.Lock()
	defer one.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir()}, args...)
	cmd := exec.CommandContext(ctx, browser, args...)
	cmd.WaitDelay = time.Second
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, &log)
	}
	return out.String(), log.String()
}
