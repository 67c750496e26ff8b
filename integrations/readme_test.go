package integrations_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```")

// Each snippet of the README stands in an example, line by line.
func TestReadmeIsCompiled(t *testing.T) {
	examples, err := filepath.Glob("*/example_test.go")
	if err != nil || len(examples) == 0 {
		t.Fatalf("examples %v, error %v", examples, err)
	}
	code := ""
	for _, name := range examples {
		code += flat(read(t, name))
	}
	blocks := goBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("found no Go snippet in README.md")
	}
	for _, block := range blocks {
		if !strings.Contains(code, flat(block[1])) {
			t.Errorf("this snippet of README.md is in no example:\n%s", block[1])
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// flat removes indentation and empty lines.
func flat(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
