package gopherdiscovery_test

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// document is a Markdown file of the repository.
type document struct {
	name string // with slashes
	text string
}

// documents returns all of them.
func documents(t *testing.T) (all []document) {
	t.Helper()
	if _, err := os.Stat("go.work"); err != nil {
		t.Skip("the documents link to modules beside this one, which only a clone of the repository has")
	}
	return filesOf(t, ".md")
}

// filesOf returns the files of all modules whose names end in suffix.
func filesOf(t *testing.T, suffix string) (all []document) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case strings.HasSuffix(name, suffix):
			all = append(all, document{filepath.ToSlash(name), read(t, name)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	goBlock  = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	link     = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	goFile   = regexp.MustCompile(`^(?:(?:membership|sp|wire)/)?\w+\.go$`)
)

// The README is read in five minutes, and names the commands that are checked.
func TestReadme(t *testing.T) {
	readme := read(t, "README.md")
	if lines := strings.Count(readme, "\n"); lines > 200 {
		t.Errorf("README.md has %d lines, want 200 at most", lines)
	}
	checked := read(t, ".ci/run")
	for _, command := range []string{"go run ./examples/cluster", "go test -shuffle=on work"} {
		if !strings.Contains(readme, "\n    "+command+"\n") || !strings.Contains(checked, command) {
			t.Errorf("README.md and .ci/run do not both have the command %s", command)
		}
	}
}

// Each Go snippet is in an example, which is compiled and in part run. Comments
// and white space may differ.
func TestSnippetsAreCompiled(t *testing.T) {
	code := tokens(read(t, "example_test.go")) + tokens(read(t, "example_tls_test.go"))
	snippets := 0
	for _, doc := range documents(t) {
		if strings.HasPrefix(doc.name, "integrations/") {
			continue // its own test compares it
		}
		for _, block := range goBlock.FindAllStringSubmatch(doc.text, -1) {
			snippets++
			if !strings.Contains(code, tokens(block[1])) {
				t.Errorf("this snippet of %s is in no example:\n%s", doc.name, block[1])
			}
		}
	}
	if snippets == 0 {
		t.Error("no document has a Go snippet")
	}
}

// tokens returns Go code as its tokens, each with a space before and after it.
func tokens(code string) string {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", -1, len(code)), []byte(code), nil, 0)
	var b strings.Builder
	for {
		_, tok, literal := s.Scan()
		switch {
		case tok == token.EOF:
			return b.String()
		case tok == token.SEMICOLON:
			literal = ";"
		case literal == "":
			literal = tok.String()
		}
		b.WriteString(" " + literal + " ")
	}
}

func TestLinks(t *testing.T) {
	all := documents(t)
	for _, doc := range all {
		prose := codeSpan.ReplaceAllString(fence.ReplaceAllString(doc.text, ""), "")
		for _, found := range link.FindAllStringSubmatch(prose, -1) {
			target, anchor := found[1], found[2]
			if strings.Contains(target, "://") {
				continue
			}
			to := doc.name
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(doc.name), target))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", doc.name, target, err)
			}
			at := slices.IndexFunc(all, func(other document) bool { return other.name == to })
			if anchor != "" && (at < 0 || !slices.Contains(anchors(all[at].text), anchor)) {
				t.Errorf("%s links to #%s, which is no heading of %s", doc.name, anchor, to)
			}
		}
	}
}

// anchors returns those that GitHub makes of headings.
func anchors(text string) (all []string) {
	for _, found := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		anchor := noAnchor.ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(anchor, " ", "-"))
	}
	return all
}

// These are the columns by which lines end: those of documents and of code with
// a comment, and those of a comment alone.
const (
	widest        = 100
	widestComment = 80
)

// Lines of documents end by column 100, except for rows of tables, code and the
// targets of links, which cannot be broken.
func TestLinesOfDocuments(t *testing.T) {
	item := regexp.MustCompile(`^ *([-*]|[0-9]+\.) `)
	target := regexp.MustCompile(`\]\([^)]*\)|https?:[^ >]*`)
	for _, doc := range documents(t) {
		fenced, inList := false, false
		number := 0
		for line := range strings.Lines(doc.text) {
			number++
			line = strings.TrimRight(line, "\n")
			if strings.TrimRight(line, " \t\r") != line {
				t.Errorf("%s:%d: space at the end of the line", doc.name, number)
			}
			trimmed := strings.TrimLeft(line, " ")
			switch {
			case strings.HasPrefix(trimmed, "```"):
				fenced = !fenced
				continue
			case item.MatchString(line):
				inList = true
			case line != "" && line == trimmed:
				inList = false
			}
			isCode := fenced || strings.HasPrefix(line, "    ") && !inList
			if isCode || strings.HasPrefix(trimmed, "|") {
				continue
			}
			if width := utf8.RuneCountInString(target.ReplaceAllString(line, "]()")); width > widest {
				t.Errorf("%s:%d: %d columns, want %d at most", doc.name, number, width, widest)
			}
		}
	}
}

