// Package browser looks at pages with a browser, in tests.
package browser

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long the browser has for a page. It is only ever used up by a
// test that fails.
const patience = time.Minute

// Load returns the page at a URL as HTML, after its scripts have run in a
// browser, whose further flags args are. It skips the test on a machine without
// one, but not where everything is checked.
func Load(t *testing.T, url string, args ...string) (page string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs chromium, Debian's package of that name")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append(args, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--dump-dom", url)
	cmd := exec.CommandContext(ctx, browser, args...)
	cmd.WaitDelay = time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, &stderr)
	}
	return string(dom)
}
