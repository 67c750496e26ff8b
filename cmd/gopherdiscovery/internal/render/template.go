// Package render writes files from templates and the peers of a list.
package render

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/peer"
)

// ErrInvalid is matched by the errors of [Parse].
var ErrInvalid = errors.New("invalid template")

//go:embed templates
var shipped embed.FS

// Shipped returns the names of the templates that are part of the program.
func Shipped() (names []string) {
	files, err := shipped.ReadDir("templates")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(file.Name(), ".tmpl"))
	}
	return names
}

// Template makes the bytes of one file.
type Template struct {
	// File is the path of the file.
	File string

	text *template.Template
}

// Data is what a template gets.
type Data struct {
	// Peers are sorted, and no two have the same address.
	Peers []peer.Peer
}

// Parse reads the template of a specification SRC:DST. SRC is the path of a
// template, or @ and the name of one that is shipped; DST is the path of the
// file to be written, in a directory that is there. Neither has a colon in it.
//
// The template is tried with and without peers, so that one that fails does so
// now. The error names the specification and matches [ErrInvalid].
func Parse(spec string) (*Template, error) {
	source, file, found := strings.Cut(spec, ":")
	if !found || source == "" || file == "" || strings.Contains(file, ":") {
		return nil, fmt.Errorf("%w %s: want SRC:DST", ErrInvalid, spec)
	}
	text, err := read(source)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrInvalid, spec, err)
	}
	parsed, err := template.New(filepath.Base(source)).Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrInvalid, spec, err)
	}
	t := &Template{file, parsed}
	some, _ := peer.ParseAll([]string{"10.0.0.2:8080", "http://[2001:db8::1]:8080", "http://web.example:8080"})
	for _, peers := range [][]peer.Peer{nil, some} {
		if _, err := t.render(peers); err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrInvalid, spec, err)
		}
	}
	if _, _, err := load(file); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrInvalid, spec, err)
	}
	return t, nil
}

func read(source string) ([]byte, error) {
	name, isShipped := strings.CutPrefix(source, "@")
	switch {
	case !isShipped:
		return os.ReadFile(source)
	case !slices.Contains(Shipped(), name):
		return nil, fmt.Errorf("%s is not shipped, want @%s", source, strings.Join(Shipped(), ", @"))
	}
	return shipped.ReadFile(path.Join("templates", name+".tmpl"))
}

func (t *Template) render(peers []peer.Peer) ([]byte, error) {
	var out bytes.Buffer
	err := t.text.Execute(&out, Data{peers})
	return out.Bytes(), err
}
