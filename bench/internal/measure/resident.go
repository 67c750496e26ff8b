package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
)

var vmRSS = regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`)

// Resident returns how many bytes of memory this process occupies once it has
// returned to the system what it does not need. It returns 0 on a system
// without /proc/self/status.
func Resident() (int64, error) {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	match := vmRSS.FindSubmatch(status)
	if match == nil {
		return 0, fmt.Errorf("no VmRSS in /proc/self/status")
	}
	kilobytes, err := strconv.ParseInt(string(match[1]), 10, 64)
	return kilobytes << 10, err
}