// Lines with comments end by column 100 too. A tab counts as 4 columns.
func TestLinesOfComments(t *testing.T) {
	documents(t) // skips without the other modules
	for _, source := range filesOf(t, ".go") {
		lines, files := strings.Split(source.text, "\n"), token.NewFileSet()
		file, err := parser.ParseFile(files, source.name, source.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(file) {
			continue
		}
		for _, group := range file.Comments {
			for _, comment := range group.List {
				at := files.Position(comment.Pos())
				line := strings.ReplaceAll(lines[at.Line-1], "\t", "    ")
				limit := widest
				if strings.HasPrefix(strings.TrimSpace(line), "//") {
					limit = widestComment
				}
				if width := utf8.RuneCountInString(line); width > limit && strings.HasPrefix(comment.Text, "// ") {
					t.Errorf("%s: %d columns, want %d at most", at, width, limit)
				}
			}
		}
	}
}

// A test that a document names is there.
func TestNamedTestsExist(t *testing.T) {
	declared := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	all := documents(t)
	for _, source := range filesOf(t, "_test.go") {
		for _, found := range declaration.FindAllStringSubmatch(source.text, -1) {
			declared[found[1]] = true
		}
	}
	for _, doc := range all {
		for _, name := range testName.FindAllString(doc.text, -1) {
			if !declared[name] {
				t.Errorf("%s names %s, and there is no such test", doc.name, name)
			}
		}
	}
}

// docs/architecture.md has each file of this package and of those inside it,
// and no other.
func TestFilesOfTheArchitecture(t *testing.T) {
	var named []string
	for _, span := range codeSpan.FindAllString(read(t, "docs/architecture.md"), -1) {
		if name := strings.Trim(span, "`"); goFile.MatchString(name) {
			named = append(named, name)
		}
	}
	var files []string
	for _, name := range goFiles(t) {
		files = append(files, strings.TrimPrefix(filepath.ToSlash(name), "internal/"))
	}
	for _, name := range files {
		if !slices.Contains(named, name) {
			t.Errorf("docs/architecture.md does not name %s", name)
		}
	}
	for _, name := range named {
		if !slices.Contains(files, name) {
			t.Errorf("docs/architecture.md names %s, and there is no such file", name)
		}
	}
}

// goFiles returns the files of this package and of those inside it that are not
// tests.
func goFiles(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*.go", "internal/membership/*.go", "internal/sp/*.go", "internal/wire/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				all = append(all, name)
			}
		}
	}
	return all
}

// What docs/architecture.md names in these packages is there: a type with the
// method or field that stands behind its dot, what we use of mangos, or else
// something with a declaration of its own. Names in tests do not count.
func TestNamesOfTheArchitecture(t *testing.T) {
	known := make(map[string]bool)
	for _, name := range goFiles(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "mangos" {
					known["mangos."+n.Sel.Name] = true
				}
			case *ast.ValueSpec:
				for _, name := range n.Names {
					known[name.Name] = true
				}
			case *ast.FuncDecl:
				known[n.Name.Name] = true
				if n.Recv != nil {
					known[typeName(n.Recv.List[0].Type)+"."+n.Name.Name] = true
				}
			case *ast.TypeSpec:
				known[n.Name.Name] = true
				for _, member := range members(n.Type) {
					known[member], known[n.Name.Name+"."+member] = true, true
				}
			}
			return true
		})
	}
	dotted := regexp.MustCompile(`^\w+(\.\w+)?$`)
	for _, span := range codeSpan.FindAllString(read(t, "docs/architecture.md"), -1) {
		name := strings.Trim(span, "`")
		if dotted.MatchString(name) && !goFile.MatchString(name) && !testName.MatchString(name) && !known[name] {
			t.Errorf("docs/architecture.md names %s, which is not in the code", name)
		}
	}
}

// typeName returns the name of the type of a receiver.
func typeName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return typeName(x.X)
	case *ast.IndexExpr:
		return typeName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// members returns the names of the fields of a struct, or of the methods of an
// interface.
func members(x ast.Expr) (names []string) {
	var list *ast.FieldList
	switch x := x.(type) {
	case *ast.StructType:
		list = x.Fields
	case *ast.InterfaceType:
		list = x.Methods
	default:
		return nil
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}
