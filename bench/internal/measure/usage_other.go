//go:build !unix

package measure

import (
	"errors"
	"fmt"
	"time"
)

// ProcessorTime returns an error, since it needs a system like Unix.
func ProcessorTime() (time.Duration, error) {
	return 0, fmt.Errorf("processor time: %w", errors.ErrUnsupported)
}
