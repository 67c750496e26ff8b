//go:build !unix

package measure

import (
	"errors"
	"fmt"
	"time"
)

// ProcessorTime needs a system that is like Unix.
func ProcessorTime() (time.Duration, error) {
	return 0, fmt.Errorf("processor time: %w", errors.ErrUnsupported)
}
