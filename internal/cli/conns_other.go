//go:build !unix

package cli

import "math"

// maxDescriptors returns how many files the process may have open. Windows has
// no limit of its own for that.
func maxDescriptors() uint64 { return math.MaxUint64 }
