package gopherdiscovery_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	goBlock  = regexp.MustCompile("(?ms)^```go\n(.*?)^```")
	mdLink   = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	mdAnchor = regexp.MustCompile(`\]\(#([^)]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// Each snippet of the README stands in example_test.go, which is compiled, and in part run.
func TestReadmeIsCompiled(t *testing.T) {
	readme, code := read(t, "README.md"), flat(read(t, "example_test.go"))
	blocks := goBlock.FindAllStringSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("found no Go snippet in README.md")
	}
	for _, block := range blocks {
		if !strings.Contains(code, flat(block[1])) {
			t.Errorf("this snippet of README.md is not in example_test.go:\n%s", block[1])
		}
	}
}

func TestReadmeLinks(t *testing.T) {
	readme := read(t, "README.md")
	var anchors []string
	for _, h := range heading.FindAllStringSubmatch(readme, -1) {
		anchor := strings.ToLower(strings.ReplaceAll(h[1], " ", "-"))
		anchors = append(anchors, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(anchor, ""))
	}
	for _, link := range mdLink.FindAllStringSubmatch(readme, -1) {
		if strings.Contains(link[1], "://") {
			continue
		}
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("README.md links to %s: %v", link[1], err)
		}
	}
	for _, link := range mdAnchor.FindAllStringSubmatch(readme, -1) {
		if !slices.Contains(anchors, link[1]) {
			t.Errorf("README.md links to #%s, which is no heading of it", link[1])
		}
	}
}

// flat removes what tells a snippet in prose from the same in a function: indentation and empty
// lines.
func flat(code string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
