package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/peer"
)

// Set are templates whose files belong together.
type Set []*Template

// ParseSet is [Parse] for several specifications. No two may write one file.
func ParseSet(specs []string) (Set, error) {
	var set Set
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
		set = append(set, t)
	}
	return set, nil
}

// Write writes the files whose bytes change, and reports whether there was
// one. Then it calls check, unless that is nil or no file has changed. When
// anything fails it brings back all files as they were before.
func (s Set) Write(peers []peer.Peer, check func() error) (changed bool, err error) {
	var changes []*change
	for _, t := range s {
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
	for i, c := range changes {
		if err := c.do(); err != nil {
			return false, errors.Join(err, undo(changes[:i]))
		}
	}
	if len(changes) == 0 || check == nil {
		return len(changes) > 0, nil
	}
	if err := check(); err != nil {
		return false, errors.Join(err, undo(changes))
	}
	return true, nil
}

func undo(changes []*change) error {
	var errs []error
	for _, c := range changes {
		if err := c.undo(); err != nil {
			errs = append(errs, fmt.Errorf("the old file does not come back: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Print writes what Write would, changed or not: the bytes alone if there is
// one template, else each file behind a line with its path, as tail does.
func (s Set) Print(w io.Writer, peers []peer.Peer) error {
	var out bytes.Buffer
	for i, t := range s {
		data, err := t.render(peers)
		if err != nil {
			return err
		}
		if len(s) > 1 {
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
