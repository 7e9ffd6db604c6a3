//go:build unix && !linux

package stack

import (
	"os/exec"
	"strconv"
	"strings"
)

// memory is how many bytes of a process are in memory; 0 when that is not to be
// known.
func memory(pid int) int64 {
	kib, err := strconv.ParseInt(ps(pid, "rss="), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// suspended reports whether a process was stopped by a signal and waits for
// SIGCONT.
func suspended(pid int) bool { return strings.HasPrefix(ps(pid, "stat="), "T") }

func ps(pid int, column string) string {
	out, err := exec.Command("ps", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
