package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/dahernan/gopherdiscovery/internal/peer"
)

// Set are templates whose files belong together.
type Set struct {
	templates []*Template
	good      bool      // the files are those of a Write or Check that went well
	failed    []*change // those of a Write that could not be undone
}

// ParseSet is [Parse] for several specifications. No two may write one file.
func ParseSet(specs []string) (*Set, error) {
	set := new(Set)
	by := make(map[string]string)
	for _, spec := range specs {
		t, err := Parse(spec)
		if err != nil {
			return nil, err
		}
		file, err := follow(t.File)
		if err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrInvalid, spec, err)
		}
		if other, taken := by[file]; taken {
			return nil, fmt.Errorf("%w %s: %s writes that file too", ErrInvalid, spec, other)
		}
		by[file] = spec
		set.templates = append(set.templates, t)
	}
	return set, nil
}

// Prepare returns an error if a file cannot be written. Then it brings back the
// files of a Write that was killed, and returns their paths: nothing says that
// those of that Write are good.
func (s *Set) Prepare() (restored []string, err error) {
	for _, t := range s.templates {
		file, err := follow(t.File)
		if err != nil {
			return nil, err
		}
		if err := probe(file); err != nil {
			return nil, err
		}
	}
	return s.restore()
}

// Replace makes a Set take over what another one has left to bring back. The
// other one is of no use then.
func (s *Set) Replace(other *Set) { s.failed = other.failed }

func (s *Set) restore() (restored []string, err error) {
	for ; len(s.failed) > 0; s.failed = s.failed[1:] {
		if err := s.failed[0].undo(); err != nil {
			return nil, err
		}
	}
	for _, t := range s.templates {
		file, err := follow(t.File)
		if err != nil {
			return nil, err
		}
		is, err := restore(file)
		if err != nil {
			return nil, err
		}
		if is {
			restored = append(restored, t.File)
		}
	}
	return restored, nil
}

// Write writes the files whose bytes change, and calls check, unless that is
// nil. When anything fails it brings back all files as they were before.
//
// The files are news if one has changed, or if neither a Write nor a Check has
// succeeded before: their readers may not know yet what is in them. Files that
// are no news are not checked.
func (s *Set) Write(peers []peer.Peer, check func() error) (news bool, err error) {
	if _, err := s.restore(); err != nil {
		return false, err
	}
	var changes []*change
	for _, t := range s.templates {
		data, err := t.render(peers)
		if err != nil {
			return false, err
		}
		c, err := compare(t.File, data)
		if err != nil {
			return false, err
		}
		if c != nil {
			changes = append(changes, c)
		}
	}
	if s.good && len(changes) == 0 {
		return false, nil
	}
	if begun, err := apply(changes, check); err != nil {
		return false, s.undo(err, begun)
	}
	s.good = true
	return true, nil
}

// Check is Write for the files that are there, if all are: it changes nothing,
// and brings back those from before a Write that has failed. It is for peers of
// which no files can be made.
func (s *Set) Check(check func() error) (news bool, err error) {
	if s.good {
		return false, nil
	}
	if _, err := s.restore(); err != nil {
		return false, err
	}
	if slices.ContainsFunc(s.templates, func(t *Template) bool { _, err := os.Stat(t.File); return err != nil }) {
		return false, nil
	}
	if _, err := apply(nil, check); err != nil {
		return false, err
	}
	s.good = true
	return true, nil
}

// apply makes the changes, and settles them if check succeeds or is nil. After
// an error those that have begun are to be undone.
func apply(changes []*change, check func() error) (begun []*change, err error) {
	for i, c := range changes {
		if err := c.do(); err != nil {
			return changes[:i+1], err
		}
	}
	if check != nil {
		err = check()
	}
	for _, c := range changes {
		if err == nil {
			err = c.settle()
		}
	}
	return changes, err
}

// undo returns the reason for it, and what has gone wrong with it.
func (s *Set) undo(reason error, changes []*change) error {
	errs := []error{reason}
	for _, c := range changes {
		if err := c.undo(); err != nil {
			s.good, s.failed = false, append(s.failed, c)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Print writes what Write would, changed or not: the bytes alone if there is
// one template, else each file behind a line with its path, as tail does.
func (s *Set) Print(w io.Writer, peers []peer.Peer) error {
	var out bytes.Buffer
	for i, t := range s.templates {
		data, err := t.render(peers)
		if err != nil {
			return err
		}
		if len(s.templates) > 1 {
			if i > 0 {
				out.WriteByte('\n')
			}
			fmt.Fprintf(&out, "==> %s <==\n", t.File)
		}
		out.Write(data)
	}
	_, err := w.Write(out.Bytes())
	return err
}
