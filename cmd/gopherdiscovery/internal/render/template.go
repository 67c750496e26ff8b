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
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/dahernan/gopherdiscovery/internal/peer"
)

var (
	// ErrInvalid is matched by the errors of [Parse].
	ErrInvalid = errors.New("invalid template")

	// ErrNotRestored is matched by an error after which a file may be left that
	// was not checked. The next [Set.Write] or [Set.Check] tries again to bring
	// the old one back.
	ErrNotRestored = errors.New("the old file does not come back")
)

// specification is SRC:DST. Both may begin with the letter of a drive, as paths
// do in Windows.
var specification = regexp.MustCompile(`^((?:[A-Za-z]:[/\\])?[^:]+):((?:[A-Za-z]:[/\\])?[^:]+)$`)

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
	// Peers are sorted by address, and no two have the same address and kind.
	Peers []peer.Peer
}

// Addresses returns one of the peers for each address: the first that is http
// or https, or else the first.
func (d Data) Addresses() (peers []peer.Peer) {
	for _, p := range d.Peers {
		last := len(peers) - 1
		switch {
		case last < 0 || peers[last].Address != p.Address:
			peers = append(peers, p)
		case peers[last].GivesWayTo(p):
			peers[last] = p
		}
	}
	return peers
}

// Parse reads the template of a specification SRC:DST. SRC is the path of a
// template, or @ and the name of one that is shipped; DST is the path of the
// file to be written, in a directory that is there. Neither has a colon in it,
// except behind the letter of a drive.
//
// The template is tried with and without peers, so that one that fails does so
// now. The error names the specification and matches [ErrInvalid].
func Parse(spec string) (*Template, error) {
	parts := specification.FindStringSubmatch(spec)
	if parts == nil {
		return nil, fmt.Errorf("%w %s: want SRC:DST", ErrInvalid, spec)
	}
	source, file := parts[1], parts[2]
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
