// Package doctest compares documents with the code, in tests.
package doctest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Bytes is a number of bytes.
type Bytes int

// Figure returns a value as the documents write it.
func Figure(value any) string {
	switch v := value.(type) {
	case Bytes:
		for _, unit := range []struct {
			size Bytes
			name string
		}{{1 << 20, "MiB"}, {1 << 10, "KiB"}} {
			if v%unit.size == 0 {
				return fmt.Sprintf("%d %s", v/unit.size, unit.name)
			}
		}
		return fmt.Sprintf("%d bytes", v)
	case time.Duration:
		for _, unit := range []struct {
			size time.Duration
			name string
		}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
			if v%unit.size == 0 {
				return fmt.Sprintf("%d %s", v/unit.size, unit.name)
			}
		}
		return fmt.Sprintf("%d ms", v.Milliseconds())
	}
	return fmt.Sprint(value)
}

// Limits compares the figures in a table with constants of a package, by the
// names in the last column. Names of other packages begin with these. The
// prefix is that of this package, with its dot, and empty for the root. Each
// constant in the limits.go of the package must be among them, or among the
// inner ones, which nobody sees from outside.
func Limits(t *testing.T, document, prefix string, constants map[string]any, inner ...string) {
	t.Helper()
	for _, name := range declared(t, "limits.go") {
		if _, ok := constants[name]; ok == slices.Contains(inner, name) {
			t.Errorf("%s is not either documented or an inner limit", name)
		}
	}
	seen := make(map[string]bool)
	constant := regexp.MustCompile("`((?:\\w+\\.)?)(\\w+)`")
	for _, row := range Rows(t, document) {
		limit := row[1]
		for _, found := range constant.FindAllStringSubmatch(row[len(row)-1], -1) {
			if found[1] != prefix {
				continue
			}
			name := found[2]
			seen[name] = true
			if value, ok := constants[name]; !ok {
				t.Errorf("%q: there is no constant %s", row[0], name)
			} else if want := Figure(value); !HasFigure(limit, want) {
				t.Errorf("%q: the limit is %q, want %s, as %s says", row[0], limit, want, name)
			}
		}
	}
	for name := range constants {
		if !seen[name] {
			t.Errorf("no row is about %s", name)
		}
	}
}

// declared returns the names of the constants that a file declares.
func declared(t *testing.T, name string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.CONST {
			for _, spec := range d.Specs {
				for _, ident := range spec.(*ast.ValueSpec).Names {
					names = append(names, ident.Name)
				}
			}
		}
	}
	return names
}

// Rows returns the cells of the tables in a document.
func Rows(t *testing.T, name string) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	return all
}

// HasFigure reports whether a figure is one of those in a text.
func HasFigure(text, want string) bool {
	figures := strings.FieldsFunc(strings.ReplaceAll(text, " to ", ","), func(r rune) bool { return r == ',' })
	for i, f := range figures {
		figures[i] = strings.TrimSpace(f)
	}
	return strings.TrimSpace(text) == want || slices.Contains(figures, want)
}
