//go:build unix

package cli

import (
	"math"
	"syscall"
)

// maxDescriptors returns how many files the process may have open.
func maxDescriptors() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur)
}
